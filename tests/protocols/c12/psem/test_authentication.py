"""The ticket of C12.21."""

from __future__ import annotations

import pytest

from protocols.c12.psem import Authentication, encrypt_ticket
from protocols.c12.services import AES, DES
from protocols.errors import LocalProtocolError

# The worked example of "The DES Algorithm Illustrated" (Grabbe), and FIPS 197 appendix C.1.
DES_KEY, DES_TICKET = bytes.fromhex("133457799bbcdff1"), bytes.fromhex("0123456789abcdef")
AES_KEY = bytes(range(16))
AES_TICKET = bytes.fromhex("00112233445566778899aabbccddeeff")


@pytest.mark.parametrize(
    ("key", "ticket", "encrypted"),
    [
        (DES_KEY, DES_TICKET, "85e813540f0ab405"),
        (AES_KEY, AES_TICKET, "69c4e0d86a7b0430d8cdb78070b4c55a"),
    ],
)
def test_published_blocks(key: bytes, ticket: bytes, encrypted: str) -> None:
    assert encrypt_ticket(key, ticket).hex() == encrypted


@pytest.mark.parametrize(
    ("algorithm", "key", "ticket"), [(DES, DES_KEY, DES_TICKET), (AES, AES_KEY, AES_TICKET)]
)
def test_the_device_answers_a_right_proof_with_its_own(
    algorithm: int, key: bytes, ticket: bytes
) -> None:
    device = Authentication(algorithm, {3: key})
    proof = encrypt_ticket(key, ticket)
    assert device.ticket_size == len(ticket)
    assert device.answer(3, ticket, proof) == encrypt_ticket(key, proof)
    assert device.answer(4, ticket, proof) is None
    assert device.answer(3, ticket, ticket) is None
    assert device.answer(3, ticket, proof[:-1]) is None
    assert key.hex() not in repr(device)
    assert repr(key) not in repr(device)


@pytest.mark.parametrize(("algorithm", "key"), [(DES, AES_KEY), (AES, DES_KEY), (7, DES_KEY)])
def test_keys_of_another_algorithm(algorithm: int, key: bytes) -> None:
    with pytest.raises(LocalProtocolError):
        Authentication(algorithm, {0: key})


@pytest.mark.parametrize("size", [0, 7, 9, 16])
def test_a_ticket_of_another_size(size: int) -> None:
    with pytest.raises(LocalProtocolError):
        encrypt_ticket(DES_KEY, bytes(size))
