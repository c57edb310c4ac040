"""The verdict as JUnit XML: one testcase a check.

A failed check is a ``failure``, a check that could not be decided an ``error``. A verdict that no
check carries (an inconclusive run whose checks all passed) is a testcase of its own, named
``verdict``, so that no dashboard shows green for a run that proved nothing.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence

from reports.recording import Check, RunRecord, Verdict
from reports.story import check_words, concluded, headline
from reports.systems import battery_facts, examples_of
from reports.text import measured, printable

__all__ = ["render_junit"]


def render_junit(record: RunRecord) -> str:
    """Return the whole document."""
    verdict = concluded(record)
    cases = [_case(record, verdict, check) for check in verdict.checks]
    cases += _verdict_case(record, verdict)
    suites = ET.Element("testsuites", _totals(cases, "meterstorm", verdict))
    suite = ET.SubElement(suites, "testsuite", _totals(cases, verdict.scenario, verdict))
    if verdict.environment.started_at:
        suite.set("timestamp", verdict.environment.started_at.removesuffix("Z"))
    _properties(suite, _facts(record, verdict))
    suite.extend(cases)
    ET.SubElement(suite, "system-out").text = printable(_how_to_reproduce(record, verdict))
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _totals(cases: Sequence[ET.Element], name: str, verdict: Verdict) -> dict[str, str]:
    return {
        "name": printable(name),
        "tests": str(len(cases)),
        "failures": str(sum(case.find("failure") is not None for case in cases)),
        "errors": str(sum(case.find("error") is not None for case in cases)),
        "skipped": "0",
        "time": f"{verdict.environment.wall_s:.3f}",
    }


def _facts(record: RunRecord, verdict: Verdict) -> dict[str, str]:
    beside = {} if verdict.batteries is None else battery_facts(verdict.batteries)
    return {
        "verdict": verdict.verdict,
        "seed": str(verdict.seed),
        "speed": f"{verdict.speed:g}",
        "meters": str(verdict.grid.meters),
        **beside,
        "run": str(record.directory),
    }


def _properties(parent: ET.Element, facts: dict[str, str]) -> None:
    properties = ET.SubElement(parent, "properties")
    for name, value in facts.items():
        ET.SubElement(properties, "property", {"name": name, "value": printable(value)})


def _case(record: RunRecord, verdict: Verdict, check: Check) -> ET.Element:
    case = _new_case(verdict, check.name)
    _properties(case, {"measured": measured(check.measured), "limit": check.limit})
    if check.passed is not True:
        message = f"measured: {measured(check.measured)}; limit: {check.limit}"
        told = "\n".join((check_words(check), *examples_of(verdict, check.name)))
        _blame(case, "error" if check.passed is None else "failure", message, told)
        ET.SubElement(case, "system-out").text = printable(_how_to_reproduce(record, verdict))
    return case


def _new_case(verdict: Verdict, name: str) -> ET.Element:
    classname = printable(f"meterstorm.{verdict.scenario}")
    return ET.Element("testcase", {"classname": classname, "name": printable(name), "time": "0"})


def _blame(case: ET.Element, kind: str, message: str, text: str) -> None:
    ET.SubElement(case, kind, {"message": printable(message)}).text = printable(text)


def _verdict_case(record: RunRecord, verdict: Verdict) -> list[ET.Element]:
    """Return the testcase of the verdict itself, where no check says the same."""
    outcomes = {check.passed for check in verdict.checks}
    carrier = {"passed": True, "failed": False, "inconclusive": None}[verdict.verdict]
    if verdict.verdict == "passed" or carrier in outcomes:
        return []
    case = _new_case(verdict, "verdict")
    kind = "failure" if verdict.verdict == "failed" else "error"
    _blame(case, kind, headline(verdict), "\n".join(verdict.reasons))
    ET.SubElement(case, "system-out").text = printable(_how_to_reproduce(record, verdict))
    return [case]


def _how_to_reproduce(record: RunRecord, verdict: Verdict) -> str:
    lines = [f"run: {record.directory}", f"seed: {verdict.seed}"]
    if verdict.environment.command:
        lines.append(f"reproduce: {verdict.environment.command}")
    return "\n".join(lines)
