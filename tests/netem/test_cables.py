from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pyroute2 import Ethtool

from netem import cables
from netem.addresses import FLEET_PREFIX
from netem.cables import End
from netem.lab import LabError
from netem.namespaces import Namespace, is_capable

pytestmark = pytest.mark.skipif(not is_capable(), reason="may not have network namespaces here")

LEFT = ("192.0.2.1", "02:6d:73:00:00:01")
PERMANENT = 0x80
RIGHT = ("192.0.2.2", "02:6d:73:00:00:02")


@pytest.fixture
def ends() -> Iterator[tuple[End, End]]:
    with Namespace.create() as left, Namespace.create() as right:
        one, other = End(left, cables.own_name("h"), LEFT[1]), End(right, "link", RIGHT[1])
        cables.lay_cable(one, other)
        yield one, other


def connect(ends: tuple[End, End]) -> None:
    """Set addresses and neighbours, so that both ends can talk."""
    for end, mine, theirs in ((ends[0], LEFT, RIGHT), (ends[1], RIGHT, LEFT)):
        cables.add_address(end, mine[0], 30)
        cables.add_neighbour(end, *theirs)


def test_a_connection_crosses_the_cable_and_nobody_asks_for_neighbours(
    ends: tuple[End, End],
) -> None:
    connect(ends)
    with ends[1].namespace.entered():
        server = socket.create_server((RIGHT[0], 0))
    with server, ends[0].namespace.entered():
        socket.create_connection(server.getsockname(), timeout=5).close()
    for end in ends:
        with cables.netlink(end.namespace) as there:
            known = there.get_neighbours(ifindex=cables.index_of(there, end.name))
            assert {neighbour["state"] for neighbour in known} == {PERMANENT}


def test_any_address_of_the_fleet_is_answered_without_being_configured(
    ends: tuple[End, End],
) -> None:
    connect(ends)
    cables.own_any_address(ends[1].namespace, FLEET_PREFIX)
    with cables.netlink(ends[0].namespace) as here:
        here.route("add", dst=FLEET_PREFIX, gateway=RIGHT[0])
    with ends[1].namespace.entered():
        server = socket.create_server(("10.77.88.99", 0))
    with server, ends[0].namespace.entered():
        socket.create_connection(server.getsockname(), timeout=5).close()


def test_nothing_on_the_cable_merges_packets_or_speaks_ipv6(ends: tuple[End, End]) -> None:
    for end in ends:
        with end.namespace.entered(), Ethtool() as ethtool:
            features = ethtool.get_features(end.name).features
            on = {name for name, feature in features.items() if feature.enable}
            assert not {name for name in on if "tcp" in name or "segmentation" in name} - {
                "tx-tcp-accecn-segmentation",
                "tx-gre-segmentation",
                "tx-gre-csum-segmentation",
                "tx-ipxip4-segmentation",
                "tx-ipxip6-segmentation",
                "tx-udp_tnl-segmentation",
                "tx-udp_tnl-csum-segmentation",
                "tx-sctp-segmentation",
            }
            assert not {name for name in on if "gro" in name}
        with cables.netlink(end.namespace) as there:
            assert not there.get_addr(
                index=cables.index_of(there, end.name), family=socket.AF_INET6
            )


def test_checksums_are_filled_in_where_that_is_asked_for() -> None:
    with Namespace.create() as left, Namespace.create() as right:
        one, other = End(left, "one", LEFT[1]), End(right, "other", RIGHT[1])
        cables.lay_cable(one, other, checksums=True)
        with left.entered(), Ethtool() as ethtool:
            assert not ethtool.get_features("one").features["tx-checksum-ip-generic"].enable


def test_a_removed_cable_is_gone_at_both_ends_and_may_be_removed_again(
    ends: tuple[End, End],
) -> None:
    for _ in range(2):
        cables.remove_cable(ends[0])
        for end in ends:
            with cables.netlink(end.namespace) as there:
                assert [link.get_attr("IFLA_IFNAME") for link in there.get_links()] == ["lo"]


def test_the_cable_goes_with_the_namespace_at_its_other_end(ends: tuple[End, End]) -> None:
    ends[1].namespace.close()
    with cables.netlink(ends[0].namespace) as here:
        # The kernel frees a namespace in the background.
        deadline = time.monotonic() + 20
        while here.link_lookup(ifname=ends[0].name):
            assert time.monotonic() < deadline


def test_an_interface_is_abandoned_once_its_process_is_gone(ends: tuple[End, End]) -> None:
    here = ends[0].namespace
    assert cables.abandoned(here) == []
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    name = f"{cables.NAME_PREFIX}{gone.pid:x}-h"
    with cables.netlink(here) as socket_:
        socket_.link("add", ifname=name, kind="veth", peer="peer")
    assert cables.abandoned(here) == [name]


def test_names_fit_the_kernel_whatever_the_process_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getpid", lambda: 4_194_304)
    assert len(cables.own_name("hh")) <= 15


def test_an_end_that_is_not_there_is_named() -> None:
    with Namespace.create() as namespace, pytest.raises(LookupError, match="interface nowhere"):
        cables.add_address(End(namespace, "nowhere", LEFT[1]), "192.0.2.1", 30)


@contextmanager
def leading(*routes: str, by: str) -> Iterator[Namespace]:
    """Make a namespace where an interface leads to somebody."""
    with Namespace.create() as here, Namespace.create() as there:
        cables.lay_cable(End(here, by, LEFT[1]), End(there, "there", RIGHT[1]))
        with cables.netlink(here) as told:
            for route in routes:
                told.route("add", dst=route, oif=cables.index_of(told, by), scope="link")
        yield here


def refusal(route: str, *, by: str) -> LabError:
    """Return why there is no lab where an interface leads to addresses that it would have."""
    with leading(route, by=by) as here, pytest.raises(LabError) as caught:
        cables.refuse_taken(here)
    return caught.value


def test_a_lab_hides_nobodys_addresses() -> None:
    refused = refusal("10.20.0.0/16", by="office")
    assert refused.reason == "this machine has a route to 10.20.0.0/16, which the lab would hide"
    assert "unshare --net" in refused.mend


def test_what_a_killed_lab_has_left_is_told_with_the_mend() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    refused = refusal("10.1.0.0/24", by=f"{cables.NAME_PREFIX}{ended.pid:x}-h")
    assert refused.reason == "a lab that was killed has left its interfaces"
    assert "doctor --clean" in refused.mend


def test_other_routes_are_no_obstacle() -> None:
    with leading("192.168.0.0/16", "0.0.0.0/0", by="office") as here:
        cables.refuse_taken(here)
