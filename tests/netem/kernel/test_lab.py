"""How a lab begins and ends, and what else it counts."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import trio
from pyroute2 import IPRoute

from netem import namespaces
from netem.kernel import leftovers, open_kernel_lab
from netem.lab import Lab, LabError, LabPlan
from netem.profiles import LinkOptions, load_profiles
from tests.support.kernel_vm_probing import Fleet, lines, probe

pytestmark = pytest.mark.in_kernel

ROOT = Path(__file__).parents[3]
OPTIONS = LinkOptions(limit="police")
HOLDER = """
import sys, numpy, trio
from netem.kernel import open_kernel_lab
from netem.lab import LabPlan
from netem.profiles import LinkOptions, load_profiles
profiles = (load_profiles()["seed-1"].each_way(LinkOptions()),)
plan = LabPlan(profiles, numpy.zeros(2, dtype=numpy.uint8), LinkOptions(), seed=1)
async def hold():
    async with open_kernel_lab(plan) as lab:
        print(lab.fleet_namespace, flush=True)
        await trio.to_thread.run_sync(sys.stdin.read)
trio.run(hold)
"""

ORDINARY = """
import numpy, trio
from functools import partial
from netem.kernel import open_kernel_lab
from netem.lab import LabPlan
from netem.profiles import LinkOptions, load_profiles
from tests.support.kernel_vm_probing import lines, probe
options = LinkOptions()
profiles = (load_profiles()["none"], load_profiles()["seed-1"].each_way(options))
plan = LabPlan(profiles, numpy.array([0, 1], dtype=numpy.uint8), options, seed=1)
async def try_it():
    async with open_kernel_lab(plan) as lab:
        made = [*lines(lab, [0], "up"), *lines(lab, [0], "down")]
        await trio.to_thread.run_sync(
            partial(probe, made, count=1, interval_s=0.0, drain_s=0.1)
        )
        print(*(len(line.sample.numbers) for line in made), (await lab.counters()).unclassified)
trio.run(try_it)
"""


def plan(*names: str) -> LabPlan:
    wanted = (names or ("seed-1", "seed-2")) * 2
    profiles = tuple(load_profiles()[name].each_way(OPTIONS) for name in wanted[:2])
    return LabPlan(profiles, np.array([0, 1, 0], dtype=np.uint8), OPTIONS, seed=1)


def state() -> tuple[list[str], list[str], list[str]]:
    """Interfaces, routes and queueing disciplines of this namespace."""
    interfaces = sorted(name for _, name in socket.if_nameindex())
    routes = Path("/proc/thread-self/net/route").read_text().splitlines()[1:]
    with IPRoute() as netlink:
        disciplines = [str(one.get_attr("TCA_KIND")) for one in netlink.get_qdiscs()]
    return interfaces, routes, disciplines


def namespaces_held() -> set[str]:
    """The network namespaces that any descriptor or process of this machine refers to."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        links = [process / "ns/net", *process.glob("task/*/ns/net"), *process.glob("fd/*")]
        for link in links:
            try:
                target = os.readlink(link)
            except OSError:
                continue
            if target.startswith("net:"):
                found.add(target)
    return found


def wait_until_gone(before: tuple[list[str], list[str], list[str]]) -> None:
    """The kernel frees namespaces in the background."""
    deadline = time.monotonic() + 20
    while state() != before:
        assert time.monotonic() < deadline, state()


async def test_a_closed_lab_leaves_nothing() -> None:
    before, held = state(), namespaces_held()
    async with open_kernel_lab(plan()) as lab:
        assert state() != before
        assert len(namespaces_held() - held) == 2
        assert lab.notes == ()
    assert state() == before
    assert namespaces_held() == held


async def test_an_error_and_a_cancellation_leave_nothing() -> None:
    before, held = state(), namespaces_held()
    with pytest.raises(ExceptionGroup):
        async with trio.open_nursery(), open_kernel_lab(plan()):
            raise ZeroDivisionError
    assert state() == before
    with trio.CancelScope() as scope:
        scope.cancel()
        async with open_kernel_lab(plan()):
            await trio.sleep_forever()
    assert state() == before
    assert namespaces_held() == held


async def test_a_lab_that_cannot_be_built_leaves_nothing() -> None:
    before, held = state(), namespaces_held()
    jumpy = plan().profiles[0].model_dump(mode="json")
    jumpy["up"]["jitter"] = "3 s"
    wrong = LabPlan(
        (type(plan().profiles[0]).model_validate(jumpy),), plan().category[:1], OPTIONS, 1
    )
    with pytest.raises(LabError, match=r"no jitter above 2\.147 s"):
        async with open_kernel_lab(wrong):
            pass
    assert state() == before
    assert namespaces_held() == held


def test_killing_the_holder_leaves_nothing() -> None:
    before, held = state(), namespaces_held()
    command = [sys.executable, "-c", HOLDER]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().startswith(f"/proc/{holder.pid}/fd/")
        assert state() != before
        holder.send_signal(signal.SIGKILL)
    wait_until_gone(before)
    assert leftovers() == []
    assert namespaces_held() == held


def test_a_lab_works_in_a_user_namespace_too() -> None:
    """As root of one, which is what an ordinary user can be."""
    helper = [sys.executable, "-I", namespaces.__file__]
    child = subprocess.run(
        [*helper, sys.executable, "-c", ORDINARY],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    assert child.stdout.split() == ["1", "1", "0"]


async def test_a_second_lab_in_one_namespace_is_refused_and_says_how_to_mend_it() -> None:
    async with open_kernel_lab(plan()):
        with pytest.raises(LabError) as refused:
            async with open_kernel_lab(plan()):
                pass
    assert "another lab is open" in refused.value.reason
    assert "unshare --net" in refused.value.mend


async def test_a_child_lives_on_the_fleet_side() -> None:
    code = (
        "import sys, socket; from netem.namespaces import enter; enter(sys.argv[1]);"
        "print([name for _, name in socket.if_nameindex()])"
    )
    async with open_kernel_lab(plan()) as lab:
        child = await trio.run_process(
            [sys.executable, "-c", code, lab.fleet_namespace], capture_stdout=True, cwd=ROOT
        )
    assert child.stdout.decode().strip() == "['lo', 'link']"


async def test_full_connection_tracking_is_counted() -> None:
    async with open_kernel_lab(plan("none")) as lab:
        arrived = await trio.to_thread.run_sync(flood, lab)
        tracking = (await lab.counters()).tracking
    assert tracking["head-end"].max == 20
    assert tracking["head-end"].drop == 40 - arrived > 10
    assert all(tracking[side].dropped == 0 for side in tracking if side != "head-end")


def flood(lab: Lab) -> int:
    """Send from 40 ports where 20 connections are tracked; return how many datagrams arrived."""
    most = Path("/proc/sys/net/netfilter/nf_conntrack_max")
    rule = ["INPUT", "-m", "conntrack", "--ctstate", "INVALID", "-j", "DROP"]
    subprocess.run(["iptables-legacy", "-w", "-A", *rule], check=True)
    try:
        most.write_text("20")
        probed = [line for _ in range(40) for line in lines(lab, [0], "up")]
        probe(probed, count=1, interval_s=0.0, drain_s=0.3)
    finally:
        subprocess.run(["iptables-legacy", "-w", "-D", *rule], check=True)
    return sum(len(line.sample.numbers) for line in probed)


async def test_full_accept_queues_are_counted() -> None:
    async with open_kernel_lab(plan("none")) as lab:
        before = (await lab.counters()).listening
        await trio.to_thread.run_sync(overrun, lab)
        after = (await lab.counters()).listening
    assert after["head-end"].drops > before["head-end"].drops
    assert after["fleet"] == before["fleet"]
    assert set(after) == {"head-end", "fleet"}


def overrun(lab: Lab) -> None:
    """Open more connections than an accept queue of one takes, and accept none."""
    fleet = Fleet(lab)
    clients = []
    with socket.socket() as server:
        server.bind((lab.head_end_address, 0))
        server.listen(0)
        for _ in range(6):
            with fleet.namespace.entered():
                client = socket.socket()
                client.bind((lab.addresses.address(0), 0))
            client.setblocking(False)
            client.connect_ex(server.getsockname())
            clients.append(client)
        # The first retransmission of a SYN comes after a second.
        time.sleep(1.2)
    for client in clients:
        client.close()
    fleet.namespace.close()
