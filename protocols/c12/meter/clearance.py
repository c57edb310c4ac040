"""Who may do what with a meter, and by which password."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from hmac import compare_digest
from typing import Final

from protocols.plugin import Credentials

PASSWORD_SIZE: Final = 20
PUBLIC_TABLES: Final = frozenset({0, 1})
"""What everybody who logs on may read: how to talk to the device, and what it is."""


class Clearance(IntEnum):
    """What a session may do: the more, the greater."""

    NONE = 0
    """Read the public tables."""
    READ = 1
    """Read everything, and say what was read (procedure 5)."""
    FULL = 2
    """Write tables and run procedures."""


@dataclass(frozen=True, slots=True)
class Passwords:
    """The passwords of a meter, 20 octets each; an empty one admits nobody.

    ``repr`` shows none.
    """

    full: bytes = b""
    read: bytes = b""

    @classmethod
    def of(cls, credentials: Credentials, read: bytes = b"") -> Passwords:
        """Return the passwords that follow from a device's secret, padded with spaces."""
        return cls(_padded(credentials.secret), _padded(read))

    def clearance(self, password: bytes) -> Clearance | None:
        """Return what ``password`` allows; ``None``: it is wrong."""
        for known, allowed in ((self.full, Clearance.FULL), (self.read, Clearance.READ)):
            if known and compare_digest(known, password):
                return allowed
        return None

    def __repr__(self) -> str:
        return "Passwords()"


def _padded(secret: bytes) -> bytes:
    return secret[:PASSWORD_SIZE].ljust(PASSWORD_SIZE) if secret else b""
