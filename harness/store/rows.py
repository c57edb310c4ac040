"""What goes into a store and what comes out, as columns: readings, alarms and registrations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

MAX_METER: Final = 0xFFFF_FFFF
NO_METER: Final = MAX_METER
"""In place of a meter: the concentrator itself. No grid has a meter of that number."""


class Via(IntEnum):
    """How a reading reached the head-end."""

    PUSH = 0
    GAP_FILLING = 1
    PULL = 2
    PRELOADED = 3
    """Not at all: it was in the store before the run began."""


class RegistrationKind(IntEnum):
    """What happened to the registration of a node."""

    REGISTERED = 0
    RE_REGISTERED = 1
    DEREGISTERED = 2
    EXPIRED = 3


@dataclass(frozen=True, slots=True)
class Columnar:
    """``n`` things as columns of equal length; a subclass adds the columns.

    Attributes:
        TYPES: the dtype of each column; all but ``WIDE`` have shape (n,).
        WIDE: the column of shape (n, k), if there is one.

    Raises:
        ValueError: columns of different length, or of another shape.
        TypeError: a column of another dtype.
    """

    TYPES: ClassVar[Mapping[str, np.dtype[np.generic]]] = {}
    WIDE: ClassVar[str] = ""

    def __post_init__(self) -> None:
        length = len(self)
        for name, dtype in self.TYPES.items():
            column: NDArray[np.generic] = getattr(self, name)
            if column.dtype != dtype:
                raise TypeError(f"{name} must be {dtype}, not {column.dtype}")
            dimensions = 2 if name == self.WIDE else 1
            if column.ndim != dimensions or len(column) != length:
                raise ValueError(
                    f"{name} has shape {column.shape}, not {dimensions} dimensions of {length}"
                )

    def __len__(self) -> int:
        return len(getattr(self, next(iter(self.TYPES))))

    def take(self, which: NDArray[np.intp] | NDArray[np.bool_] | slice) -> Self:
        """Return those chosen by index, mask or slice, in that order."""
        return type(self)(**{name: getattr(self, name)[which] for name in self.TYPES})

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Return what is in ``parts`` (at least one) in their order: a group commit."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            **{name: np.concatenate([getattr(part, name) for part in parts]) for name in cls.TYPES}
        )


@dataclass(frozen=True, slots=True)
class Rows(Columnar):
    """``n`` readings as columns of equal length; one reading is one meter's capture.

    Attributes:
        meter: meter numbers, shape (n,).
        profile: capture profile numbers, shape (n,).
        captured_at_s: capture times in POSIX seconds (UTC), shape (n,).
        status: profile status octets, shape (n,).
        values: registers in the order of the store's ``registers``, shape (n, k). A register that
            a row's capture profile does not carry is 0.
        via: `Via` numbers, shape (n,).
    """

    TYPES: ClassVar[Mapping[str, np.dtype[np.generic]]] = {
        "meter": np.dtype(np.uint32),
        "profile": np.dtype(np.uint8),
        "captured_at_s": np.dtype(np.int64),
        "status": np.dtype(np.uint8),
        "values": np.dtype(np.uint32),
        "via": np.dtype(np.uint8),
    }
    WIDE: ClassVar[str] = "values"

    meter: NDArray[np.uint32]
    profile: NDArray[np.uint8]
    captured_at_s: NDArray[np.int64]
    status: NDArray[np.uint8]
    values: NDArray[np.uint32]
    via: NDArray[np.uint8]

    @classmethod
    def empty(cls, registers: int) -> Rows:
        """Return no rows, with ``registers`` registers."""
        return cls(
            **{
                name: np.zeros((0, registers) if name == cls.WIDE else 0, dtype)
                for name, dtype in cls.TYPES.items()
            }
        )


@dataclass(frozen=True, slots=True)
class Alarms(Columnar):
    """``n`` alarms as columns: entries of event logs, and status bits that were raised.

    An alarm is identified by (meter, source, code, sequence).

    Attributes:
        meter: meter numbers, shape (n,).
        source: `protocols.readings.EventSource` numbers, shape (n,).
        code: event codes, or numbers of status bits, shape (n,).
        sequence: number of the entry in its log, or what tells one raising of a status bit from
            the next, shape (n,).
        raised_at_s: when the meter noted it, POSIX seconds (UTC), shape (n,).
        argument: what the meter says besides; 0 where it says nothing, shape (n,).
    """

    TYPES: ClassVar[Mapping[str, np.dtype[np.generic]]] = {
        "meter": np.dtype(np.uint32),
        "source": np.dtype(np.uint8),
        "code": np.dtype(np.uint16),
        "sequence": np.dtype(np.uint32),
        "raised_at_s": np.dtype(np.int64),
        "argument": np.dtype(np.uint32),
    }

    meter: NDArray[np.uint32]
    source: NDArray[np.uint8]
    code: NDArray[np.uint16]
    sequence: NDArray[np.uint32]
    raised_at_s: NDArray[np.int64]
    argument: NDArray[np.uint32]

    @classmethod
    def empty(cls) -> Alarms:
        """Return no alarms."""
        return cls(**{name: np.zeros(0, dtype) for name, dtype in cls.TYPES.items()})

    def keys(self) -> NDArray[np.bytes_]:
        """Return what identifies each alarm as octets that sort by meter and sequence, (n,)."""
        keys = np.empty(len(self), KEY_LAYOUT)
        for name in KEY_LAYOUT.names or ():
            keys[name] = getattr(self, name)
        return keys.view(f"S{KEY_LAYOUT.itemsize}")


@dataclass(frozen=True, slots=True)
class Registrations(Columnar):
    """``n`` changes of the registration table as columns.

    Attributes:
        meter: meter numbers; `NO_METER` where the node is the concentrator itself, shape (n,).
        concentrator: concentrator numbers, those meters are behind included, shape (n,).
        kind: `RegistrationKind` numbers, shape (n,).
        period_s: how long the registration holds unless it is renewed, seconds, shape (n,).
        at_us: when, POSIX microseconds (UTC), shape (n,).
    """

    TYPES: ClassVar[Mapping[str, np.dtype[np.generic]]] = {
        "meter": np.dtype(np.uint32),
        "concentrator": np.dtype(np.uint32),
        "kind": np.dtype(np.uint8),
        "period_s": np.dtype(np.uint32),
        "at_us": np.dtype(np.int64),
    }

    meter: NDArray[np.uint32]
    concentrator: NDArray[np.uint32]
    kind: NDArray[np.uint8]
    period_s: NDArray[np.uint32]
    at_us: NDArray[np.int64]

    @classmethod
    def empty(cls) -> Registrations:
        """Return no changes."""
        return cls(**{name: np.zeros(0, dtype) for name, dtype in cls.TYPES.items()})


NO_ALARMS: Final = Alarms.empty()
NO_REGISTRATIONS: Final = Registrations.empty()

KEY_LAYOUT: Final = np.dtype(
    [("meter", ">u4"), ("sequence", ">u4"), ("source", "u1"), ("code", ">u2")]
)


@dataclass(frozen=True, slots=True)
class StoredRows:
    """Readings as a store holds them.

    Attributes:
        rows: the readings.
        stored_at_us: when each was stored, POSIX microseconds (UTC), int64, shape (n,).
    """

    rows: Rows
    stored_at_us: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, slots=True)
class StoredAlarms:
    """Alarms as a store holds them.

    Attributes:
        alarms: the alarms.
        stored_at_us: when each was stored, POSIX microseconds (UTC), int64, shape (n,).
    """

    alarms: Alarms
    stored_at_us: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.alarms)
