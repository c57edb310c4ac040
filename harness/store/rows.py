"""Readings as columns: what goes into a store and what comes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

MAX_METER: Final = 0xFFFF_FFFF


class Via(IntEnum):
    """How a reading reached the head-end."""

    PUSH = 0
    GAP_FILLING = 1
    PULL = 2


@dataclass(frozen=True, slots=True)
class Rows:
    """``n`` readings as columns of equal length; one reading is one meter's capture.

    Attributes:
        meter: meter numbers, shape (n,).
        profile: capture profile numbers, shape (n,).
        captured_at_s: capture times in POSIX seconds (UTC), shape (n,).
        status: profile status octets, shape (n,).
        values: registers in the order of the store's ``registers``, shape (n, k). A register that
            a row's capture profile does not carry is 0.
        via: `Via` numbers, shape (n,).

    Raises:
        ValueError: columns of different length, or of another shape.
        TypeError: a column of another dtype.
    """

    meter: NDArray[np.uint32]
    profile: NDArray[np.uint8]
    captured_at_s: NDArray[np.int64]
    status: NDArray[np.uint8]
    values: NDArray[np.uint32]
    via: NDArray[np.uint8]

    def __post_init__(self) -> None:
        if self.values.ndim != 2:
            raise ValueError(f"values must have two dimensions, not {self.values.ndim}")
        for name, dtype in COLUMN_TYPES.items():
            column: NDArray[np.generic] = getattr(self, name)
            if column.dtype != dtype:
                raise TypeError(f"{name} must be {dtype}, not {column.dtype}")
            if name != "values" and column.shape != (len(self.values),):
                raise ValueError(f"{name} has shape {column.shape}, values {self.values.shape}")

    def __len__(self) -> int:
        return len(self.values)

    def take(self, which: NDArray[np.intp] | NDArray[np.bool_]) -> Rows:
        """Return the rows chosen by index or mask, in that order."""
        return Rows(**{name: getattr(self, name)[which] for name in COLUMN_TYPES})

    @classmethod
    def empty(cls, registers: int) -> Rows:
        """Return no rows, with ``registers`` registers."""
        return cls(
            **{
                name: np.zeros((0, registers) if name == "values" else 0, dtype)
                for name, dtype in COLUMN_TYPES.items()
            }
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Rows]) -> Rows:
        """Return the rows of ``parts`` (at least one) in their order: a group commit."""
        return cls(
            **{
                name: np.concatenate([getattr(part, name) for part in parts])
                for name in COLUMN_TYPES
            }
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


COLUMN_TYPES: Final[dict[str, np.dtype[np.generic]]] = {
    "meter": np.dtype(np.uint32),
    "profile": np.dtype(np.uint8),
    "captured_at_s": np.dtype(np.int64),
    "status": np.dtype(np.uint8),
    "values": np.dtype(np.uint32),
    "via": np.dtype(np.uint8),
}
