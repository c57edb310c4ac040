"""The report page: what it says, in which order, and that nothing in it is executed."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from reports.html import render_html
from reports.recording import Check, FailureCause, RunRecord, Verdict
from tests.support.canned import (
    ansi_verdict,
    failed_verdict,
    inconclusive_verdict,
    passed_verdict,
    record_run,
    systems_verdict,
)

_VOID = {"meta", "link", "br", "path", "rect"}


class _Page(HTMLParser):
    """Collects what a page links to and runs, and checks that its elements nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.scripts: list[str | None] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if "id" in values:
            self.ids.append(values["id"] or "")
        if tag == "script":
            self.scripts.append(values.get("type"))
        self.addresses += [v or "" for k, v in attrs if k in ("src", "href", "action", "data")]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag in _VOID or self.open.pop() == tag


def _html(tmp_path: Path, verdict: Verdict | None) -> str:
    return render_html(RunRecord.load(record_run(tmp_path, verdict)))


@pytest.mark.parametrize(
    "verdict",
    [passed_verdict(), failed_verdict(), inconclusive_verdict(), systems_verdict(), None],
)
def test_every_outcome_gives_a_sound_page_that_links_nowhere(
    tmp_path: Path, verdict: Verdict | None
) -> None:
    page = _Page(_html(tmp_path, verdict))
    assert page.open == []
    assert len(set(page.ids)) == len(page.ids)
    assert [a for a in page.addresses if not a.startswith("#") and a != "data:,"] == []
    assert {a[1:] for a in page.addresses if a.startswith("#")} <= set(page.ids)


def test_the_sections_come_in_the_promised_order(tmp_path: Path) -> None:
    sections = re.findall(r'<(?:section|header) id="([a-z]+)"', _html(tmp_path, failed_verdict()))
    assert sections == [
        *("verdict", "readings", "checks", "asked", "completeness", "meters", "latency"),
        *("classes", "links", "resources", "commands", "failures", "distrust", "reproduce"),
    ]


def test_alarms_and_registrations_have_sections_where_there_are_any(tmp_path: Path) -> None:
    page = _html(tmp_path, ansi_verdict())
    sections = re.findall(r'<(?:section|header) id="([a-z]+)"', page)
    assert sections[-6:-2] == ["commands", "alarms", "registrations", "failures"]
    assert _Page(page).open == []
    shown = re.sub(r"<script.*?</script>", "", page, flags=re.S)
    rows = [re.sub(r"<[^>]+>", " ", row).split() for row in re.findall("<tr>.*?</tr>", shown, re.S)]
    tamper = "alarm Tamper attempt detected event 47 350 350 2026-11-21 12:01:40"
    assert any(row[:10] == tamper.split()[:10] for row in rows)
    assert any(row[-6:] == ["3.1", "s", "8.4", "s", "9.72", "s"] for row in rows)
    assert any(row[-8:] == ["not", "in", "this", "run"] * 2 for row in rows)
    for chart in ("chart-alarms", "chart-registrations"):
        assert f'id="{chart}"' in page
    assert "7,350 alarms owed, all of them stored as their meters noted them" in shown


def test_alarms_that_are_missing_are_marked(tmp_path: Path) -> None:
    verdict = ansi_verdict()
    assert verdict.alarms is not None
    kinds = tuple(replace(kind, stored=kind.stored - 1) for kind in verdict.alarms.kinds)
    alarms = replace(verdict.alarms, kinds=kinds, lost=5, correct=7_345, stored=7_345)
    page = _html(tmp_path, replace(verdict, alarms=alarms))
    assert page.count('<td class="n bad">349</td>') == 2
    assert "7,350 alarms owed, 5 lost" in page


def test_the_figures_are_there_without_a_script(tmp_path: Path) -> None:
    page = re.sub(r"<script.*?</script>", "", _html(tmp_path, failed_verdict()), flags=re.S)
    for shown in ("Failed", "Of 200,200 readings owed, 412 are lost", "199,787", "mobile 1400 ms"):
        assert shown in page
    assert "meterstorm run scenarios/quickstart.toml --seed 7" in page


def test_nothing_that_was_recorded_is_markup(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script><img src=http://x.invalid onerror=alert(2)>'\"</style>"
    verdict = replace(
        failed_verdict(),
        scenario=evil,
        reasons=(evil,),
        checks=(Check(name=evil, limit=evil, measured=evil, passed=False, explanation=evil),),
        failures=(FailureCause(cause=evil, where=evil, count=1, example=evil),),
        distrust=(evil,),
        resources={evil: {evil: 1}},
        latency_s={evil: failed_verdict().latency_s["push"]},
        classes={evil: failed_verdict().classes["link"]},
    )
    record = replace(
        RunRecord.load(record_run(tmp_path, verdict)),
        scenario_text=evil,
        resolved={evil: evil, "table": [{evil: evil}]},
    )
    page = render_html(record)
    assert "<script>alert" not in page
    assert "<img" not in page
    assert page.count("</style>") == 1
    assert {kind for kind in _Page(page).scripts if kind is None} == {None}
    assert _Page(page).scripts.count(None) == 1


def test_what_no_page_may_hold_is_replaced(tmp_path: Path) -> None:
    record = RunRecord.load(record_run(tmp_path, passed_verdict()))
    page = render_html(replace(record, scenario_text="a\x00\ud800b"))
    page.encode()
    assert "a��b" in page


def test_only_the_page_s_own_script_may_run(tmp_path: Path) -> None:
    page = _html(tmp_path, passed_verdict())
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    assert policy[1].startswith("default-src 'none';")
    assert re.search(r"script-src 'sha256-[A-Za-z0-9+/]{43}=';", policy[1])


def test_a_run_without_a_verdict_shows_no_figures_that_nobody_measured(tmp_path: Path) -> None:
    page = _html(tmp_path, None)
    assert "Inconclusive" in page
    assert 'class="tile ' not in page
    assert 'class="account"' not in page


def test_the_page_is_small_enough_for_a_mail(tmp_path: Path) -> None:
    assert len(_html(tmp_path, failed_verdict()).encode()) < 300_000


def test_systems_beside_the_head_end_have_a_section_each(tmp_path: Path) -> None:
    page = _html(tmp_path, systems_verdict())
    for key, title in (("batteries", "Batteries"), ("bills", "Bills")):
        assert f'<a href="#{key}">{title}</a>' in page
        assert f'<section id="{key}">' in page
    assert "battery status (bal.status)" in page
    assert "-7 was executed unordered" in page
    found = re.search(
        r'<tr class="part bad">\s*<th scope="row"><span class="dot"></span>invented', page
    )
    assert found is not None
    assert 'id="batteries"' not in _html(tmp_path / "dlms", passed_verdict())
