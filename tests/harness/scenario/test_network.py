"""What a scenario says befalls the network."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.fleet_config import OutageSpan
from harness.outlook import foresee
from harness.scenario import Degrade, Scenario, condition_spans, occurrences, outage_spans
from netem.conditions import FlapSpan, PartitionSpan
from netem.whom import Region
from tests.support.scenario_files import load, problems

HEAD = """\
name = "small"
speed = 900
[grid]
transformer_stations = 10
links = [{ profile = "lte", share = "50 %" }, { profile = "none", share = "50 %" }]
[behaviour]
steps = 192
"""
DATED = HEAD + 'first = "2026-01-12T12:00:00+01:00"\n'
H = 3600.0


def written(text: str) -> str:
    return "[[timeline]]\n" + text


def when(scenario: Scenario, number: int = 0) -> list[tuple[float, float]]:
    happens = scenario.timeline[number]
    assert isinstance(happens, Degrade)
    return [(a / H, b / H) for a, b in occurrences(happens, scenario.behaviour)]


# ---- what it means -----------------------------------------------------------------------------


def test_all_of_it_reaches_the_fleet_as_it_is_written(tmp_path: Path) -> None:
    scenario = load(
        tmp_path,
        DATED
        + written('do = "outage"\nat = "01:00"\nfor = "1 h"\nregion = "2 of 5"\n')
        + written('do = "flap"\nat = "02:00"\nfor = "1 h"\nperiod = "5 min"\nlinks = ["lte"]\n')
        + written('do = "partition"\nat = "03:00"\nfor = "1 h"\ncells = 5\nshare = "40 %"\n')
        + written('do = "degrade"\nat = "04:00"\nfor = "1 h"\nlatency = "x 3"\nramp = "10 min"\n'),
    )
    (outage,) = outage_spans(scenario.timeline, scenario.behaviour)
    assert outage == OutageSpan(
        number=0, starts_s=H, lasts_s=H, share_ppm=1_000_000, region=Region(2, 2, 5)
    )
    flap, partition, degrade = condition_spans(scenario.timeline, scenario.behaviour)
    assert isinstance(flap, FlapSpan)
    assert (flap.number, flap.whom.links, flap.occurrences) == (1, ("lte",), ((2 * H, 3 * H),))
    assert (flap.period_s, flap.down_ppm, flap.jitter_ppm) == (300, 200_000, 500_000)
    assert flap.connections == "break"
    assert isinstance(partition, PartitionSpan)
    assert (partition.whom.cells, partition.whom.share_ppm) == (5, 400_000)
    assert degrade.model_dump()["ramp_s"] == 600
    assert Scenario.from_resolved(scenario.resolved_json()) == scenario


@pytest.mark.parametrize(
    ("words", "times"),
    [
        # The first step is at noon, the run lasts two days.
        ('hours = ["18:00-22:00"]', [(6, 10), (30, 34)]),
        ('hours = ["22:00-06:00"]', [(10, 18), (34, 42)]),
        ('hours = ["10:00-14:00"]', [(0, 2), (22, 26), (46, 48)]),
        ('hours = ["00:00-24:00"]', [(0, 48)]),
        ('hours = ["18:00-20:00", "19:00-22:00"]', [(6, 10), (30, 34)]),
        ('hours = ["18:00-20:00", "06:00-07:00"]', [(6, 8), (18, 19), (30, 32), (42, 43)]),
        ('hours = ["18:00-22:00"]\nat = "07:00"\nfor = "24 h"', [(7, 10), (30, 31)]),
    ],
)
def test_hours_come_every_day(words: str, times: list[tuple[float, float]], tmp_path: Path) -> None:
    assert when(load(tmp_path, DATED + written(f'do = "degrade"\nloss = "1 %"\n{words}'))) == times


def test_hours_are_those_of_the_meters(tmp_path: Path) -> None:
    text = DATED + written('do = "degrade"\nloss = "1 %"\nhours = ["18:00-22:00"]')
    assert when(load(tmp_path, text, "behaviour.utc_offset=+03:00"))[0] == (4, 8)


# ---- what cannot be ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "key", "said"),
    [
        ('do = "outage"\nat = "00:20"', "for", "is missing: say how long it lasts, or at which"),
        ('do = "partition"\nat = "48:00"\nfor = "1 h"', "at", "happens too late: the last step is"),
        ('do = "partition"\nfor = "1 h"\nlinks = ["lt"]', "links.0", 'did you mean "lte"?'),
        ('do = "partition"\nfor = "1 h"\nregion = "9 of 8"', "region", "count from 1 to 8"),
        ('do = "partition"\nfor = "1 h"\nregion = "9 of 80"', "region", "only 10 concentrators"),
        ('do = "partition"\nfor = "1 h"\ncells = 11', "cells", "only 10 concentrators"),
        ('do = "flap"\nfor = "1 h"\nperiod = "2 h"', "period", "not one cycle fits into the 3600"),
        ('do = "flap"\nfor = "1 h"\nperiod = "1 s"', "period", "at least 90 s, or a lower speed"),
        ('do = "flap"\nfor = "1 h"\nperiod = "5 min"\ndown = "100 %"', "down", "less than"),
        ('do = "degrade"\nfor = "1 h"\nloss = "110 %"', "loss", "must be 0 % to 100 %"),
        ('do = "degrade"\nfor = "1 h"\nlatency = "3"', "latency", 'such as "x 3", or a number'),
        ('do = "degrade"\nfor = "1 h"\nlatency = "x 3"\nramp = "31 min"', "ramp", "takes 3720 s"),
        ('do = "degrade"\nfor = "1 h"', "do", "give latency, jitter, loss or rate"),
        (
            'do = "degrade"\nfor = "1 h"\nloss = "x 3"\nlinks = ["none"]',
            "do",
            "nothing to multiply",
        ),
        ('do = "degrade"\nloss = "1 %"\nhours = ["18:00-22:00"]', "hours", "set behaviour.first"),
        ('do = "degrade"\nloss = "1 %"\nhours = ["18-22"]', "hours.0", 'such as "18:00-22:00"'),
        ('do = "degrade"\nloss = "1 %"\nhours = ["8:00-8:00"]', "hours.0", '"00:00-24:00"'),
        ('do = "degrade"\nloss = "1 %"\nhours = ["8:00-24:30"]', "hours.0", "ends at 24:00"),
    ],
)
def test_nonsense_is_refused_with_what_mends_it(
    text: str, key: str, said: str, tmp_path: Path
) -> None:
    (line,) = problems(tmp_path, HEAD + written(text))
    assert f": timeline.0.{key}: " in line
    assert said in line


def test_hours_that_no_step_lies_in_are_refused(tmp_path: Path) -> None:
    text = DATED + written('do = "degrade"\nloss = "1 %"\nhours = ["18:00-22:00"]')
    (line,) = problems(tmp_path, text, "behaviour.steps=8")
    assert "timeline.0.hours: no step of the run lies in these hours" in line


def test_bare_loopback_cannot_get_worse_but_be_cut(tmp_path: Path) -> None:
    text = 'link = "none"\n' + HEAD + written('do = "degrade"\nfor = "1 h"\nloss = "1 %"')
    (line,) = problems(tmp_path, text)
    assert 'link is "none"' in line
    load(tmp_path, 'link = "none"\n' + HEAD + written('do = "partition"\nfor = "1 h"'))


def test_what_the_kernel_cannot_do_is_refused_in_the_scenario(tmp_path: Path) -> None:
    slow = written('do = "degrade"\nfor = "1 h"\njitter = "3 s"')
    for tier in ("model", "packet"):
        load(tmp_path, f'link = "{tier}"\n' + HEAD + slow)
    (line,) = problems(tmp_path, 'link = "netem"\n' + HEAD + slow)
    assert "timeline.0.do: makes of links what they cannot be: " in line
    assert "up.jitter: the kernel's netem knows no jitter above 2.147 s" in line


# ---- what it would do --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            'do = "outage"\nat = "00:20"\nfor = "20 min"\nregion = "2 of 5"',
            "at 00:20 for 20 min: 100 % of all links in region 2 of 5 cut off; "
            "hits 2 concentrators; closes 2 steps",
        ),
        (
            'do = "flap"\nat = "01:00"\nfor = "1 h"\nperiod = "5 min"\nlinks = ["lte"]',
            "at 01:00 for 1 h: 100 % of lte down 20 % of every 5 min (connections break); "
            "hits 5 concentrators; down 12 times, 12 min in all; closes no step",
        ),
        (
            'do = "partition"\nat = "47:30"\nfor = "1 h"\nshare = "10 %"',
            "at 47:30 for 1 h: 10 % of all links without a way to the head-end (octets hang); "
            "hits 1 concentrator; closes no step; it holds when the last step ends: "
            "what it delays then may not arrive in the drain",
        ),
        (
            'do = "degrade"\nhours = ["18:00-22:00"]\nloss = "10 %"\nlatency = "x 3"\n'
            'way = "up"\nramp = "10 min"\ncells = 5\nshare = "40 %"',
            "every day 18:00-22:00: 40 % of 5 cells on all links worse: latency x 3, loss 10 %, "
            "up only, 10 min to get there and back; hits 4 concentrators; 2 times in this run; "
            "closes no step",
        ),
        ('do = "kill"\nat = "00:20"', "at 00:20: head-end shard 0 killed"),
        (
            'do = "freeze"\nat = "00:20:30"\nfor = "3 s"\npart = "fleet"',
            "at 00:20:30 for 3 s of wall time: fleet shard 0 stands still",
        ),
    ],
)
def test_it_is_told_in_words(text: str, said: str, tmp_path: Path) -> None:
    outlook = foresee(load(tmp_path, DATED + written(text)))
    assert outlook.timeline == (said,)
    assert "timeline:" in str(outlook)


def test_what_an_outage_defers_is_foreseen(tmp_path: Path) -> None:
    text = 'do = "outage"\nat = "47:50"\nfor = "1 h"'
    plain, cut = foresee(load(tmp_path, DATED)), foresee(load(tmp_path, DATED + written(text)))
    assert plain.deferred == 0
    assert cut.deferred == cut.meters
