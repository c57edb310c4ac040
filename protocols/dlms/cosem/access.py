"""Who may do what with an attribute or a method.

Rights depend on how the client authenticated (`Level`). Numbers are the access modes of the
Association LN class, version 1 (IEC 62056-6-2, Blue Book 4.4.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final


class Level(IntEnum):
    """How a client proved who it is; each level may do what the lower one may, and more."""

    PUBLIC = 0
    LOW = 1
    HIGH = 2


class AttributeAccess(IntEnum):
    """Access mode of an attribute; bit 0 is read, bit 1 is write."""

    NO_ACCESS = 0
    READ_ONLY = 1
    WRITE_ONLY = 2
    READ_AND_WRITE = 3

    @property
    def readable(self) -> bool:
        """Whether GET is allowed."""
        return bool(self & AttributeAccess.READ_ONLY)

    @property
    def writable(self) -> bool:
        """Whether SET is allowed."""
        return bool(self & AttributeAccess.WRITE_ONLY)


class MethodAccess(IntEnum):
    """Access mode of a method."""

    NO_ACCESS = 0
    ACCESS = 1


@dataclass(frozen=True, slots=True)
class AttributeRights:
    """The access mode of one attribute at each level."""

    public: AttributeAccess
    low: AttributeAccess
    high: AttributeAccess

    def at(self, level: Level) -> AttributeAccess:
        """Return the access mode for a client of ``level``."""
        return (self.public, self.low, self.high)[level]


@dataclass(frozen=True, slots=True)
class MethodRights:
    """The lowest level that may invoke one method."""

    lowest: Level

    def at(self, level: Level) -> MethodAccess:
        """Return the access mode for a client of ``level``."""
        return MethodAccess.ACCESS if level >= self.lowest else MethodAccess.NO_ACCESS


_N, _R, _W, _RW = AttributeAccess
READ: Final = AttributeRights(_R, _R, _R)
READ_WRITE: Final = AttributeRights(_R, _RW, _RW)
READ_WRITE_HIGH: Final = AttributeRights(_R, _R, _RW)
WRITE_HIGH: Final = AttributeRights(_N, _N, _W)
INVOKE_ANY: Final = MethodRights(Level.PUBLIC)
INVOKE_LOW: Final = MethodRights(Level.LOW)
INVOKE_HIGH: Final = MethodRights(Level.HIGH)
