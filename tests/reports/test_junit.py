"""JUnit XML: one testcase a check, and no green for a run that proved nothing."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

from reports.junit import render_junit
from reports.recording import RunRecord, Verdict
from tests.support.canned import (
    failed_verdict,
    inconclusive_verdict,
    passed_verdict,
    record_run,
    systems_verdict,
)


def _suite(tmp_path: Path, verdict: Verdict | None) -> ET.Element:
    root = ET.fromstring(render_junit(RunRecord.load(record_run(tmp_path, verdict))))
    suite = root.find("testsuite")
    assert root.tag == "testsuites"
    assert suite is not None
    return suite


def _outcomes(suite: ET.Element) -> dict[str | None, str]:
    return {
        case.get("name"): next(
            (child.tag for child in case if child.tag in ("failure", "error")), "passed"
        )
        for case in suite.findall("testcase")
    }


def test_a_passed_run_has_one_passing_testcase_a_check(tmp_path: Path) -> None:
    suite = _suite(tmp_path, passed_verdict())
    assert _outcomes(suite) == dict.fromkeys(
        ["readings.lost", "readings.wrong", "readings.late", "push.latency.p99"], "passed"
    )
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("4", "0", "0")


def test_a_failed_check_is_a_failure_with_its_figures(tmp_path: Path) -> None:
    suite = _suite(tmp_path, failed_verdict())
    assert suite.get("failures") == "2"
    case = suite.find("testcase[@name='readings.lost']")
    assert case is not None
    properties = {p.get("name"): p.get("value") for p in case.iter("property")}
    assert properties == {"measured": "412", "limit": "== 0"}
    failure = case.find("failure")
    assert failure is not None
    assert failure.get("message") == "measured: 412; limit: == 0"


def test_a_failure_tells_where_the_run_is_and_how_to_repeat_it(tmp_path: Path) -> None:
    case = _suite(tmp_path, failed_verdict()).find("testcase[@name='readings.lost']")
    assert case is not None
    told = case.findtext("system-out")
    assert told is not None
    assert str(tmp_path) in told
    assert "seed: 7" in told
    assert "meterstorm run scenarios/quickstart.toml --seed 7" in told


def test_an_undecided_check_is_an_error(tmp_path: Path) -> None:
    suite = _suite(tmp_path, inconclusive_verdict())
    assert _outcomes(suite)["links.fidelity"] == "error"
    assert suite.get("errors") == "1"


def test_an_inconclusive_verdict_shows_red_though_all_checks_passed(tmp_path: Path) -> None:
    verdict = replace(inconclusive_verdict(), checks=passed_verdict().checks)
    assert _outcomes(_suite(tmp_path, verdict))["verdict"] == "error"


def test_a_failed_verdict_without_a_failed_check_shows_red(tmp_path: Path) -> None:
    verdict = replace(failed_verdict(), checks=passed_verdict().checks)
    assert _outcomes(_suite(tmp_path, verdict))["verdict"] == "failure"


def test_a_run_cut_short_shows_red(tmp_path: Path) -> None:
    assert _outcomes(_suite(tmp_path, None)) == {"verdict": "error"}


def test_any_name_gives_valid_xml(tmp_path: Path) -> None:
    name = "a<b>&\"'\x00\x1b]]>"
    suite = _suite(tmp_path, replace(passed_verdict(), scenario=name))
    assert suite.get("name") == "a<b>&\"'��]]>"


def test_a_check_of_batteries_says_what_was_found_and_the_suite_has_the_counts(
    tmp_path: Path,
) -> None:
    suite = _suite(tmp_path, systems_verdict())
    (failure,) = suite.iter("failure")
    assert failure.text is not None
    assert failure.text.endswith("battery-0000042 at 1795286945993 ms: -7 was executed unordered")
    properties = {one.get("name"): one.get("value") for one in suite.findall("properties/property")}
    assert properties["batteries.commands_accepted"] == "72"
    assert properties["batteries.orders.superseded"] == "255"
