from __future__ import annotations

import json
import os
from collections.abc import Sequence

import pytest
from pyroute2 import IPRoute

from emulator.descriptors import raise_descriptor_limit, shards_needed
from harness import probes
from harness.cli import main
from harness.doctor import Finding, Grade, examine, table
from harness.errors import ExitCode

GOOD = Finding("clock", Grade.GOOD, "tsc")
LIMITED = Finding('link = "netem"', Grade.LIMITED, "not here", "not needed")
MISSING = Finding("loopback addresses", Grade.MISSING, "refused", "a shard needs them")


@pytest.fixture(scope="module")
def findings() -> Sequence[Finding]:
    return examine(1000)


def test_the_table_says_what_follows_from_a_finding() -> None:
    assert table([GOOD, LIMITED]).splitlines() == [
        "ok       clock           tsc",
        'limited  link = "netem"  not here',
        "                         not needed",
        "",
        "runs work on this machine",
    ]


def test_the_table_ends_with_what_makes_runs_impossible() -> None:
    assert table([GOOD, MISSING]).endswith("\ncannot run here: loopback addresses")


def test_this_machine_is_examined_in_every_respect(findings: Sequence[Finding]) -> None:
    assert {finding.name for finding in findings} == {
        "system",
        "processors",
        "memory",
        "file descriptors",
        "ephemeral ports",
        "loopback addresses",
        "clock",
        "parts",
        "network namespaces",
        'link = "model"',
        'link = "packet"',
        'link = "netem"',
        "left behind",
        "connection tracking",
        "PostgreSQL server",
        "Chromium",
    }
    assert all(finding.value for finding in findings)


def test_what_is_not_as_wanted_comes_with_advice(findings: Sequence[Finding]) -> None:
    for finding in findings:
        assert (finding.grade is Grade.GOOD) == (finding.advice == ""), finding


def test_a_machine_that_runs_these_tests_can_run_the_main_job(
    findings: Sequence[Finding],
) -> None:
    assert [finding for finding in findings if finding.grade is Grade.MISSING] == []


def test_the_examination_changes_nothing_of_this_machines_network() -> None:
    outside = os.readlink("/proc/self/ns/net")
    with IPRoute() as route:
        before = [queue.get_attr("TCA_KIND") for queue in route.get_qdiscs()]
        probes.links("packet")
        after = [queue.get_attr("TCA_KIND") for queue in route.get_qdiscs()]
    assert os.readlink("/proc/self/ns/net") == outside
    assert after == before


def test_links_that_do_not_work_come_with_reason_and_mend() -> None:
    found = probes.links("netem")
    if found is None:
        pytest.skip("this kernel has netem")
    reason, mend = found
    assert "queueing discipline" in reason
    assert "packet" in mend


def test_links_of_packets_work_wherever_namespaces_do() -> None:
    if probes.network_namespace() is not None:
        pytest.skip("this machine has no namespaces")
    assert probes.links("packet") is None


def test_doctor_prints_json_for_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["doctor", "--json", "--concentrators", "50000"])
    found = {finding["name"]: finding for finding in json.loads(capsys.readouterr().out)}
    missing = [name for name, finding in found.items() if finding["grade"] == "missing"]
    assert code == (ExitCode.ENVIRONMENT if missing else ExitCode.PASSED)
    shards = shards_needed(50_000, raise_descriptor_limit())
    assert f"50,000 concentrators need {shards} " in found["file descriptors"]["value"]
