"""Energy per meter between given moments: what is asked of a store, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from harness.store.rows import Columnar

NEVER: Final = -1
"""In place of a moment: it did not happen."""
WINDOWS_MAX: Final = 4096


@dataclass(frozen=True, slots=True)
class Window:
    """The energy from ``from_s`` to ``to_s`` (POSIX seconds) goes to ``band`` (from 0)."""

    from_s: int
    to_s: int
    band: int


@dataclass(frozen=True, slots=True)
class UsageQuestion:
    """What is to be known.

    Attributes:
        windows: spans in order of time, each beginning where the one before ends.
        step_s: seconds between two captures.
        profile: capture profile of the readings.
        imported: register of the energy that came in.
        exported: register of the energy that went out.
        meters: first meter and the one after the last; None for all.
        margin_s: how far outside the windows a reading may lie to prorate the energy at their ends.

    Raises:
        ValueError: no windows, too many, or windows with holes.
    """

    windows: tuple[Window, ...]
    step_s: int
    profile: int = 1
    imported: str = "import_wh"
    exported: str = "export_wh"
    meters: tuple[int, int] | None = None
    margin_s: int = 86_400

    def __post_init__(self) -> None:
        if not 0 < len(self.windows) <= WINDOWS_MAX:
            raise ValueError(f"{len(self.windows)} windows; give 1 to {WINDOWS_MAX}")
        if any(window.from_s >= window.to_s or window.band < 0 for window in self.windows):
            raise ValueError("a window ends after it begins, and its band is 0 or more")
        if any(one.to_s != other.from_s for one, other in pairwise(self.windows)):
            raise ValueError("each window begins where the one before ends")
        if self.step_s <= 0:
            raise ValueError("step_s must be positive")

    @property
    def from_s(self) -> int:
        """Where the first window begins."""
        return self.windows[0].from_s

    @property
    def to_s(self) -> int:
        """Where the last window ends."""
        return self.windows[-1].to_s

    @property
    def captures(self) -> int:
        """How many readings a meter should have, both ends included."""
        return (self.to_s - self.from_s) // self.step_s + 1


@dataclass(frozen=True, slots=True)
class Energy(Columnar):
    """Energy by meter and band in Wh, in that order; a row for every band of the question."""

    TYPES: ClassVar[Mapping[str, np.dtype[np.generic]]] = {
        "meter": np.dtype(np.uint32),
        "band": np.dtype(np.int64),
        "import_wh": np.dtype(np.int64),
        "export_wh": np.dtype(np.int64),
    }

    meter: NDArray[np.uint32]
    band: NDArray[np.int64]
    import_wh: NDArray[np.int64]
    export_wh: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Standing(Columnar):
    """What the answer for each meter rests on, by meter.

    ``readings`` were found within the windows. The energy is that from ``from_s`` to ``to_s``:
    less than was asked for where the first or the last readings are missing. ``fell_at_s`` is the
    first reading that is negative or lower than the one before, or `NEVER`. At ``estimated`` ends
    of windows there is no reading, so the register is taken to have risen evenly.
    """

    TYPES: ClassVar[Mapping[str, np.dtype[np.generic]]] = {
        "meter": np.dtype(np.uint32),
        "readings": np.dtype(np.int64),
        "from_s": np.dtype(np.int64),
        "to_s": np.dtype(np.int64),
        "fell_at_s": np.dtype(np.int64),
        "estimated": np.dtype(np.int64),
    }

    meter: NDArray[np.uint32]
    readings: NDArray[np.int64]
    from_s: NDArray[np.int64]
    to_s: NDArray[np.int64]
    fell_at_s: NDArray[np.int64]
    estimated: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Usage:
    """The answer: meters without any reading are in neither part."""

    energy: Energy
    standing: Standing

    def of(self, meters: NDArray[np.uint32]) -> Usage:
        """Return the answer for some of the meters."""
        return Usage(
            self.energy.take(np.isin(self.energy.meter, meters)),
            self.standing.take(np.isin(self.standing.meter, meters)),
        )

    @classmethod
    def joined(cls, parts: list[Usage]) -> Usage:
        """Return the answers of several stores, no meter in two of them, as one, by meter."""
        energy = Energy.concatenate([part.energy for part in parts])
        standing = Standing.concatenate([part.standing for part in parts])
        order = np.lexsort((energy.band, energy.meter))
        return cls(energy.take(order), standing.take(np.argsort(standing.meter)))
