"""The namespaces and cables of a packet lab: fleet -- emulator -- head-end.

Frames go from end to end as they are: the two ends know each other's MAC, and between them there
is no router, only the emulator, which reads every frame from one cable and writes it to the other.
"""

from __future__ import annotations

import socket
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from pyroute2 import NetlinkError

from netem.addresses import FLEET_ADDRESS, FLEET_PREFIX, HEAD_END_ADDRESS, AddressPlan
from netem.cables import (
    End,
    add_address,
    add_neighbour,
    index_of,
    lay_cable,
    netlink,
    own_any_address,
    own_name,
    refuse_taken,
    remove_cable,
)
from netem.lab import LabError, LabPlan
from netem.namespaces import Namespace, NotCapableError
from netem.packet.ring import open_packet_socket

_PREFIX_LENGTH: Final = 30
_HEAD_END_MAC: Final = "02:00:00:00:00:01"
_FLEET_MAC: Final = "02:00:00:00:00:02"
_MIDDLE_MACS: Final = ("02:00:00:00:01:01", "02:00:00:00:01:02")


@dataclass(frozen=True, slots=True)
class Cabling:
    """What was laid: the fleet's namespace, and the emulator's end of each cable."""

    fleet: Namespace
    to_fleet: socket.socket
    to_head_end: socket.socket
    _undo: ExitStack

    def close(self) -> None:
        """Remove everything; may be repeated."""
        self._undo.close()


def lay_cables(plan: LabPlan) -> Cabling:
    """Make the namespaces and cables of ``plan``; whoever calls this closes them.

    The head-end side is the namespace of the calling thread.

    Raises:
        LabError: this process may not, or the kernel refuses, such as for addresses in use.
    """
    with ExitStack() as stack:
        try:
            return _lay(plan, stack)
        except NotCapableError as error:
            raise LabError(error.reason, error.mend) from error
        except ValueError as error:
            raise LabError(str(error), "use fewer concentrators of one class") from error
        except (NetlinkError, OSError) as error:
            raise LabError(
                f"the kernel refuses the interfaces of a lab: {error}",
                "see whether another lab is open in this namespace",
            ) from error


def _lay(plan: LabPlan, stack: ExitStack) -> Cabling:
    head_end = stack.enter_context(Namespace.current())
    refuse_taken(head_end)
    middle = stack.enter_context(Namespace.create())
    fleet = stack.enter_context(Namespace.create())
    head_end_end = End(head_end, own_name("p"), _HEAD_END_MAC)
    fleet_end = End(fleet, "lab", _FLEET_MAC)
    mtu = max(profile.mtu for profile in plan.profiles)
    for end, name, mac in (
        (head_end_end, "head-end", _MIDDLE_MACS[0]),
        (fleet_end, "fleet", _MIDDLE_MACS[1]),
    ):
        lay_cable(end, End(middle, name, mac), mtu=mtu, checksums=True)
        # Not left to the end of the namespace, whose cleaning the kernel puts off.
        stack.callback(remove_cable, end)
    add_address(head_end_end, HEAD_END_ADDRESS, _PREFIX_LENGTH)
    add_address(fleet_end, FLEET_ADDRESS, _PREFIX_LENGTH)
    add_neighbour(head_end_end, FLEET_ADDRESS, _FLEET_MAC)
    add_neighbour(fleet_end, HEAD_END_ADDRESS, _HEAD_END_MAC)
    own_any_address(fleet, FLEET_PREFIX)
    _route_classes(plan, head_end_end)
    with middle.entered():
        to_fleet = stack.enter_context(open_packet_socket("fleet"))
        to_head_end = stack.enter_context(open_packet_socket("head-end"))
    return Cabling(fleet, to_fleet, to_head_end, stack.pop_all())


def _route_classes(plan: LabPlan, end: End) -> None:
    """Lead the way to each class; TCP takes the segment size of both directions from its mtu."""
    addresses = AddressPlan(plan.category)
    with netlink(end.namespace) as here:
        index = index_of(here, end.name)
        for category, profile in enumerate(plan.profiles):
            if addresses.size_of(category):
                here.route(
                    "add",
                    dst=addresses.prefix(category),
                    gateway=FLEET_ADDRESS,
                    oif=index,
                    metrics={"mtu": profile.mtu},
                )
