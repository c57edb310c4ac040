"""One direction of a lab: the tree of queueing disciplines on the interface that packets leave by.

::

    root HTB 1:            a u32 filter on each link class's prefix chooses the class
     +- 1:1  link class 0  -- netem                      one leaf that the whole class shares, or
     +- 1:2  link class 1  -- HTB 2:                     a leaf for each concentrator, chosen by two
     |                         +- 2:1  -- HTB 3:           flow filters: from the third octet of its
     |                         |           +- 3:2  -- netem  address, and from the fourth
     |                         |           +- 3:3  -- netem
     |                         +- 2:2  -- HTB 4: ...
     +- 1:fff0  what no link class claims; there should be nothing

Two levels of 256, because what adding a class costs the kernel grows with its brothers (16,000 of
them took half a minute).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from pyroute2 import NetlinkError

from netem.addresses import AddressPlan
from netem.cables import index_of, netlink
from netem.draws import mix_one, stream_key
from netem.kernel.branches import REST, ROOT, UNCLASSIFIED, Applied, Branch, planned
from netem.kernel.discipline import netem_options
from netem.kernel.messages import RefusedError, Template, classes_below, send_all
from netem.kernel.shaping import packet_class, unlimited_class
from netem.lab import Direction, DirectionCounters, LabError, LabPlan
from netem.namespaces import Namespace
from netem.profiles import LinkProfile

APART_LIMIT: Final = 1_000
"""Packets of one concentrator that may be under way in one direction."""
MOST_SHARED: Final = 10_000_000
_ETH_P_IP: Final = 0x0800
_IS_TCP: Final = "0x00060000/0x00ff0000+8"
_NO_SUCH_FILE: Final = 2
_ADDRESS_KEY: Final[Mapping[Direction, str]] = {"up": "nfct-src", "down": "nfct-dst"}
"""The address as connection tracking has it, which without connection tracking (the router has
none) is the packet's own. The kernel refuses plain ``src`` and ``dst`` in a user namespace."""


class Tree:
    """The tree of one direction; every method blocks on the kernel.

    Args:
        namespace: where the interface is.
        name: of the interface.
        direction: which way packets leave by it.
        plan: what the links are to be.
        addresses: the plan's.

    Raises:
        LabError: more concentrators than the interface has handles.
    """

    def __init__(
        self,
        namespace: Namespace,
        name: str,
        direction: Direction,
        plan: LabPlan,
        addresses: AddressPlan,
    ) -> None:
        self._namespace = namespace
        self._name = name
        self._plan = plan
        self._addresses = addresses
        self._applied = Applied(
            direction,
            in_order=plan.options.order == "link",
            shaped=plan.options.limit == "shape",
        )
        self._index = 0
        self.branches, self.notes = planned(plan, addresses, self._applied)

    def build(self) -> None:
        """Make the tree.

        Raises:
            LabError: the kernel has no netem or HTB, or refuses something else.
        """
        try:
            with netlink(self._namespace) as socket:
                self._index = index_of(socket, self._name)
                socket.tc("add", "htb", self._index, ROOT, default=UNCLASSIFIED & 0xFFFF)
                send_all(self._namespace, self._root_classes())
                for branch in self.branches:
                    self._build(socket, branch)
        except NetlinkError as error:
            raise _lab_error(error.code, str(error)) from error
        except RefusedError as error:
            raise _lab_error(error.number, str(error)) from error

    def change(
        self, category: int, profile: LinkProfile, numbers: Sequence[int] | None = None
    ) -> None:
        """Let a link class, or these concentrators of it, behave as ``profile`` from now on.

        Raises:
            LabError: the concentrators share a leaf and would have to be apart, or one of them is
                of another class.
        """
        try:
            for branch in self.branches:
                if branch.category == category:
                    self._check_shareable(branch, profile, numbers)
                    indices = self._indices(branch, numbers)
                    send_all(self._namespace, self._filled(branch, profile, indices, create=False))
        except RefusedError as error:
            raise _lab_error(error.number, str(error)) from error

    def read(self) -> tuple[Mapping[int, DirectionCounters], int]:
        """Return the counters by link class, and how many packets no class claimed."""
        found: dict[int, list[tuple[int, int, int, int]]] = {}
        unclassified = 0
        for one in classes_below(self._namespace, self._index, ROOT):
            statistics = one.get_attr("TCA_STATS2")
            basic = statistics.get_attr("TCA_STATS_BASIC")
            queue = statistics.get_attr("TCA_STATS_QUEUE")
            if one["handle"] == UNCLASSIFIED:
                unclassified = basic["packets"] + queue["drops"]
                continue
            category = ((one["handle"] & 0xFFFF) - 1) % REST
            figures = basic["packets"], basic["bytes"], queue["drops"], queue["qlen"]
            found.setdefault(category, []).append(figures)
        return {category: _summed(parts) for category, parts in found.items()}, unclassified

    def _check_shareable(
        self, branch: Branch, profile: LinkProfile, numbers: Sequence[int] | None
    ) -> None:
        if branch.is_apart:
            return
        if numbers is not None or self._applied.needs_apart(profile):
            raise LabError(
                f"the concentrators of link class {branch.category} share one queue",
                "open the lab with individually=True",
            )

    def _indices(self, branch: Branch, numbers: Sequence[int] | None) -> Sequence[int]:
        if numbers is None:
            return range(branch.leaves)
        for number in numbers:
            if self._addresses.category(number) != branch.category:
                raise LabError(
                    f"concentrator {number} is not of link class {branch.category}",
                    "name the class that it is of",
                )
        return [self._addresses.index_in_class(number) for number in numbers]

    # -- what is sent -------------------------------------------------------------------------

    def _root_classes(self) -> Iterator[bytearray]:
        template = Template("class", "htb", unlimited_class(), create=True)
        for handle in [branch.top for branch in self.branches] + [UNCLASSIFIED]:
            yield template.filled(self._index, handle, ROOT)

    def _build(self, socket: Any, branch: Branch) -> None:  # noqa: ANN401 - pyroute2 has no types
        self._add_class_filter(socket, branch)
        if branch.is_apart:
            top = branch.first << 16
            socket.tc("add", "htb", self._index, top, parent=branch.top, default=0)
            self._add_flow_filter(socket, top, mask=0xFF00, shift=8)
            send_all(self._namespace, self._block_classes(branch))
            for block, parent in branch.block_places():
                socket.tc("add", "htb", self._index, block, parent=parent, default=0)
                self._add_flow_filter(socket, block, mask=0xFF, shift=0)
        profile = self._plan.profiles[branch.category]
        indices = range(branch.leaves)
        send_all(self._namespace, self._filled(branch, profile, indices, create=True))

    def _add_class_filter(self, socket: Any, branch: Branch) -> None:  # noqa: ANN401
        """Lead the packets of a link class to its class, by the concentrator's address."""
        offset = 12 if self._applied.direction == "up" else 16
        prefix = f"{(10 << 24) | ((branch.category + 1) << 16):#010x}/0xffff0000+{offset}"
        socket.tc(
            "add-filter",
            "u32",
            self._index,
            parent=ROOT,
            prio=1 if branch.only_tcp else 2,
            protocol=_ETH_P_IP,
            target=branch.top,
            keys=[prefix, _IS_TCP] if branch.only_tcp else [prefix],
        )

    def _add_flow_filter(self, socket: Any, parent: int, *, mask: int, shift: int) -> None:  # noqa: ANN401
        """Choose the class below ``parent`` by an octet of the concentrator's address."""
        socket.tc(
            "add-filter",
            "flow",
            self._index,
            handle=1,
            parent=parent,
            prio=1,
            protocol=_ETH_P_IP,
            mode="map",
            key=[_ADDRESS_KEY[self._applied.direction]],
            ops=[{"op": "and", "num": mask}, {"op": "rshift", "num": shift}],
            baseclass=parent | 1,
        )

    def _block_classes(self, branch: Branch) -> Iterator[bytearray]:
        template = Template("class", "htb", unlimited_class(), create=True)
        for _, handle in branch.block_places():
            yield template.filled(self._index, handle, branch.first << 16)

    def _filled(
        self, branch: Branch, profile: LinkProfile, indices: Iterable[int], *, create: bool
    ) -> Iterator[bytearray]:
        """Yield what makes or changes the leaves of a branch, and the classes above them."""
        limit = APART_LIMIT
        if not branch.is_apart:
            limit = min(limit * self._addresses.size_of(branch.category), MOST_SHARED)
        link = self._applied.part(profile)
        options = netem_options(link, limit, in_order=self._applied.in_order)
        leaf = Template("qdisc", "netem", options, create=create, seeded=True)
        above = Template("class", "htb", self._class_options(branch, profile), create=create)
        key = stream_key(self._plan.seed, "netem", self._applied.direction, branch.minor)
        for index, handle, parent in branch.places(indices):
            if branch.is_apart:
                yield above.filled(self._index, parent, parent & ~0xFFFF)
            yield leaf.filled(self._index, handle, parent, mix_one(key, index))

    def _class_options(self, branch: Branch, profile: LinkProfile) -> dict[str, Any]:
        limit = self._applied.part(profile).packet_rate
        if limit is None or not self._applied.shaped:
            return unlimited_class()
        burst = limit.burst_other if branch.is_rest else limit.burst
        return packet_class(limit, burst, profile.mtu)


def _summed(parts: Sequence[tuple[int, int, int, int]]) -> DirectionCounters:
    packets, octets, drops, queued = (int(part) for part in np.sum(parts, axis=0))
    return DirectionCounters(packets, octets, drops, 0, None, queued)


def _lab_error(number: int, text: str) -> LabError:
    if number == _NO_SUCH_FILE:
        return LabError(
            "this kernel lacks a queueing discipline or filter",
            "load or install the modules sch_netem, sch_htb, cls_u32 and cls_flow (Debian, Ubuntu:"
            " in linux-modules-extra or linux-image), or use the packet tier",
        )
    return LabError(f"the kernel refuses: {text}", "see its log, as root: dmesg")
