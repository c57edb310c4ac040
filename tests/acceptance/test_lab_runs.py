"""Whole runs over links that carry real packets."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
import pytest

from harness import probes
from netem import namespaces
from netem.cables import abandoned
from netem.namespaces import Namespace, NotCapableError, check_user_namespaces
from reports.recording import LabRecord, LinkCount
from tests.acceptance.test_external import PULLED
from tests.support import kernel_vm
from tests.support.command_line import PATIENCE_S, ROOT, Ended, WholeRun, finish, whole_run
from tests.support.gurux import gurux_is_installed
from tests.support.ordinary_user import OrdinaryUser, folder_of, ordinary_user

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

CLASSES: Final = ("seed-1", "seed-2", "seed-3", "seed-4")
CONCENTRATORS, METERS = 20, 400
SCENARIO: Final = f"""\
name = "lab"
seed = 7
speed = 300
link = "packet"
[grid]
transformer_stations = {CONCENTRATORS}
meters = {METERS}
sizes = [{{ name = "small", meters = [5, 40], share = "100 %" }}]
links = [
    {{ profile = "seed-1", share = "25 %" }},
    {{ profile = "seed-2", share = "25 %" }},
    {{ profile = "seed-3", share = "25 %" }},
    {{ profile = "seed-4", share = "25 %" }},
]
[behaviour]
steps = 2
first = "2026-03-02T00:00:00+01:00"
[checks]
"readings.late" = "<= 100 %"
"""
IN_THE_MACHINE: Final = {
    "speed": "120",
    "link": '"netem"',
    "grid.transformer_stations": "100",
    "grid.meters": "200",
    "grid.sizes.0.meters": "[1, 3]",
    "target.api.enabled": "false",
    "limits.lag": '"10 s"',
    "limits.drain": '"60 s"',
}
"""One processor, dear system calls: many concentrators, few meters, and time."""
AFTERWARDS: Final = """
"$@"
code=$?
echo "interfaces:" $(ls /sys/class/net)
echo "processes:" $(cat /proc/[0-9]*/comm | grep -c -e '^python' -e '^meterstorm')
exit $code
"""
FEW: Final = {
    "speed": "180",
    "grid.transformer_stations": "24",
    "grid.meters": "48",
    "grid.links": '[{ profile = "lte", share = "100 %" }]',
}
ENOUGH_DROPPED: Final = 20
"""Packets: then there is room in the table again, and everybody can come."""
OVERFLOWING: Final = f"""
iptables() {{ iptables-legacy -w "$@"; }}
export PATH=$PATH:/usr/sbin
# Loopback is the run's own business: it takes no entry.
iptables -t raw -A PREROUTING -i lo -j CT --notrack &&
iptables -t raw -A OUTPUT -o lo -j CT --notrack &&
iptables -A INPUT -m conntrack --ctstate INVALID -j ACCEPT || exit 99
largest=/proc/sys/net/netfilter/nf_conntrack_max
echo 8 > $largest
# Adds up a column of what processors counted, which is in hexadecimal.
counted() {{
    local names line at=0 total=0
    read -r -a names < /proc/net/stat/nf_conntrack
    until [ ${{names[at]}} = "$1" ]; do at=$((at + 1)); done
    while read -r -a line; do total=$((total + 0x${{line[at]}})); done \
        < <(tail -n +2 /proc/net/stat/nf_conntrack)
    echo $total
}}
{{
    until [ $(counted drop) -ge {ENOUGH_DROPPED} ]; do sleep 0.5; done
    sleep 2
    echo 8192 > $largest
}} &
"$@"
code=$?
kill $! 2> /dev/null
echo "kernel: $(counted drop) dropped, $(counted early_drop) early," \
    "$(counted insert_failed) not entered"
exit $code
"""
FOREIGN: Final = PULLED.replace('link = "none"', 'link = "packet"').replace(
    "[behaviour]", 'links = [{ profile = "lte", share = "100 %" }]\n[behaviour]'
)
BESIDE_A_FOREIGN_HEAD_END: Final = """
PYTHONPATH=$1 "$0" -m tests.support.gurux_poller runs theirs/readings.csv 2> poller.log &
"$0" -m harness.cli run pulled.toml
code=$?
kill $!
exit $code
"""
SERVED: Final = """
"$0" -m harness.cli serve lab.toml > told 2>&1 &
for _ in $(seq 300); do grep -q ^ready told && break; sleep 0.2; done
PYTHONPATH=$1 "$0" -m tests.support.call_concentrator runs/latest/provisioning/concentrators.csv
kill $!
wait $!
"""
MARK: Final = "METERSTORM_TEST_MARK"


@dataclass(frozen=True, slots=True)
class Site:
    """A folder of an ordinary user, and a mark that all processes it starts carry."""

    user: OrdinaryUser
    folder: Path
    mark: str

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a verb as that user, its scenario beside it."""
        return subprocess.Popen(
            [*self.user.command, "-m", "harness.cli", *words],
            cwd=self.folder,
            env=os.environ | self.user.environment | {MARK: self.mark},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def verb(self, *words: str) -> Ended:
        return finish(self.start(*words))

    def run(self, *more: str, words: tuple[str, ...] = ()) -> WholeRun:
        (self.folder / "lab.toml").write_text(SCENARIO + "".join(more))
        return whole_run(self.verb("run", "lab.toml", *words), self.folder)

    def processes(self) -> list[psutil.Process]:
        """Return the processes that run yet."""
        return [process for process in psutil.process_iter() if _carries(process, self.mark)]


def _carries(process: psutil.Process, mark: str) -> bool:
    try:
        return process.environ().get(MARK) == mark
    except psutil.Error:
        return False


@pytest.fixture
def site() -> Iterator[Site]:
    user = ordinary_user()
    if isinstance(user, str):
        pytest.skip(user)
    with folder_of(user.uid) as folder:
        here = Site(user, folder, uuid.uuid4().hex)
        yield here
        left = here.processes()
        for process in left:
            process.kill()
        assert left == [], "nothing outlives a run"
    with Namespace.current() as outside:
        assert abandoned(outside) == [], "a run takes its interfaces along"


def counted(run: WholeRun) -> list[LinkCount]:
    """Return what the lab had counted at the end, the directions of each class."""
    record = LabRecord.load(run.path)
    assert record is not None
    assert record.failed == ""
    assert record.profiles == CLASSES
    last = record.samples[-1]
    assert last.unclassified == 0
    return list(last.links)


def check_that_all_is_correct(run: WholeRun, owed: int) -> None:
    assert run.status == 0, run.output
    readings = run.verdict.readings
    assert readings.owed == readings.stored == readings.correct == owed
    assert readings.lost == readings.duplicated == readings.wrong == readings.invented == 0


def test_anybody_has_links_of_packets(site: Site) -> None:
    run = site.run()
    check_that_all_is_correct(run, 2 * METERS)
    links = counted(run)
    assert {(link.link, link.direction) for link in links} == {
        (name, way) for name in CLASSES for way in ("up", "down")
    }
    assert all(link.packets for link in links)
    assert {path.stat().st_uid for path in run.path.rglob("*")} == {site.user.uid}
    addresses = (run.path / "provisioning" / "concentrators.csv").read_text()
    assert ",10.1.0.1," in addresses
    assert ",127." not in addresses
    assert not (run.path / "lab.json").exists(), "nothing tells of a lab that is gone"
    assert "nsenter" in run.output, "how to get at the API in the run's own network"


def test_pulls_cross_the_links_and_tcp_uses_what_it_is_told(site: Site) -> None:
    run = site.run('[links]\ncongestion = "reno"\n', words=("--set", 'behaviour.mode="pull"'))
    check_that_all_is_correct(run, 2 * METERS)
    congestion = run.facts["congestion"]
    assert congestion["wanted"] == "reno"
    assert congestion["used"]["fleet"].keys() == congestion["used"]["head-end"].keys() == {"reno"}
    assert sum(link.octets for link in counted(run) if link.direction == "up") > 0


def under_way(site: Site, process: subprocess.Popen[str]) -> psutil.Process:
    """Return the emulator of a run whose fleet lives."""
    summary = site.folder / "runs" / "latest" / "ledger" / "shard-0" / "summary.json"
    deadline = time.monotonic() + PATIENCE_S
    while not summary.exists():
        assert time.monotonic() < deadline, "the run never came to its fleet"
        assert process.poll() is None, process.stdout.read() if process.stdout else ""
        time.sleep(0.1)
    (emulator,) = (one for one in site.processes() if "netem.packet" in one.cmdline())
    return emulator


def test_a_lab_that_dies_makes_the_run_inconclusive(site: Site) -> None:
    (site.folder / "lab.toml").write_text(SCENARIO + '[limits]\ndrain = "3 s"\n')
    process = site.start("run", "lab.toml", "--set", "speed=60")
    under_way(site, process).send_signal(signal.SIGKILL)
    run = whole_run(finish(process), site.folder)
    assert run.status == 2, run.output
    assert any("links of the run failed" in reason for reason in run.verdict.reasons)
    record = LabRecord.load(run.path)
    assert record is not None
    assert "ended" in record.failed


def test_a_killed_run_leaves_nothing(site: Site) -> None:
    (site.folder / "lab.toml").write_text(SCENARIO)
    process = site.start("run", "lab.toml", "--set", "speed=1")
    under_way(site, process)
    process.kill()
    deadline = time.monotonic() + PATIENCE_S
    while left := site.processes():
        assert time.monotonic() < deadline, left
        time.sleep(0.1)
    process.communicate()


@pytest.mark.parametrize(
    ("more", "words", "told"),
    [
        ('[target]\nkind = "external"\nread_back = { kind = "files", folder = "stored" }\n'
         'push = { host = "192.0.2.1", port = 4059 }\n', (), "lab.toml: target.kind: "),
        ('[target.store]\nkind = "postgresql"\nurl = "postgresql://127.0.0.1/x"\n', (),
         "lab.toml: target.store.url: "),
        ("", ("--ui",), "--ui: nobody outside"),
        ("", ("--load-socket", "x.sock"), "a Locust that is outside"),
    ],
    ids=["external", "postgresql", "ui", "locust"],
)  # fmt: skip
def test_what_a_network_of_its_own_cannot_reach_is_refused(
    more: str, words: tuple[str, ...], told: str, site: Site
) -> None:
    (site.folder / "lab.toml").write_text(SCENARIO + more)
    ended = site.verb("run", "lab.toml", *words)
    assert ended.status == 3, ended.output
    assert told in ended.output
    assert "unshare --user --map-root-user --net" in ended.output
    assert not (site.folder / "runs").exists()


def in_a_shared_namespace(folder: Path, script: str) -> Ended:
    """Run a script where links can be had and whatever it starts reaches whatever it starts."""
    try:
        check_user_namespaces()
    except NotCapableError as error:
        pytest.skip(str(error))
    command = [sys.executable, namespaces.__file__, "bash", "-c", script, sys.executable, str(ROOT)]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )
    return Ended(done.returncode, done.stdout + done.stderr)


@pytest.mark.skipif(not gurux_is_installed(), reason="gurux-dlms is not installed")
def test_somebody_elses_head_end_is_reached_in_a_shared_namespace(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "pulled.toml").write_text(FOREIGN)
    run = whole_run(in_a_shared_namespace(tmp_path, BESIDE_A_FOREIGN_HEAD_END), tmp_path)
    check_that_all_is_correct(run, 16)
    record = LabRecord.load(run.path)
    assert record is not None
    assert all(link.packets for link in record.samples[-1].links)


def test_a_fleet_is_served_over_links_of_packets(tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text(SCENARIO)
    ended = in_a_shared_namespace(tmp_path, SERVED)
    assert ended.status == 0, ended.output
    address, taken_s, refused = ended.output.split()
    assert address in [f"10.{number}.0.1" for number in (1, 2, 3, 4)]
    assert float(taken_s) > 0.2, "it takes the way there and back"
    assert refused == "ConnectionRefusedError", "and there is no other port"


def in_the_machine(folder: Path, script: str, changes: dict[str, str]) -> WholeRun:
    """Run lab.toml under a kernel that has netem, changed, by a script that is given the run."""
    if not kernel_vm.is_available():
        told = "no kernel with netem: install the packages user-mode-linux and busybox-static"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(told)
    (folder / "lab.toml").write_text(SCENARIO)
    words = [word for item in changes.items() for word in ("--set", "=".join(item))]
    run = [sys.executable, "-m", "harness.cli", "run", "lab.toml", *words]
    machine = [str(kernel_vm.SCRIPT), "--rw", str(folder), "--timeout", "300", "--mem", "2048M"]
    done = subprocess.run(
        [*machine, "--", "bash", "-c", script, "-", *run],
        cwd=folder,
        env=os.environ | {"TERM": "dumb", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return whole_run(Ended(done.returncode, done.stdout + done.stderr), folder)


def test_the_kernels_links_carry_a_run(tmp_path: Path) -> None:
    run = in_the_machine(tmp_path, AFTERWARDS, IN_THE_MACHINE)
    check_that_all_is_correct(run, 2 * 200)
    assert run.verdict.grid.concentrators == 100
    assert {(link.link, link.direction) for link in counted(run) if link.packets > 100} == {
        (name, way) for name in CLASSES for way in ("up", "down")
    }
    assert "interfaces: lo\nprocesses: 0\n" in run.output, "nothing outlives a run"


def test_a_connection_table_that_overflows_spoils_the_run_and_not_the_ledger(
    tmp_path: Path,
) -> None:
    """The kernel's own figures, read beside the run, are the judge of the count."""
    run = in_the_machine(tmp_path, OVERFLOWING, IN_THE_MACHINE | FEW)
    assert run.status == 2, run.output
    (told,) = re.findall(r"kernel: (\d+) dropped, (\d+) early, (\d+) not entered", run.output)
    dropped, early, not_entered = map(int, told)
    assert dropped >= ENOUGH_DROPPED
    verdict, record = run.verdict, LabRecord.load(run.path)
    assert verdict.verdict == "inconclusive"
    assert record is not None
    (seen,) = [count for count in record.samples[-1].tracking if count.side == "head-end"]
    assert (seen.drop, seen.early_drop, seen.insert_failed) == (dropped, early, not_entered)
    reasons = "\n".join(verdict.reasons)
    assert f"dropped {dropped + early + not_entered:,} packets" in reasons
    assert reasons.count("connection tracking") == 1, "the sum has it all"
    readings = verdict.readings
    assert readings.owed == readings.stored == readings.correct == 2 * int(FEW["grid.meters"])
    assert readings.duplicated == readings.wrong == readings.invented == readings.conflicts == 0
    assert readings.lost == readings.lost_acknowledged == readings.unattempted == 0


def test_a_kernel_without_netem_is_told_with_the_mend(site: Site) -> None:
    if probes.links("netem") is None:
        pytest.skip("this kernel has netem")
    (site.folder / "lab.toml").write_text(SCENARIO)
    ended = site.verb("run", "lab.toml", "--set", 'link="netem"')
    assert ended.status == 4, ended.output
    assert 'link = "netem" does not work here: ' in ended.output
    assert "packet" in ended.output.split("does not work here")[1]
    assert not (site.folder / "runs").exists(), "nothing was run"


def test_a_congestion_control_that_is_not_there_is_named(site: Site) -> None:
    (site.folder / "lab.toml").write_text(SCENARIO + '[links]\ncongestion = "pigeon"\n')
    ended = site.verb("run", "lab.toml")
    assert ended.status == 4, ended.output
    assert "links.congestion: TCP congestion control 'pigeon' is not there" in ended.output
    assert "this kernel has" in ended.output
