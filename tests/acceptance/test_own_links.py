"""A scenario with links of its own: a line that concentrators share, and a trace they follow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netem.model import LinkStatistics
from tests.support.command_line import run_scenario

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

PROFILES = """
[profiles.line]
description = "a power line that five share"
sources = [{ figure = "all", text = "made up", confidence = "guess" }]
up = { latency = "50 ms", shared = { rate = "100 kbit/s", cell = 5 } }
down = { latency = "50 ms", shared = { rate = "100 kbit/s", cell = 5 } }

[profiles.walk]
description = "a link that comes and goes"
sources = [{ figure = "all", text = "made up", confidence = "guess" }]
up = { latency = "50 ms", trace = "walk.trace" }
down = { latency = "50 ms" }
"""
SCENARIO = """\
name = "own-links"
seed = 7
speed = 300
link_profiles = "links.toml"
[grid]
transformer_stations = 20
meters = 300
sizes = [{ name = "small", meters = [5, 25], share = "100 %" }]
links = [{ profile = "line", share = "50 %" }, { profile = "walk", share = "50 %" }]
[behaviour]
mode = "push"
steps = 2
"""
# Forty packets in the first second of three, and nothing then: 160 kbit/s on average.
TRACE = "".join(f"{time}\n" for time in range(25, 1001, 25)) + "3000\n"


def test_a_scenario_over_a_shared_line_and_a_trace_delivers_everything(tmp_path: Path) -> None:
    (tmp_path / "links.toml").write_text(PROFILES, encoding="utf-8")
    (tmp_path / "walk.trace").write_text(TRACE, encoding="ascii")
    scenario = tmp_path / "own.toml"
    scenario.write_text(SCENARIO, encoding="utf-8")
    run = run_scenario(scenario)
    assert run.status == 0, run.output
    readings = run.verdict.readings
    assert readings.owed == readings.stored == readings.correct == 600
    assert readings.duplicated == readings.lost == 0
    assert {link.quantity: link.agrees for link in run.verdict.links if link.agrees is False} == {}

    (summary,) = run.path.glob("ledger/shard-*/summary.json")
    links = json.loads(summary.read_text(encoding="utf-8"))["links"]
    line = LinkStatistics.from_dict(links["line"]).media.statistics
    walk = LinkStatistics.from_dict(links["walk"]).media.statistics
    assert set(line) == {f"{way} cell {cell}" for way in ("up", "down") for cell in range(4)}
    assert all(0 < counts.utilisation <= 1 for counts in line.values())
    assert set(walk) == {"up trace"}
    assert 0 < walk["up trace"].utilisation < 0.5
    # Whoever pushed into the silence of the trace waited for its end.
    assert walk["up trace"].delay_most_us > 500_000
