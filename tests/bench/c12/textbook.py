"""EAX' as its paper says it, block by block: what one writes first, and the judge of the fast one.

Source: "EAX' Cipher Mode", Moise, Beroset, Phinney, Burns (2011). Every call sets its contexts up.
"""

from __future__ import annotations

import hmac
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

BLOCK: Final = 16


def encrypt(key: bytes, cleartext: bytes, plaintext: bytes) -> tuple[bytes, bytes]:
    """Return ciphertext and MAC."""
    d, q = derive(key)
    mac_n = cmac(key, d, d, q, cleartext)
    ciphertext = stream(key, mac_n, plaintext)
    return ciphertext, tag(key, d, q, mac_n, ciphertext)


def decrypt(key: bytes, cleartext: bytes, ciphertext: bytes, mac: bytes) -> bytes:
    """Return the plaintext; raises `ValueError` for a wrong MAC."""
    d, q = derive(key)
    mac_n = cmac(key, d, d, q, cleartext)
    if not hmac.compare_digest(tag(key, d, q, mac_n, ciphertext), mac):
        raise ValueError("wrong MAC")
    return stream(key, mac_n, ciphertext)


def authenticate(key: bytes, cleartext: bytes, plaintext: bytes) -> bytes:
    """Return the MAC of what stays readable."""
    d, q = derive(key)
    return cmac(key, d, d, q, cleartext + plaintext)[-4:]


def tag(key: bytes, d: bytes, q: bytes, mac_n: bytes, ciphertext: bytes) -> bytes:
    """Return the MAC of the whole."""
    if not ciphertext:
        return mac_n[-4:]
    return xor(mac_n, cmac(key, q, d, q, ciphertext))[-4:]


def derive(key: bytes) -> tuple[bytes, bytes]:
    """Return D and Q."""
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    d = double(encryptor.update(bytes(BLOCK)) + encryptor.finalize())
    return d, double(d)


def double(block: bytes) -> bytes:
    """Return twice the block, its first octet the least significant."""
    carry, value = divmod(int.from_bytes(block, "little") << 1, 1 << 128)
    return (value ^ 0x87 * carry).to_bytes(BLOCK, "little")


def cmac(key: bytes, start: bytes, d: bytes, q: bytes, message: bytes) -> bytes:
    """Return CMAC' of a message that is not empty, chained from ``start``."""
    if len(message) % BLOCK:
        message, mask = message + b"\x80" + bytes(-(len(message) + 1) % BLOCK), q
    else:
        mask = d
    encryptor = Cipher(algorithms.AES(key), modes.CBC(start)).encryptor()
    octets = message[:-BLOCK] + xor(message[-BLOCK:], mask)
    return (encryptor.update(octets) + encryptor.finalize())[-BLOCK:]


def stream(key: bytes, mac_n: bytes, octets: bytes) -> bytes:
    """Return ``octets`` XORed with the key stream that belongs to N."""
    counter = bytearray(mac_n)
    counter[12] &= 0x7F
    counter[14] &= 0x7F
    encryptor = Cipher(algorithms.AES(key), modes.CTR(bytes(counter))).encryptor()
    return encryptor.update(octets) + encryptor.finalize()


def xor(left: bytes, right: bytes) -> bytes:
    """Return the blocks XORed."""
    return (int.from_bytes(left, "big") ^ int.from_bytes(right, "big")).to_bytes(BLOCK, "big")
