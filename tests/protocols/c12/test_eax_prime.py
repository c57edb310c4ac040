"""EAX': the published vectors, and what must be refused."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.c12.eax_prime import MIN_CLEARTEXT_SIZE, EaxPrime, WrongMacError, for_key
from protocols.errors import CodecError


class Vector(NamedTuple):
    """One published message; all hexadecimal."""

    key: str
    cleartext: str
    plaintext: str
    ciphertext: str
    mac: str


# "EAX' Cipher Mode", Moise, Beroset, Phinney, Burns, May 2011.
VECTORS = [
    Vector(
        "01020304050607080102030405060708",
        "a20c060a607c86f7540116001702a703020104a803020102ac0fa20da00ba109800102810448e99388"
        "be19281781159aa60d060b607c86f7540116001782110248e99388",
        "54454d500b40000700051a00000200e4",
        "4031cc957d4edf9a357f3db0fa9fe838",
        "6555c029",
    ),
    Vector(
        "01020304050607080102030405060708",
        "a20c060a607c86f7540116007b02a703020104a803020102ac0fa20da00ba109800102810448f3d2f8"
        "be19281781159aa60d060b607c86f7540116007b82110248f3d2f8",
        "54454d500b40000700051a00000200e4",
        "8d2fbb7a0a8c4d40edaa10a46431c9b8",
        "fec6d9e8",
    ),
    Vector(
        "102030405060708090a0b0c0d0e0f000",
        "a20e060c6086480186fc2f811caa4e01a806020439a00ebbac0fa20da00ba10980010081044bcee2c3"
        "be252823812188a60a06082b06010401828563004bcee2c3",
        "17513030303030303030303030303030303030303030000003300001",
        "9cf32c7ec24c250be7b0749feee71a220d0eee976ec23dbf0caa08ea",
        "00543e66",
    ),
    Vector(
        "6624c7e23034e4036fe5cb3a8b5dab44",
        "a211060f2b060104018285638e7f85f1c24e01a80602042bc81aa1ac0fa20da00ba10980010081044b97d2cc"
        "be392837813588a60906072b060104828563004b97d2cc",
        "1751303030303030303030303030303030303030303000000330000103300078033000790330007a0330007b"
        "0330007d",
        "beb0989fadb020eb72ba46353cc0a2ac2a007a101afebaf9680d3b9659f991121b865f254f6ac92cdd213d31"
        "e3c4d2ca",
        "e6f89b6d",
    ),
]

KEY = bytes(range(16))
cleartexts = st.binary(min_size=MIN_CLEARTEXT_SIZE, max_size=80)
payloads = st.binary(max_size=70)


@pytest.mark.parametrize("vector", VECTORS)
def test_vector(vector: Vector) -> None:
    key, cleartext, plaintext, ciphertext, mac = map(bytes.fromhex, vector)
    cipher = EaxPrime(key)
    assert cipher.encrypt(cleartext, plaintext) == (ciphertext, mac)
    assert cipher.decrypt(cleartext, ciphertext, mac) == plaintext


def test_vectors_in_any_order_on_one_context() -> None:
    # The context is chained from message to message: what came before must not matter.
    same_key = VECTORS[:2] + VECTORS[1::-1] * 2
    for vector in same_key:
        key, cleartext, plaintext, ciphertext, mac = map(bytes.fromhex, vector)
        for_key(key).authenticate(cleartext, plaintext)
        assert for_key(key).encrypt(cleartext, plaintext) == (ciphertext, mac)


@given(cleartexts, payloads)
def test_what_was_encrypted_decrypts(cleartext: bytes, payload: bytes) -> None:
    ciphertext, mac = for_key(KEY).encrypt(cleartext, payload)
    assert len(ciphertext) == len(payload)
    assert EaxPrime(KEY).decrypt(cleartext, ciphertext, mac) == payload


@given(cleartexts, payloads)
def test_an_empty_payload_has_the_mac_of_the_cleartext(cleartext: bytes, payload: bytes) -> None:
    # last4(CMAC'(N)) in both modes, so what a cleartext that swallowed the payload gives.
    mac = for_key(KEY).authenticate(cleartext, payload)
    assert for_key(KEY).encrypt(cleartext + payload, b"") == (b"", mac)


@given(cleartexts, payloads, st.data())
def test_any_changed_bit_is_refused(cleartext: bytes, payload: bytes, data: st.DataObject) -> None:
    ciphertext, mac = for_key(KEY).encrypt(cleartext, payload)
    whole = bytearray(cleartext + ciphertext + mac)
    bit = data.draw(st.integers(0, 8 * len(whole) - 1))
    whole[bit // 8] ^= 1 << bit % 8
    end = len(cleartext) + len(ciphertext)
    with pytest.raises(WrongMacError):
        for_key(KEY).decrypt(
            bytes(whole[: len(cleartext)]), bytes(whole[len(cleartext) : end]), bytes(whole[end:])
        )


@given(cleartexts, payloads)
def test_readable_payloads_are_verified(cleartext: bytes, payload: bytes) -> None:
    mac = for_key(KEY).authenticate(cleartext, payload)
    for_key(KEY).verify(cleartext, payload, mac)
    with pytest.raises(WrongMacError):
        for_key(KEY).verify(cleartext, payload + b"\0", mac)
    with pytest.raises(WrongMacError):
        for_key(KEY).verify(cleartext, payload, mac[:3])


def test_a_cleartext_of_one_block_is_refused() -> None:
    # IACR 2012/018: with one, forgeries are easy.
    with pytest.raises(CodecError, match="cleartext"):
        for_key(KEY).encrypt(bytes(16), b"")


@pytest.mark.parametrize("size", [0, 15, 17, 32])
def test_a_key_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(CodecError, match="key"):
        EaxPrime(bytes(size))


def test_no_key_is_shown() -> None:
    assert repr(EaxPrime(KEY)) == "EaxPrime(...)"
