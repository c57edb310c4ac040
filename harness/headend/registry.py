"""The devices a head-end shard knows: from the exported provisioning, as any head-end would.

A shard knows its own concentrators only: one that dials the wrong shard is a stranger there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

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
        self._nodes: dict[bytes, Credentials] = {}

    def by_title(self, system_title: bytes) -> ConcentratorRecord | None:
        """Return the concentrator of that title, or the one that the node of that title is behind.

        ``None``: it is a stranger to this shard.
        """
        found = self._by_title.get(system_title)
        if found is not None:
            return found
        node = self._node(system_title)
        return None if node is None else self._by_title.get(node.behind)

    def meter(self, title: bytes) -> int | None:
        """Return the number of the meter that is called so, if it is a node of its own."""
        place = self.provisioning.nodes.by_title.get(title)
        return None if place is None else self.provisioning.nodes.meters[place]

    def credentials(self, system_title: bytes) -> Credentials | None:
        """Return what the head-end shares with a concentrator or a node; a `PeerLookup`."""
        found = self._by_title.get(system_title)
        return found.credentials if found else self._node(system_title)

    def with_members(self, record: ConcentratorRecord) -> Credentials:
        """Return the credentials of a concentrator, with those of the nodes behind it."""
        behind = self.provisioning.nodes.behind(record.first_meter, record.meters)
        return replace(record.credentials, members=behind)

    def _node(self, title: bytes) -> Credentials | None:
        """Return the credentials of a node behind one of this shard's concentrators."""
        known = self._nodes.get(title)
        if known is None:
            place = self.provisioning.nodes.by_title.get(title)
            if place is None:
                return None
            known = self.provisioning.nodes.credentials(place)
            if known.behind not in self._by_title:
                return None
            self._nodes[title] = known
        return known

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
