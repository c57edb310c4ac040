"""A lab of the kernel's own links, and where everything in it is.

::

    head-end side                  router                             fleet side
    172.31.255.1  msl-...-h ------ head-end ==> up        fleet ----- link  172.31.255.2, 10/8
                                   down <== fleet

The router is a namespace of its own: what is lost in it is lost on the way, as TCP knows it. A
drop in a sender's own queue would be told to it, and its small queues would hold it back. The
trees are where packets leave the router, the policer where they come in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import trio
from pyroute2 import NetlinkError

from netem import cables
from netem.addresses import (
    FLEET_ADDRESS,
    FLEET_PREFIX,
    HEAD_END_ADDRESS,
    AddressPlan,
)
from netem.cables import End
from netem.kernel.policing import Policer, rules
from netem.kernel.trees import Tree
from netem.lab import (
    ConnectionTracking,
    Direction,
    DirectionCounters,
    LabCounters,
    LabError,
    LabPlan,
    ListenDrops,
)
from netem.namespace_counters import connection_tracking, listen_drops
from netem.namespaces import Namespace, NotCapableError
from netem.profiles import LinkProfile, TierUnfitError

LARGEST_PACKET: Final = 1_500
_TO_HEAD_END: Final = "head-end"
_TO_FLEET: Final = "fleet"
_INTO_ROUTER: Final[Mapping[Direction, str]] = {"up": _TO_FLEET, "down": _TO_HEAD_END}
_OUT_OF_ROUTER: Final[Mapping[Direction, str]] = {"up": _TO_HEAD_END, "down": _TO_FLEET}


class KernelLab:
    """An open lab of this tier; `netem.kernel.open_kernel_lab` makes one.

    Args:
        plan: what the lab is to be.

    Raises:
        LabError: the plan is more than a lab has room for.
    """

    def __init__(self, plan: LabPlan) -> None:
        for profile in plan.profiles:
            _check_fit(profile)
        try:
            self._addresses = AddressPlan(plan.category)
        except ValueError as error:
            raise LabError(str(error), "use fewer concentrators of one class") from error
        self._plan = plan
        self._profiles = list(plan.profiles)
        self._namespaces: list[Namespace] = []
        self._head_end: End | None = None
        self._trees: dict[Direction, Tree] = {}
        self._policer: Policer | None = None
        self._notes: list[str] = []
        self._changing = trio.Lock()

    @property
    def head_end_address(self) -> str:
        """What head-ends listen on, and what is dialled."""
        return HEAD_END_ADDRESS

    @property
    def fleet_namespace(self) -> str:
        """Path for `netem.namespaces.enter`, good as long as the lab is open."""
        return self._namespaces[2].path

    @property
    def addresses(self) -> AddressPlan:
        """Who has which address."""
        return self._addresses

    @property
    def notes(self) -> Sequence[str]:
        """Where the kernel does otherwise than was asked, a sentence each."""
        return tuple(self._notes)

    async def change(
        self, category: int, profile: LinkProfile, numbers: Sequence[int] | None = None
    ) -> None:
        """Let a link class, or these concentrators of it, behave as ``profile`` from now on.

        As a policer, the packet limit is that of the whole class, also where ``numbers`` are given.

        Raises:
            LabError: the kernel cannot do this, or the lab was not opened for it.
        """
        _check_fit(profile)
        async with self._changing:
            await trio.to_thread.run_sync(self._change, category, profile, numbers)

    async def counters(self) -> LabCounters:
        """Return what has been counted so far."""
        return await trio.to_thread.run_sync(self._read)

    # -- what follows blocks, in a thread of its own --------------------------------------------

    def build(self) -> None:
        """Make everything; after a failure, `destroy` is still due.

        Raises:
            LabError: this process, or this kernel, cannot.
        """
        try:
            self._namespaces.append(Namespace.current())
            self._namespaces.append(Namespace.create())
            self._namespaces.append(Namespace.create())
            cables.refuse_taken(self._namespaces[0])
            self._lay_cables()
        except NotCapableError as error:
            raise LabError(error.reason, error.mend) from error
        except NetlinkError as error:
            raise LabError(
                f"the kernel refuses the network of the lab: {error}",
                "run as root or in a user namespace, with the module veth at hand",
            ) from error
        router = self._namespaces[1]
        for direction, name in _OUT_OF_ROUTER.items():
            tree = Tree(router, name, direction, self._plan, self._addresses)
            tree.build()
            self._trees[direction] = tree
            self._notes.extend(tree.notes)
        if self._plan.options.limit == "police":
            self._policer = Policer(router)
            self._policer.install(rules(self._profiles, self._addresses, _INTO_ROUTER))

    def destroy(self) -> None:
        """Take everything down; whatever was not made, or is gone, is passed over."""
        if self._head_end is not None:
            cables.remove_cable(self._head_end)
            self._head_end = None
        for namespace in self._namespaces:
            namespace.close()

    def _lay_cables(self) -> None:
        here, router, fleet = self._namespaces
        ends = (
            End(here, cables.own_name("h"), "02:6d:73:00:00:01"),
            End(router, _TO_HEAD_END, "02:6d:73:00:00:02"),
            End(router, _TO_FLEET, "02:6d:73:00:00:03"),
            End(fleet, "link", "02:6d:73:00:00:04"),
        )
        self._head_end = ends[0]
        cables.lay_cable(ends[0], ends[1], mtu=self._mtu)
        cables.lay_cable(ends[2], ends[3], mtu=self._mtu)
        for end, mine, theirs, neighbour in (
            (ends[0], HEAD_END_ADDRESS, FLEET_ADDRESS, ends[1]),
            (ends[3], FLEET_ADDRESS, HEAD_END_ADDRESS, ends[2]),
        ):
            cables.add_address(end, mine, 30)
            cables.add_neighbour(end, theirs, neighbour.mac)
        cables.add_neighbour(ends[1], HEAD_END_ADDRESS, ends[0].mac)
        cables.add_neighbour(ends[2], FLEET_ADDRESS, ends[3].mac)
        cables.own_any_address(fleet, FLEET_PREFIX)
        self._route()

    @property
    def _mtu(self) -> int:
        return max([LARGEST_PACKET, *(profile.mtu for profile in self._profiles)])

    def _route(self) -> None:
        here, router, _ = self._namespaces
        with router.entered():
            Path("/proc/sys/net/ipv4/ip_forward").write_text("1", encoding="ascii")
        with cables.netlink(router) as socket:
            for name, address in ((_TO_HEAD_END, HEAD_END_ADDRESS), (_TO_FLEET, FLEET_ADDRESS)):
                index = cables.index_of(socket, name)
                socket.route("add", dst=f"{address}/32", oif=index, scope="link")
            socket.route("add", dst=FLEET_PREFIX, gateway=FLEET_ADDRESS)
        with cables.netlink(here) as socket:
            for category, profile in enumerate(self._profiles):
                if self._addresses.size_of(category):
                    # Tells TCP the largest segment, both ways.
                    socket.route(
                        "add",
                        dst=self._addresses.prefix(category),
                        gateway=FLEET_ADDRESS,
                        metrics={"mtu": profile.mtu},
                    )

    def _change(self, category: int, profile: LinkProfile, numbers: Sequence[int] | None) -> None:
        for tree in self._trees.values():
            tree.change(category, profile, numbers)
        if numbers is not None:
            return
        before = self._profiles[category]
        self._profiles[category] = profile
        if self._policer is not None and _limits(before) != _limits(profile):
            self._policer.install(rules(self._profiles, self._addresses, _INTO_ROUTER))

    def _read(self) -> LabCounters:
        links: dict[tuple[int, Direction], DirectionCounters] = {}
        unclassified = 0
        limited = {} if self._policer is None else self._policer.dropped()
        for direction, tree in self._trees.items():
            counted, strange = tree.read()
            unclassified += strange
            for category, one in counted.items():
                key = category, direction
                links[key] = replace(one, limited=limited.get(key, 0))
        tracking: dict[str, ConnectionTracking] = {}
        listening: dict[str, ListenDrops] = {}
        for side, namespace in zip(("head-end", "router", "fleet"), self._namespaces, strict=True):
            with namespace.entered():
                found = connection_tracking()
                if found is not None:
                    tracking[side] = found
                listening[side] = listen_drops()
        del listening["router"]
        return LabCounters(links, unclassified, tracking, listening)


def _check_fit(profile: LinkProfile) -> None:
    try:
        profile.check_tier("netem")
    except TierUnfitError as error:
        raise LabError(
            f"link profile {error.profile}: {error.key}: {error.why}",
            "use the tier model or packet",
        ) from error


def _limits(profile: LinkProfile) -> tuple[object, object]:
    return profile.up.packet_rate, profile.down.packet_rate
