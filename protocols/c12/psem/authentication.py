"""The ticket of C12.21: sent in clear with Identify, encrypted by the client, again by the device.

The device gives a random ticket T. The client proves that it has the key with E(T), and the device
answers with E(E(T)), which proves the same of it. DES with 8 octets is the standard's; AES with 16
is one manufacturer's (algorithm FF). Both encrypt one block, so no mode of operation matters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES as AesAlgorithm
from cryptography.hazmat.primitives.constant_time import bytes_eq

from protocols.c12.services import AES, DES
from protocols.errors import LocalProtocolError

TICKET_SIZES: Final = {DES: 8, AES: 16}
"""Octets of ticket and key, by algorithm."""


@dataclass(frozen=True, slots=True)
class Authentication:
    """The algorithm a device offers and the ``keys`` (8 or 16 octets) it knows, by key identifier.

    Without keys the service is listed, as some clients demand, and every ticket is wrong.
    """

    algorithm: int = DES
    keys: Mapping[int, bytes] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        size = TICKET_SIZES.get(self.algorithm)
        if size is None or any(len(key) != size for key in self.keys.values()):
            raise LocalProtocolError(f"keys of {size} octets for algorithm {self.algorithm:#04x}")

    @property
    def ticket_size(self) -> int:
        """The octets of a ticket: 8 or 16."""
        return TICKET_SIZES[self.algorithm]

    def answer(self, key_id: int, ticket: bytes, proof: bytes) -> bytes | None:
        """Return our own proof when ``proof`` is ``ticket`` under that key; else ``None``."""
        key = self.keys.get(key_id)
        if key is None:
            return None
        expected = encrypt_ticket(key, ticket)
        return encrypt_ticket(key, expected) if bytes_eq(proof, expected) else None


def encrypt_ticket(key: bytes, ticket: bytes) -> bytes:
    """Return ``ticket`` encrypted: DES for 8 octets of both, AES for 16.

    Raises `LocalProtocolError` for other lengths.
    """
    if len(key) != len(ticket) or len(key) not in TICKET_SIZES.values():
        raise LocalProtocolError(f"a key of {len(key)} octets for a ticket of {len(ticket)}")
    # Thrice the same key makes triple DES the single one.
    algorithm = TripleDES(key * 3) if len(key) == TICKET_SIZES[DES] else AesAlgorithm(key)
    encryptor = Cipher(algorithm, modes.ECB()).encryptor()
    return encryptor.update(ticket) + encryptor.finalize()
