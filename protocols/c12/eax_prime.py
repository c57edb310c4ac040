"""EAX': the authenticated encryption of ANSI C12.22, AES-128 with tags of four octets.

Source: "EAX' Cipher Mode", Moise, Beroset, Phinney, Burns (2011). It is EAX in outline and nothing
else: the doubling is little-endian, a CMAC starts from D (for the cleartext N) or Q (for the
ciphertext C) instead of a tweak block, and the counter is N's MAC with two bits cleared.

Known weakness (Minematsu, Lucks, Morita, Iwata, IACR 2012/018): when N fits one block, forgeries
are easy. C12.22 never makes so short an N, and `MIN_CLEARTEXT_SIZE` refuses it.

How it runs: one AES-CBC context per key lives as long as the key and does every CMAC, because
setting a context up costs twenty times what ciphering 80 octets does. Its chaining value is
known, the last block it gave, so XORing that and the wanted starting value into the first block
makes the context start wherever we like.
"""

from __future__ import annotations

import hmac
from functools import lru_cache
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from protocols.errors import CodecError, RemoteProtocolError

KEY_SIZE: Final = 16
MAC_SIZE: Final = 4
BLOCK: Final = 16
MIN_CLEARTEXT_SIZE: Final = BLOCK + 1
CODEC: Final = "EAX'"

_ZERO_BLOCK: Final = bytes(BLOCK)
_PADDING: Final = b"\x80" + bytes(BLOCK - 1)
_FEEDBACK: Final = 0x87
_ALL_BITS: Final = (1 << 8 * BLOCK) - 1
# Bytes 12 and 14 of the counter lose their highest bit, so that it never carries past 31 bits.
_COUNTER_MASK: Final = _ALL_BITS ^ (0x80 << 8 * 3 | 0x80 << 8 * 1)
_MAC_MASK: Final = (1 << 8 * MAC_SIZE) - 1
_CACHED_KEYS: Final = 1 << 17


class WrongMacError(RemoteProtocolError):
    """The MAC is wrong: another key, another sender, or a changed message."""


class EaxPrime:
    """One key, ready to use. Not for several threads at once. ``repr`` shows no key."""

    __slots__ = ("_cbc", "_chain", "_ctr", "_d", "_q")

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_SIZE:
            raise CodecError(f"a key of {len(key)} octets", codec=CODEC, path="key")
        aes = algorithms.AES(key)
        self._cbc = Cipher(aes, modes.CBC(_ZERO_BLOCK)).encryptor()
        self._ctr = Cipher(aes, modes.CTR(_ZERO_BLOCK)).encryptor()
        first = self._cbc.update(_ZERO_BLOCK)
        self._chain = int.from_bytes(first, "big")
        d = _double(first)
        self._d = int.from_bytes(d, "big")
        self._q = int.from_bytes(_double(d), "big")

    def encrypt(self, cleartext: bytes, plaintext: bytes) -> tuple[bytes, bytes]:
        """Return ciphertext and MAC of ``plaintext`` under the header ``cleartext`` (N)."""
        _check(cleartext)
        mac_n = self._cmac(self._d, cleartext)
        ciphertext = self._stream(mac_n, plaintext)
        return ciphertext, self._tag(mac_n, ciphertext)

    def decrypt(self, cleartext: bytes, ciphertext: bytes, mac: bytes) -> bytes:
        """Return the plaintext; raises `WrongMacError` and gives nothing away otherwise."""
        _check(cleartext)
        mac_n = self._cmac(self._d, cleartext)
        _compare(self._tag(mac_n, ciphertext), mac)
        return self._stream(mac_n, ciphertext)

    def authenticate(self, cleartext: bytes, plaintext: bytes) -> bytes:
        """Return the MAC of ``plaintext`` that stays readable, under the header ``cleartext``."""
        _check(cleartext)
        return _octets(self._cmac(self._d, cleartext + plaintext))

    def verify(self, cleartext: bytes, plaintext: bytes, mac: bytes) -> None:
        """Return if ``mac`` is what `authenticate` gives; raises `WrongMacError` otherwise."""
        _compare(self.authenticate(cleartext, plaintext), mac)

    def _tag(self, mac_n: int, ciphertext: bytes) -> bytes:
        if not ciphertext:
            return _octets(mac_n)
        return _octets(mac_n ^ self._cmac(self._q, ciphertext))

    def _cmac(self, start: int, message: bytes) -> int:
        """Return the CMAC' of ``message`` (not empty) that starts from ``start``."""
        spare = -len(message) % BLOCK
        size = 8 * (len(message) + spare)
        blocks = int.from_bytes(message + _PADDING[:spare] if spare else message, "big")
        blocks ^= self._q if spare else self._d
        blocks ^= (self._chain ^ start) << (size - 8 * BLOCK)
        last = self._cbc.update(blocks.to_bytes(size >> 3, "big"))[-BLOCK:]
        self._chain = mac = int.from_bytes(last, "big")
        return mac

    def _stream(self, mac_n: int, octets: bytes) -> bytes:
        self._ctr.reset_nonce((mac_n & _COUNTER_MASK).to_bytes(BLOCK, "big"))
        return self._ctr.update(octets)

    def __repr__(self) -> str:
        return "EaxPrime(...)"


@lru_cache(_CACHED_KEYS)
def for_key(key: bytes) -> EaxPrime:
    """Return the ready form of ``key`` (16 octets); raises `CodecError`.

    Kept for the keys used last: each takes about 3.5 kB and costs as much as three messages.
    """
    return EaxPrime(key)


def _double(block: bytes) -> bytes:
    """Shift left by a bit, least significant byte first, with feedback into byte 0."""
    value = int.from_bytes(block, "little") << 1
    if value > _ALL_BITS:
        value = value & _ALL_BITS ^ _FEEDBACK
    return value.to_bytes(BLOCK, "little")


def _octets(mac: int) -> bytes:
    return (mac & _MAC_MASK).to_bytes(MAC_SIZE, "big")


def _compare(expected: bytes, mac: bytes) -> None:
    if not hmac.compare_digest(expected, mac):
        raise WrongMacError("wrong message authentication code")


def _check(cleartext: bytes) -> None:
    if len(cleartext) < MIN_CLEARTEXT_SIZE:
        raise CodecError(f"a cleartext of {len(cleartext)} octets", codec=CODEC, path="cleartext")
