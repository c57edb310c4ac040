"""Cables between network namespaces: veth pairs that carry packets as a wire does.

Nothing that merges packets is on (a "packet" of 64 kB would be one packet to a queueing
discipline), nothing speaks unasked (IPv6), and neighbours are known from the start: a link that
delays packets delays ARP too, and the kernel drops what waits for the answer.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, Final

from pyroute2 import Ethtool, IPRoute, NetlinkError

from netem.addresses import CABLE_PREFIX, FLEET_PREFIX
from netem.lab import LabError
from netem.namespaces import Namespace

NAME_PREFIX: Final = "msl-"
"""What the names of all our interfaces in somebody else's namespace begin with."""
_MERGING: Final = (
    "tx-tcp-segmentation",
    "tx-tcp-ecn-segmentation",
    "tx-tcp-mangleid-segmentation",
    "tx-tcp6-segmentation",
    "tx-udp-segmentation",
    "tx-generic-segmentation",
    "rx-gro",
    "rx-gro-list",
    "rx-udp-gro-forwarding",
)
_CHECKSUMS: Final = ("tx-checksum-ip-generic", "tx-checksum-sctp")


@dataclass(frozen=True, slots=True)
class End:
    """One end of a cable: where it is, what it is called (15 characters at most), its MAC."""

    namespace: Namespace
    name: str
    mac: str


@contextmanager
def netlink(namespace: Namespace) -> Iterator[Any]:
    """Give a pyroute2 ``IPRoute`` that speaks to ``namespace``, wherever this thread is.

    Raises:
        pyroute2.NetlinkError: from each call of it that the kernel refuses.
    """
    with namespace.entered():
        # A socket stays in the namespace that it was made in.
        socket = IPRoute()
    try:
        yield socket
    finally:
        socket.close()


def own_name(side: str) -> str:
    """Return the name of this process's interface ``side`` (one letter or two)."""
    return f"{NAME_PREFIX}{os.getpid():x}-{side}"


def lay_cable(one: End, other: End, *, mtu: int = 1500, checksums: bool = False) -> None:
    """Lay a cable between two ends and bring both up.

    Args:
        one: the end that the cable is made from.
        other: the other end; may be in the same namespace.
        mtu: largest IP packet, 68..65,535.
        checksums: whether senders fill in checksums themselves, which those need who read the
            packets of a cable; else they are filled in only where a packet leaves the machine.

    Raises:
        pyroute2.NetlinkError: the kernel refuses; nothing is left then.
    """
    with netlink(one.namespace) as here:
        here.link(
            "add",
            ifname=one.name,
            kind="veth",
            address=one.mac,
            mtu=mtu,
            peer={
                "ifname": other.name,
                "address": other.mac,
                "mtu": mtu,
                "net_ns_fd": other.namespace.fd,
            },
        )
    for end in (one, other):
        with end.namespace.entered():
            _switch_off(end.name, _MERGING + (_CHECKSUMS if checksums else ()))
            _silence_ipv6(end.name)
        with netlink(end.namespace) as there:
            there.link("set", index=index_of(there, end.name), state="up")


def remove_cable(end: End) -> None:
    """Remove the cable that ``end`` is of, if it is still there."""
    with netlink(end.namespace) as here:
        for index in here.link_lookup(ifname=end.name):
            here.link("del", index=index)


def add_address(end: End, address: str, prefix_length: int) -> None:
    """Give ``end`` an address."""
    with netlink(end.namespace) as here:
        here.addr("add", index=index_of(here, end.name), address=address, prefixlen=prefix_length)


def add_neighbour(end: End, address: str, mac: str) -> None:
    """Tell ``end`` for good that ``address`` on its cable has ``mac``."""
    with netlink(end.namespace) as here:
        index = index_of(here, end.name)
        here.neigh("replace", dst=address, lladdr=mac, ifindex=index, state="permanent")


def own_any_address(namespace: Namespace, prefix: str) -> None:
    """Let every address of ``prefix`` be one of ``namespace``'s own, with none configured."""
    with netlink(namespace) as here:
        here.route("add", dst=prefix, type="local", scope="host", table=255, oif=1)


def index_of(socket: Any, name: str) -> int:  # noqa: ANN401 - pyroute2 has no types
    """Return the index of the interface called ``name``, of a `netlink` socket's namespace.

    Raises:
        LookupError: there is none.
    """
    found: Sequence[int] = socket.link_lookup(ifname=name)
    if not found:
        raise LookupError(f"no interface {name}")
    return found[0]


def _switch_off(name: str, features: Sequence[str]) -> None:
    with Ethtool() as ethtool:
        state = ethtool.get_features(name)
        for feature in features:
            # Kernels differ in which of these they know.
            if feature in state.features:
                state.features[feature].enable = False
        ethtool.set_features(name, state)


def _silence_ipv6(name: str) -> None:
    # Where IPv6 is a module, whoever asks for it first loads it, and it would speak here after all.
    with suppress(OSError), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM):
        pass
    switch = Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6")
    if switch.exists():
        switch.write_text("1", encoding="ascii")


def abandoned(namespace: Namespace) -> Sequence[str]:
    """Return our interfaces in ``namespace`` whose process is gone, in order of name."""
    with netlink(namespace) as here:
        names = [str(link.get_attr("IFLA_IFNAME")) for link in here.get_links()]
    return sorted(name for name in names if name.startswith(NAME_PREFIX) and not _is_alive(name))


def _is_alive(name: str) -> bool:
    return _owner(name) is not None


def _owner(name: str) -> int | None:
    """Return the process that an interface of ours belongs to, while it lives."""
    try:
        process = int(name.removeprefix(NAME_PREFIX).split("-")[0], 16)
    except ValueError:
        return None
    return process if Path(f"/proc/{process}").exists() else None


def refuse_taken(namespace: Namespace) -> None:
    """Refuse a namespace that reaches addresses already which a lab would hide.

    Raises:
        LabError: there is such a route.
    """
    prefixes = [IPv4Network(FLEET_PREFIX), IPv4Network(CABLE_PREFIX)]
    with netlink(namespace) as socket:
        for route in socket.get_routes(family=2, table=254):
            destination = route.get_attr("RTA_DST")
            if destination is None:
                continue
            taken = IPv4Network(f"{destination}/{route['dst_len']}")
            if any(taken.subnet_of(prefix) for prefix in prefixes):
                raise _taken(taken, _interface(socket, route.get_attr("RTA_OIF")))


def _interface(socket: Any, index: int | None) -> str:  # noqa: ANN401 - pyroute2 has no types
    """Return the name of an interface; empty where it is gone already."""
    if index is None:
        return ""
    with suppress(NetlinkError):
        for link in socket.get_links(index):
            return str(link.get_attr("IFLA_IFNAME"))
    return ""


def _taken(route: IPv4Network, interface: str) -> LabError:
    """Return why there can be no lab where ``route`` leads to ``interface``."""
    elsewhere = (
        "run as an ordinary user, or in a network namespace of its own: unshare --net (then bring"
        " its loopback up: ip link set lo up)"
    )
    if not interface.startswith(NAME_PREFIX):
        return LabError(f"this machine has a route to {route}, which the lab would hide", elsewhere)
    owner = _owner(interface)
    if owner is None:
        return LabError(
            "a lab that was killed has left its interfaces",
            "remove them: meterstorm doctor --clean",
        )
    return LabError(
        f"another lab is open in this network, of process {owner}, and there is room for one",
        f"wait until its run has ended, or {elsewhere}",
    )
