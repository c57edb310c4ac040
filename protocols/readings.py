"""What a head-end takes out of a push or an interval buffer, whatever the protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray


class EventSource(IntEnum):
    """Where a meter keeps an event."""

    LOG = 0
    """An entry of its event log; the code is that of the entry."""
    STATUS = 1
    """A status bit that was newly set; the code is the number of the bit."""


@dataclass(frozen=True, slots=True, eq=False)
class EventBatch:
    """What befell meters, as columns of n rows; every array is the batch's own.

    ``meter_ids`` are device names (S16), ``source`` `EventSource` (uint8), ``code`` uint16,
    ``sequence`` uint32: the number of the log entry, or the capture time at which the bit was first
    seen; ``raised_at_s`` POSIX seconds UTC (int64), ``argument`` uint32. A meter, source, code and
    sequence name one event.
    """

    meter_ids: NDArray[np.bytes_]
    source: NDArray[np.uint8]
    code: NDArray[np.uint16]
    sequence: NDArray[np.uint32]
    raised_at_s: NDArray[np.int64]
    argument: NDArray[np.uint32]

    def __len__(self) -> int:
        """The number of events."""
        return len(self.meter_ids)

    @classmethod
    def empty(cls) -> EventBatch:
        """Return no events."""
        return cls(*(np.zeros(0, dtype) for dtype in EVENT_TYPES.values()))

    @classmethod
    def concatenate(cls, parts: Sequence[EventBatch]) -> EventBatch:
        """Return the events of ``parts`` in their order."""
        if not parts:
            return cls.empty()
        return cls(
            *(np.concatenate([getattr(part, name) for part in parts]) for name in EVENT_TYPES)
        )

    def take(self, which: NDArray[np.intp] | NDArray[np.bool_]) -> EventBatch:
        """Return the events chosen by index or mask, in that order."""
        return EventBatch(*(getattr(self, name)[which] for name in EVENT_TYPES))


EVENT_TYPES: Final[dict[str, np.dtype[Any]]] = {
    "meter_ids": np.dtype("S16"),
    "source": np.dtype(np.uint8),
    "code": np.dtype(np.uint16),
    "sequence": np.dtype(np.uint32),
    "raised_at_s": np.dtype(np.int64),
    "argument": np.dtype(np.uint32),
}
_NO_EVENTS: Final = EventBatch.empty()


@dataclass(frozen=True, slots=True, eq=False)
class ReadingBatch:
    """Readings of one concentrator, as columns of n rows; every array is the batch's own.

    ``concentrator`` is its logical device name, ``meter_ids`` the meters' (S16), ``captured_at_s``
    POSIX seconds UTC (int64), ``status`` uint8, ``values`` uint32 of shape (n, registers) in the
    order of the capture profile. ``events`` are those that came with them.
    """

    concentrator: bytes
    meter_ids: NDArray[np.bytes_]
    captured_at_s: NDArray[np.int64]
    status: NDArray[np.uint8]
    values: NDArray[np.uint32]
    events: EventBatch = _NO_EVENTS

    def __len__(self) -> int:
        """The number of readings."""
        return len(self.meter_ids)

    @property
    def registers(self) -> int:
        """The number of registers in each reading, which tells the capture profile."""
        return int(self.values.shape[1])
