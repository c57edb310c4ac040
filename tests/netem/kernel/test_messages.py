"""What is sent to the kernel, as octets and scripts; no kernel with netem is needed."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from collections.abc import Iterator

import numpy as np
import pytest

from netem import cables
from netem.addresses import AddressPlan
from netem.cables import End
from netem.kernel import KernelLab, clean, leftovers
from netem.kernel.branches import MOST_HANDLES, ROOT, Applied, planned
from netem.kernel.discipline import netem_options
from netem.kernel.messages import RefusedError, Template, classes_below, send_all
from netem.kernel.policing import iptables_script, nft_script, rules
from netem.kernel.shaping import packet_class, unlimited_class
from netem.lab import LabError, LabPlan
from netem.namespace_counters import tcp_extensions
from netem.namespaces import Namespace, is_capable
from netem.profiles import LinkDirection, LinkOptions, LinkProfile, PacketRate, load_profiles

needs_namespaces = pytest.mark.skipif(not is_capable(), reason="may not have network namespaces")


def link(**figures: object) -> LinkDirection:
    return LinkDirection.model_validate(figures)


def attributes(octets: bytes) -> dict[int, bytes]:
    """Read netlink attributes: length, type, value, padded to four octets."""
    found = {}
    at = 0
    while at + 4 <= len(octets):
        length, kind = struct.unpack_from("=HH", octets, at)
        found[kind] = octets[at + 4 : at + length]
        at += (length + 3) & ~3
    return found


def netem_octets(
    direction: LinkDirection, *, in_order: bool = False
) -> tuple[bytes, dict[int, bytes]]:
    """Return the fixed part of netem's options and its attributes, as the kernel reads them."""
    options = netem_options(direction, 1000, in_order=in_order)
    template = Template("qdisc", "netem", options, create=True, seeded=True)
    message = bytes(template.filled(7, 0x30000, 0x20002, 0x0123456789ABCDEF))
    assert struct.unpack_from("=I", message)[0] == len(message)
    assert struct.unpack_from("=iII", message, 20) == (7, 0x30000, 0x20002)
    top = attributes(message[36:])
    assert top[1] == b"netem\0"
    return top[2][:24], attributes(top[2][24:])


def test_everything_is_sent_even_what_is_zero_so_that_a_change_leaves_nothing() -> None:
    fixed, found = netem_octets(link())
    assert struct.unpack("=6I", fixed) == (0, 1000, 0, 0, 0, 0)
    assert found[1] == bytes(12)  # correlations
    assert found[6] == bytes(16)  # rate
    assert found[8] == found[10] == found[11] == bytes(8)  # rate, latency, jitter in 64 bits
    assert found[14] == (0x0123456789ABCDEF).to_bytes(8, "little")  # seed
    assert set(found) == {1, 6, 8, 10, 11, 14}


def test_delay_and_jitter_are_nanoseconds_and_the_table_is_that_of_the_model() -> None:
    jumpy = link(latency="600 ms", jitter="200 ms", distribution="normal", loss="0.1 %")
    fixed, found = netem_octets(jumpy)
    assert struct.unpack("=q", found[10])[0] == 600_000_000
    assert struct.unpack("=q", found[11])[0] == 200_000_000
    assert struct.unpack("=6I", fixed)[2] == pytest.approx(2**32 / 1000, rel=1e-6)
    table = np.frombuffer(found[2], dtype=np.int16) / 8192
    assert (table.mean(), table.std()) == (pytest.approx(0, abs=1e-3), pytest.approx(1, abs=0.01))
    _, flat = netem_octets(link(latency="1 s", jitter="200 ms", distribution="uniform"))
    table = np.frombuffer(flat[2], dtype=np.int16) / 8192
    assert (table.min(), table.max()) == (pytest.approx(-1, abs=1e-3), pytest.approx(1, abs=1e-3))
    assert table.std() == pytest.approx(3**-0.5, rel=0.01)


def test_a_loss_of_everything_leaves_no_draw_that_passes() -> None:
    fixed, _ = netem_octets(link(loss="100 %"))
    assert struct.unpack("=6I", fixed)[2] == 2**32 - 1


def test_bursts_of_loss_are_a_gilbert_elliott_law_in_the_kernels_terms() -> None:
    law = {"kind": "gilbert-elliott", "to_bad": "2 %", "to_good": "25 %"}
    law |= {"in_bad": "75 %", "in_good": "1 %"}
    _, found = netem_octets(link(loss=law))
    chances = struct.unpack("=4I", attributes(found[5])[2])
    # p, r, what passes while bad, and what is lost while good.
    assert [chance / 2**32 for chance in chances] == pytest.approx([0.02, 0.25, 0.25, 0.01])


def test_order_is_kept_by_a_rate_and_only_where_there_is_jitter() -> None:
    jumpy = link(latency="1 s", jitter="200 ms", distribution="uniform")
    assert struct.unpack("=Q", netem_octets(jumpy, in_order=True)[1][8])[0] == 1_250_000_000
    assert struct.unpack("=Q", netem_octets(jumpy)[1][8])[0] == 0
    assert struct.unpack("=Q", netem_octets(link(latency="1 s"), in_order=True)[1][8])[0] == 0
    slow = link(latency="1 s", rate="80 kbit/s")
    for in_order in (True, False):
        assert struct.unpack("=Q", netem_octets(slow, in_order=in_order)[1][8])[0] == 10_000


def test_more_jitter_than_the_kernel_knows_is_refused() -> None:
    with pytest.raises(LabError, match=r"2\.147 s"):
        netem_options(link(latency="9 s", jitter="3 s", distribution="normal"), 1, in_order=False)


def test_a_packet_class_charges_every_packet_as_a_full_one() -> None:
    options = packet_class(PacketRate(per_second=15), 5, 1500)
    ((name, parameters),) = options["attrs"]
    assert name == "TCA_HTB_PARMS"
    assert parameters["rate_mpu"] == parameters["ceil_mpu"] == 1514
    assert parameters["rate"] == parameters["ceil"] == 15 * 1514
    # Four packets and a quarter of credit, in ticks of 64 ns; the fifth goes on credit.
    assert parameters["buffer"] * 64e-9 == pytest.approx(4.25 / 15)


def test_the_largest_packets_fit_the_kernels_sixteen_bits() -> None:
    ((_, parameters),) = packet_class(PacketRate(per_second=15), 5, 65_535)["attrs"]
    assert parameters["rate_mpu"] == 65_535


def lab_plan(
    count: int, *, order: str = "netem", limit: str = "shape", individually: bool = True
) -> LabPlan:
    options = LinkOptions.model_validate({"order": order, "limit": limit})
    profiles = tuple(load_profiles()[f"seed-{one}"].each_way(options) for one in (1, 2, 3, 4))
    category = (np.arange(count) % 4).astype(np.uint8)
    return LabPlan(profiles, category, options, 1, individually)


def applied(plan: LabPlan) -> Applied:
    return Applied("up", plan.options.order == "link", plan.options.limit == "shape")


@pytest.mark.parametrize("count", [4, 1019, 1020, 1021, 6000])
def test_every_queue_has_a_handle_of_its_own_and_a_place_that_its_address_leads_to(
    count: int,
) -> None:
    plan = lab_plan(count)
    addresses = AddressPlan(plan.category)
    branches, notes = planned(plan, addresses, applied(plan))
    assert notes == ()
    assert len(branches) == 8  # four classes, TCP and the rest
    majors = {1}
    classes = set()
    for branch in branches:
        blocks = dict(branch.block_places())
        for block, above in blocks.items():
            assert above >> 16 == branch.first
            majors |= {block >> 16}
        majors |= {branch.first}
        for index, leaf, parent in branch.places(range(branch.leaves)):
            # As the two flow filters find it: third octet, fourth octet, each from minor 1 on.
            lower = int(addresses.packed[addresses.numbers_of(branch.category)[index]]) & 0xFFFF
            block = parent & ~0xFFFF
            assert blocks[block] & 0xFFFF == (lower >> 8) + 1
            assert parent & 0xFFFF == (lower & 0xFF) + 1
            assert leaf >> 16 not in majors
            majors.add(leaf >> 16)
            classes.add(parent)
    assert len(classes) == 2 * count
    assert max(majors) == len(majors) == branches[-1].end - 1


def test_classes_share_a_queue_only_where_nothing_has_a_memory() -> None:
    def leaves(plan: LabPlan) -> list[int]:
        branches, _ = planned(plan, AddressPlan(plan.category), applied(plan))
        return [branch.leaves for branch in branches]

    assert leaves(lab_plan(8, limit="police", individually=False)) == [1, 1, 1, 1]
    assert leaves(lab_plan(8, limit="police", individually=True)) == [2, 2, 2, 2]
    assert leaves(lab_plan(8, limit="police", order="link", individually=False)) == [2, 2, 2, 2]
    assert leaves(lab_plan(8, limit="shape", individually=False)) == [2] * 8


def test_fifty_thousand_concentrators_fit_and_seventy_thousand_are_refused() -> None:
    plan = lab_plan(50_000)
    branches, notes = planned(plan, AddressPlan(plan.category), applied(plan))
    assert branches[-1].end <= MOST_HANDLES
    assert len(branches) == 4
    assert "burst of TCP" in notes[0]
    plan = lab_plan(70_000)
    with pytest.raises(LabError, match=r"70,\d\d\d queues are needed"):
        planned(plan, AddressPlan(plan.category), applied(plan))
    shared = lab_plan(200_000, limit="police", individually=False)
    assert len(planned(shared, AddressPlan(shared.category), applied(shared))[0]) == 4


def policed() -> tuple[list[LinkProfile], AddressPlan]:
    plan = lab_plan(8)
    return list(plan.profiles), AddressPlan(plan.category)


@needs_namespaces
@pytest.mark.skipif(shutil.which("nft", path="/usr/sbin") is None, reason="no nft")
def test_nft_takes_the_policer_twice_and_counts_by_class_and_direction() -> None:
    script = nft_script(rules(*policed(), {"up": "fleet", "down": "head-end"}))
    with Namespace.create() as namespace, namespace.entered():
        for _ in range(2):
            subprocess.run(["/usr/sbin/nft", "-f", "-"], input=script, text=True, check=True)
        listing = subprocess.run(
            ["/usr/sbin/nft", "-j", "list", "ruleset"], capture_output=True, check=True
        )
    parts = json.loads(listing.stdout)["nftables"]
    names = {part["counter"]["name"] for part in parts if "counter" in part}
    assert names == {f"{way}{one}" for way in ("up", "down") for one in range(4)}
    assert sum("rule" in part for part in parts) == 16


@needs_namespaces
@pytest.mark.skipif(
    shutil.which("iptables-legacy-restore", path="/usr/sbin") is None, reason="none"
)
def test_iptables_understands_the_policer() -> None:
    script = iptables_script(rules(*policed(), {"up": "fleet", "down": "head-end"}))
    with Namespace.create() as namespace, namespace.entered():
        command = ["/usr/sbin/iptables-legacy-restore", "--test"]
        child = subprocess.run(command, input=script, text=True, check=False, capture_output=True)
    if "Table does not exist" in child.stderr or "can't initialize" in child.stderr:
        pytest.skip("no iptables in this kernel")
    assert child.returncode == 0, child.stderr


def test_only_classes_with_a_limit_and_somebody_in_them_are_policed() -> None:
    profiles = [load_profiles()["none"], load_profiles()["seed-1"], load_profiles()["seed-2"]]
    addresses = AddressPlan(np.array([0, 1], dtype=np.uint8))
    found = rules(profiles, addresses, {"up": "fleet", "down": "head-end"})
    assert [(rule.category, rule.direction, rule.interface) for rule in found] == [
        (1, "up", "fleet"),
        (1, "down", "head-end"),
    ]


def test_netstat_is_read_by_name() -> None:
    text = "TcpExt: A ListenDrops\nTcpExt: 5 7\nIpExt: ListenDrops\nIpExt: 9\n"
    assert tcp_extensions(text) == {"A": 5, "ListenDrops": 7}
    assert tcp_extensions("") == {}


@pytest.fixture
def cable() -> Iterator[tuple[Namespace, int]]:
    with Namespace.create() as here, Namespace.create() as there:
        ends = End(here, "one", "02:6d:73:00:00:01"), End(there, "other", "02:6d:73:00:00:02")
        cables.lay_cable(*ends)
        with cables.netlink(here) as socket:
            yield here, cables.index_of(socket, "one")


@needs_namespaces
def test_thousands_of_classes_are_made_in_bulk_and_only_those_asked_for_are_listed(
    cable: tuple[Namespace, int],
) -> None:
    here, index = cable
    template = Template("class", "htb", unlimited_class(), create=True)
    with cables.netlink(here) as socket:
        socket.tc("add", "htb", index, ROOT, default=0)
        assert (
            send_all(here, (template.filled(index, ROOT | n, ROOT) for n in range(1, 1001))) == 1000
        )
        socket.tc("add", "htb", index, 2 << 16, parent=ROOT | 1, default=0)
    send_all(here, [template.filled(index, (2 << 16) | 1, 2 << 16)])
    listed = [one["handle"] for one in classes_below(here, index, ROOT)]
    assert sorted(listed) == [ROOT | n for n in range(1, 1001)]
    assert [one["handle"] for one in classes_below(here, index, 2 << 16)] == [(2 << 16) | 1]


@needs_namespaces
def test_a_refusal_among_many_is_told_in_the_kernels_words(cable: tuple[Namespace, int]) -> None:
    here, index = cable
    template = Template("class", "htb", unlimited_class(), create=True)
    with pytest.raises(RefusedError) as refused:
        send_all(here, [template.filled(index, ROOT | n, ROOT) for n in range(1, 100)])
    assert refused.value.number
    assert str(refused.value)


@needs_namespaces
def test_what_a_killed_run_has_left_is_found_and_removed() -> None:
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    name = f"{cables.NAME_PREFIX}{gone.pid:x}-h"
    with Namespace.create() as namespace, namespace.entered():
        assert leftovers() == []
        with cables.netlink(namespace) as socket:
            socket.link("add", ifname=name, kind="veth", peer="peer")
        assert leftovers() == [f"interface {name}"]
        assert clean() == [f"interface {name}"]
        assert leftovers() == clean() == []


@pytest.mark.parametrize(
    ("key", "figures"),
    [
        ("shared", {"rate": "1 Mbit/s", "cell": 10}),
        ("trace", {"file": "a.trace"}),
    ],
)
def test_what_only_other_tiers_can_do_is_refused_by_name(key: str, figures: object) -> None:
    one = LinkProfile(name="p", description="d", sources=(), up=link(**{key: figures}), down=link())
    plan = LabPlan((one,), np.zeros(1, dtype=np.uint8), LinkOptions(), 1)
    with pytest.raises(LabError, match=rf"link profile p: up\.{key}"):
        KernelLab(plan)
