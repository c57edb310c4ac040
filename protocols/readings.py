"""What a head-end takes out of a push or an interval buffer, whatever the protocol."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class ReadingBatch:
    """Readings of one concentrator, as columns of n rows; every array is the batch's own.

    ``concentrator`` is its logical device name, ``meter_ids`` the meters' (S16), ``captured_at_s``
    POSIX seconds UTC (int64), ``status`` uint8, ``values`` uint32 of shape (n, registers) in the
    order of the capture profile.
    """

    concentrator: bytes
    meter_ids: NDArray[np.bytes_]
    captured_at_s: NDArray[np.int64]
    status: NDArray[np.uint8]
    values: NDArray[np.uint32]

    def __len__(self) -> int:
        """The number of readings."""
        return len(self.meter_ids)

    @property
    def registers(self) -> int:
        """The number of registers in each reading, which tells the capture profile."""
        return int(self.values.shape[1])
