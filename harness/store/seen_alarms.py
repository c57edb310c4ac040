"""Which alarms are stored, as sorted keys in memory: their duplicate filter of the embedded store.

A key has 11 octets and no small range, so bitmaps (`harness.store.seen`) would not do. The keys are
held in a few sorted runs, each at least twice as long as the next: what a commit brings is merged
into runs of its own size only, so that the work per key stays logarithmic.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.store.rows import Alarms

Keys = NDArray[np.bytes_]


class SeenAlarms:
    """Tells first arrivals from later ones. Not thread-safe: the store's lock guards it."""

    def __init__(self, stored: Alarms) -> None:
        """Start with what is stored."""
        self._runs: list[Keys] = []
        self.add(stored)

    def first_arrivals(self, alarms: Alarms) -> NDArray[np.bool_]:
        """Tell which alarms are neither stored nor preceded in ``alarms`` by the same one."""
        first = np.zeros(len(alarms), np.bool_)
        if len(alarms):
            keys, index = np.unique(alarms.keys(), return_index=True)
            first[index] = ~self._has(keys)
        return first

    def add(self, alarms: Alarms) -> None:
        """Note ``alarms``, all of them first arrivals, as stored; only after they are committed."""
        if not len(alarms):
            return
        run = np.sort(alarms.keys())
        while self._runs and len(self._runs[-1]) < 2 * len(run):
            run = np.sort(np.concatenate([self._runs.pop(), run]))
        self._runs.append(run)

    def _has(self, keys: Keys) -> NDArray[np.bool_]:
        found = np.zeros(len(keys), np.bool_)
        for run in self._runs:
            place = np.searchsorted(run, keys).clip(max=len(run) - 1)
            found |= run[place] == keys
        return found
