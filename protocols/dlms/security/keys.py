"""Keys of one association, and how one travels (RFC 3394 key wrap, Green Book 9.2.6.5)."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.keywrap import (
    InvalidUnwrap,
    aes_key_unwrap,
    aes_key_wrap,
)

from protocols.dlms.security.errors import DecipherError


@dataclass(frozen=True, slots=True, repr=False)
class SecurityKeys:
    """The global keys of suite 0, 16 octets each; never shown.

    ``authentication`` is empty where the authentication key is not used.
    """

    unicast_encryption: bytes
    authentication: bytes

    def __repr__(self) -> str:
        return "SecurityKeys(unicast_encryption=..., authentication=...)"


def wrap_key(master_key: bytes, key: bytes) -> bytes:
    """Return ``key`` wrapped for transfer, eight octets longer."""
    return aes_key_wrap(master_key, key)


def unwrap_key(master_key: bytes, wrapped: bytes) -> bytes:
    """Return the key in ``wrapped``; raises `DecipherError` when it was wrapped by another."""
    try:
        return aes_key_unwrap(master_key, wrapped)
    except (InvalidUnwrap, ValueError) as exc:
        raise DecipherError("a wrapped key that does not unwrap") from exc
