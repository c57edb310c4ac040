"""The three forms in which a comparison is told."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from reports.compare import Comparison, compare
from reports.compare.document import render_comparison as as_json
from reports.compare.markdown import render_comparison as as_markdown
from reports.compare.terminal import print_comparison
from tests.support.compared import latencies, subject


def on_a_terminal(found: Comparison, width: int = 100) -> str:
    shown = io.StringIO()
    print_comparison(found, Console(file=shown, width=width, highlight=False))
    return shown.getvalue()


@pytest.fixture
def worse() -> Comparison:
    quick = latencies(1, 3000)
    before = subject("2026-11-20_a", latency={"push": quick})
    after = subject(
        "2026-11-21_b",
        asked={"target.group_commit": '"0.2 s"'},
        figures={"readings.lost": 3, "resources.headend.memory": 150.0},
        latency={"push": [1.5 * value_s for value_s in quick]},
    )
    return compare([before], after)


def test_a_terminal_shows_the_answer_and_what_moved_first(worse: Comparison) -> None:
    lines = on_a_terminal(worse).splitlines()
    assert lines[0].rstrip() == "WORSE  B is worse than A"
    assert lines[1].strip() == "A  2026-11-20_a"
    table = [line.strip() for line in lines[lines.index(next(x for x in lines if "change" in x)) :]]
    assert table[1].split() == ["readings.lost", "0", "3", "exact", "worse"]
    moved = [line.split()[0] for line in table[1:] if line.endswith("worse")]
    assert moved == [
        "readings.lost",
        *(f"push.latency.{name}" for name in ("middle", "p50", "p90", "p99")),
    ]
    assert "+50 %" in table[2]
    assert "zero in both: checks.failed" in table
    assert "not compared: push.latency.p99_9 (3,000 samples are too few)" in table
    assert '- target.group_commit: "0.1 s" in A, "0.2 s" in B' in table


def test_what_is_printed_fits_a_narrow_terminal(worse: Comparison) -> None:
    assert max(map(len, on_a_terminal(worse, 80).splitlines())) <= 80


def test_markdown_is_a_table_that_escapes_what_was_recorded(worse: Comparison) -> None:
    text = as_markdown(worse)
    assert text.startswith("## ❌ B is worse than A\n\nA: 2026-11-20\\_a, B: 2026-11-21\\_b\n")
    assert "| readings.lost | 0 | 3 |  | exact | ❌ worse |" in text
    assert "### What differs" in text
    assert text.endswith("\n")


def test_markdown_of_many_differences_is_cut() -> None:
    other = subject(asked={f"grid.links.{i}.share": "1" for i in range(500)})
    text = as_markdown(compare([subject()], other))
    assert text.startswith("## ⚠️ Nothing can be said")
    assert "- and 460 more" in text
    assert len(text) < 20_000


def test_json_holds_every_figure_with_its_band(worse: Comparison) -> None:
    document = json.loads(as_json(worse))
    assert document["outcome"] == "worse"
    assert document["before"] == ["2026-11-20_a"]
    assert document["after"] == "2026-11-21_b"
    figures = {figure["figure"]: figure for figure in document["figures"]}
    assert figures["readings.lost"] == {
        "figure": "readings.lost",
        "unit": "count",
        "before": 0.0,
        "after": 3.0,
        "low": 0.0,
        "high": 0.0,
        "judgement": "worse",
        "decides": True,
        "why": "",
    }
    median = figures["push.latency.p50"]
    assert median["low"] < median["before"] < median["high"] < median["after"]
    assert [one["key"] for one in document["differences"]] == ["target.group_commit"]


def test_several_runs_are_told_as_a_baseline() -> None:
    found = compare([subject(name) for name in "abc"], subject("d"))
    assert "A  3 runs of a baseline" in on_a_terminal(found)
