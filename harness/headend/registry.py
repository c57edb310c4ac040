"""The devices a head-end shard knows: from the exported provisioning, as any head-end would.

A shard knows its own concentrators only: one that dials the wrong shard is a stranger there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.provisioning import ConcentratorRecord, Provisioning
from protocols.plugin import Credentials


class UnknownMetersError(LookupError):
    """Names that are not provisioned behind a concentrator; ``names`` lists them."""

    def __init__(self, concentrator: int, names: list[bytes]) -> None:
        shown = ", ".join(name.decode("ascii", "replace") for name in names[:5])
        super().__init__(
            f"{len(names)} meters not provisioned behind concentrator {concentrator}: {shown}"
        )
        self.names = names


@dataclass(frozen=True, slots=True)
class _Behind:
    """The meters behind one concentrator: names sorted, and the number of each."""

    names: NDArray[np.bytes_]
    numbers: NDArray[np.uint32]


class Registry:
    """Concentrators by system title and number, meters by name.

    Args:
        provisioning: everything that was exported.
        mine: numbers of the shard's own concentrators; all of them when left out.
    """

    def __init__(self, provisioning: Provisioning, mine: range | None = None) -> None:
        known = [item for item in provisioning.concentrators if mine is None or item.number in mine]
        self.provisioning = provisioning
        self.concentrators = {item.number: item for item in known}
        self._by_title = {item.system_title: item for item in known}
        self._behind: dict[int, _Behind] = {}

    def by_title(self, system_title: bytes) -> ConcentratorRecord | None:
        """Return the concentrator with that system title."""
        return self._by_title.get(system_title)

    def credentials(self, system_title: bytes) -> Credentials | None:
        """Return what the head-end shares with a concentrator; a `PeerLookup`."""
        found = self._by_title.get(system_title)
        return found.credentials if found else None

    def numbers(
        self, concentrator: int, names: NDArray[np.bytes_]
    ) -> tuple[NDArray[np.uint32], NDArray[np.bool_]]:
        """Return the meter number of each name, and which names are known there.

        Numbers of unknown names are meaningless.
        """
        behind = self._behind.get(concentrator) or self._index(concentrator)
        place = np.searchsorted(behind.names, names).clip(0, len(behind.names) - 1)
        return behind.numbers[place], behind.names[place] == names

    def unknown(self, concentrator: int, names: NDArray[np.bytes_]) -> UnknownMetersError:
        """Return the error that names what is not provisioned."""
        return UnknownMetersError(concentrator, sorted(set(names.tolist())))

    def _index(self, concentrator: int) -> _Behind:
        record = self.concentrators[concentrator]
        meters = slice(record.first_meter, record.first_meter + record.meters)
        names = self.provisioning.meter_names[meters]
        order = np.argsort(names, kind="stable")
        numbers = np.arange(record.first_meter, record.first_meter + record.meters)
        behind = _Behind(names[order], numbers[order].astype(np.uint32))
        self._behind[concentrator] = behind
        return behind
