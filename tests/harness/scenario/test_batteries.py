"""What a scenario says befalls batteries and their layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emulator.batteries.grid import generate_batteries
from emulator.fleet_config import OutageSpan
from emulator.schedule import Outage
from harness.bal.faces.config import SunSpecFace
from harness.outlook import foresee
from harness.run.battery_files import battery_fleet, face_config
from harness.scenario import Kill, condition_spans, outage_spans
from netem.conditions import FlapSpan, PartitionSpan
from tests.support.scenario_files import SMALL, load, problems

HEAD = (
    SMALL
    + """\
links = [{ profile = "lte", share = "100 %" }]
[behaviour]
steps = 8
[batteries]
count = 30
links = [{ profile = "seed-1", share = "50 %" }, { profile = "seed-2", share = "50 %" }]
[bal]
virtual = 3
"""
)
AWAY = """
[[timeline]]
do = "outage"
of = "batteries"
at = "00:20"
for = "10 min"
share = "40 %"
"""


def event(do: str, *lines: str) -> str:
    return "\n".join(["", "[[timeline]]", f'do = "{do}"', *lines, ""])


OF = 'of = "batteries"'
AT = 'at = "00:20"\nfor = "10 min"'


def test_batteries_are_told_what_befalls_them_and_concentrators_are_not(tmp_path: Path) -> None:
    scenario = load(
        tmp_path,
        HEAD
        + AWAY
        + event("flap", OF, AT, 'period = "1 min"', 'links = ["seed-1"]')
        + event("partition", AT, 'region = "1 of 2"'),
    )
    told = battery_fleet(scenario, 0, (1,))
    assert told.outages == (OutageSpan(number=0, starts_s=1200, lasts_s=600, share_ppm=400_000),)
    (flap,) = told.conditions
    assert isinstance(flap, FlapSpan)
    assert (flap.number, flap.whom.links) == (1, ("seed-1",))
    assert outage_spans(scenario.timeline, scenario.behaviour) == ()
    (cut,) = condition_spans(scenario.timeline, scenario.behaviour)
    assert isinstance(cut, PartitionSpan)
    assert cut.number == 2
    assert type(scenario).from_resolved(scenario.resolved_json()) == scenario


def test_the_share_is_one_of_batteries(tmp_path: Path) -> None:
    scenario = load(tmp_path, HEAD + AWAY)
    assert scenario.batteries is not None
    grid = generate_batteries(scenario.batteries, scenario.seed)
    (span,) = battery_fleet(scenario, 0, (1,)).outages
    assert np.count_nonzero(Outage(span, grid, scenario.seed).hits) == 12


def test_the_layer_can_be_killed(tmp_path: Path) -> None:
    (kill,) = load(tmp_path, HEAD + event("kill", 'part = "bal"', 'at = "00:20"')).timeline
    assert isinstance(kill, Kill)
    assert (kill.part, kill.restart_after) == ("bal", 1.0)
    (kill,) = load(tmp_path, SMALL + event("kill", 'at = "00:01"')).timeline
    assert isinstance(kill, Kill)
    assert kill.part == "headend"


def test_it_is_foreseen_of_whom_and_how_many(tmp_path: Path) -> None:
    scenario = load(
        tmp_path,
        HEAD
        + AWAY
        + event("flap", OF, AT, 'period = "5 min"', 'region = "1 of 30"')
        + event("partition", OF, AT),
    )
    away, flap, cut = foresee(scenario).timeline
    assert away == "at 00:20 for 10 min: 40 % of all links of batteries cut off; hits 12 batteries"
    assert "hits 1 battery" in flap
    assert "down 2 times" in flap
    assert "without a way to the battery layer" in cut
    assert not any("step" in sentence for sentence in (away, flap, cut))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SMALL + AWAY, "of: there are no batteries: say how many in [batteries]"),
        (
            HEAD + event("outage", OF, AT, 'links = ["lte"]'),
            "links.0: none of the batteries has this link",
        ),
        (
            HEAD + event("outage", OF, AT, 'region = "1 of 31"'),
            "region: the grid has only 30 batteries",
        ),
        (
            HEAD + event("degrade", OF, AT, 'latency = "x 3"', 'links = ["seed-3"]'),
            "links.0: none of the batteries has this link",
        ),
        (SMALL + event("kill", 'part = "bal"', 'at = "00:01"'), "part: there is nothing"),
        (SMALL + event("kill", 'part = "billing"', 'at = "00:01"'), "in [billing]"),
        (HEAD + event("outage", 'of = "meters"', AT), "timeline.0.of"),
        (
            'link = "netem"\n' + HEAD + event("degrade", OF, AT, 'jitter = "3 s"'),
            "timeline.0.do: makes of links what they cannot be: ",
        ),
        (
            'link = "netem"\n' + HEAD.replace("seed-2", "g3-plc-cell"),
            "batteries.links.1.profile: link profile g3-plc-cell: up.shared: the kernel's netem",
        ),
        (HEAD.replace("seed-2", "sed-2"), "links.1.profile: there is no such link profile; did"),
        (
            'link = "packet"\n' + HEAD.replace("count = 30", "count = 140_000"),
            "batteries.links.0.share: a lab has room for 65,534 batteries on one of them, and "
            "these are 70,000",
        ),
    ],
)
def test_what_cannot_be_is_said_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    lines = problems(tmp_path, text)
    assert any(said in line for line in lines), lines


FACES = """
[[bal.faces]]
speaks = "v1"
port = 4004
[[bal.faces]]
speaks = "sunspec"
port = 1502
units = ["virtual-00001", "virtual-00002"]
"""
V3 = 'speaks = "v3"\nport = 4006\ncertificate = "a.pem"\nkey = "a.key"\n'


def test_faces_are_told_to_the_layer(tmp_path: Path) -> None:
    for name in ("a.pem", "a.key", "b.pem"):
        (tmp_path / name).touch()
    own = "[[bal.faces]]\n" + V3 + 'authorities = "b.pem"\n'
    scenario = load(tmp_path, HEAD + FACES + own)
    assert scenario.bal is not None
    dialect, sunspec, secured = map(face_config, scenario.bal.faces)
    assert (dialect.speaks, dialect.port, dialect.host) == ("v1", 4004, "127.0.0.1")
    assert isinstance(sunspec, SunSpecFace)
    assert sunspec.units == {1: "virtual-00001", 2: "virtual-00002"}
    assert secured.tls is not None
    assert secured.tls.authorities == tmp_path / "b.pem"
    assert type(scenario).from_resolved(scenario.resolved_json()) == scenario


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (FACES.replace("1502", "4004"), "two faces cannot have one port"),
        (FACES.replace("units", "unit"), "units"),
        ('[[bal.faces]]\nspeaks = "v1"\nport = 1\nunits = ["x"]\n', "units"),
        ('[[bal.faces]]\nspeaks = "v3"\nport = 1\n', "v3 needs all three"),
        ("[[bal.faces]]\n" + V3 + 'authorities = "nowhere.pem"\n', "there is no file"),
    ],
)
def test_faces_that_cannot_be_are_refused(tmp_path: Path, text: str, said: str) -> None:
    for name in ("a.pem", "a.key"):
        (tmp_path / name).touch()
    lines = problems(tmp_path, HEAD + text)
    assert any(said in line for line in lines), lines
