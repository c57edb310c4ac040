"""What batteries surely could do, by figures worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from emulator.batteries.config import BatteryFleetConfig
from emulator.batteries.parameters import BatteryParameters
from emulator.batteries.record import Begun
from emulator.fleet_config import OutageSpan
from harness.bal.journal import Event
from harness.check.ability import Ability, Span, Split, read_splits
from harness.check.away import away_for, cut_off, killed, said_lost
from harness.check.battery_parts import Parts, read_parts
from harness.check.held import Held
from harness.check.told import NEVER_MS, Spell, Told
from harness.scenario import Scenario
from netem.conditions import FlapSpan

AH = 3_600_000_000
TOPOLOGY = """
battery = [
    { name = "a", voltage_mv = 1 },
    { name = "b", voltage_mv = 1 },
    { name = "c", voltage_mv = 1 },
]
aggregate = [
    { name = "both", sources = ["a", "b"] },
    { name = "mixed", sources = ["low", "c"] },
]

[[splitter]]
source = "both"
policy = "%s"
partitions = [{ name = "high", share = "60 %%" }, { name = "low", share = "40 %%" }]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "topology.toml"
    path.write_text(TOPOLOGY % "reserved")
    return path


def held(*charges_ah: int) -> Mapping[str, Held]:
    """Return batteries of 60 A and 40 A, and one of 10 A: 110, 40 and 100 Ah."""
    made = zip("abc", (60, 40, 10), (110, 40, 100), charges_ah, strict=True)
    return {
        name: Held(Begun(0, name, "jbd", 0, ah * AH, full * AH, ma * 1_000, ma * 1_000, 1_000_000))
        for name, ma, full, ah in made
    }


def could(
    parts: Parts, splits: Mapping[str, Split], of: Mapping[str, Held], **wanted_ma: int
) -> tuple[int, int] | None:
    (component,) = parts.components()
    ability = Ability(parts, splits, of, component, {}, [])
    return ability(Spell(0, 1, (), wanted_ma), 0, 1)


def test_shares_policy_and_place_are_those_of_the_file(file: Path) -> None:
    assert read_splits(file) == {
        "high": Split("both", 600_000, 0, proportional=False),
        "low": Split("both", 400_000, 600_000, proportional=False),
    }


def test_an_aggregate_does_what_every_way_to_divide_it_allows(file: Path) -> None:
    parts, splits = read_parts(file), read_splits(file)
    # By charge 60 A : 100 Ah and 40 A : 30 Ah allow 78 A, by capacity 81.8 A, evenly 80 A. So 80 A
    # to 100 A are expected of both: the first partition has 48 A, less 5 %.
    charges = held(100, 30, 50)
    assert could(parts, splits, charges, high=45_000) == (45_000, 45_000)
    assert could(parts, splits, charges, high=60_000) == (45_600, 60_000)
    # By room, 10 Ah and 10 Ah allow 80 A.
    assert could(parts, splits, charges, high=-58_000) == (-58_000, -45_600)
    # The second one has what 60 A leave of 78 A, less 5 %.
    assert could(parts, splits, charges, low=20_000) == (17_100, 20_000)
    # One of a partition and another: either could have to do it all.
    assert could(parts, splits, charges, mixed=9_000) == (9_000, 9_000)
    assert could(parts, splits, charges, mixed=10_000) == (9_500, 10_000)


def test_what_lacks_is_borne_by_the_last_first_or_by_all_alike(tmp_path: Path) -> None:
    found = {}
    for policy in ("reserved", "tranched", "proportional"):
        path = tmp_path / f"{policy}.toml"
        path.write_text(TOPOLOGY % policy)
        parts, splits = read_parts(path), read_splits(path)
        (component,) = parts.components()
        ability = Ability(parts, splits, held(10, 40, 50), component, {}, [])
        found[policy] = [ability._limits(name, 0)[1] for name in ("high", "low")]
    # By charge 60 A : 10 Ah and 40 A : 40 Ah: both together 50 A, of at least 80 A expected.
    assert found == {
        "reserved": [48_000, 0],
        "tranched": [48_000, 0],
        "proportional": [30_000, 20_000],
    }


@pytest.mark.parametrize(
    ("told", "well"),
    [
        # 24 Ah are the share of 60 Ah; less than 2 % of 60 may be left after 22.8 Ah.
        ([Told("x", 0, 0, 22_700)], (1_000, 1_000)),
        ([Told("x", 0, 0, 22_900)], (0, 1_000)),
        # Which of the two went on is not known, so both may have.
        ([Told("x", 0, 9, 12_000), Told("y", 5, 9, 12_000)], (0, 1_000)),
        ([Told("x", 0, 5, 12_000), Told("y", 5, 9, 12_000)], (1_000, 1_000)),
        ([Told("x", 0, NEVER_MS, 1)], (1_000, 1_000)),
    ],
)
def test_what_can_have_moved_through_an_account_counts(
    tmp_path: Path, told: list[Told], well: tuple[int, int]
) -> None:
    path = tmp_path / "plain.toml"
    path.write_text(
        'battery = [{ name = "a", voltage_mv = 1 }]\n[[splitter]]\nsource = "a"\n'
        'partitions = [{ name = "high", share = "60 %" }, { name = "low", share = "40 %" }]\n'
    )
    parts, splits = read_parts(path), read_splits(path)
    begun = Begun(0, "a", "jbd", 0, 60 * AH, 150 * AH, 90_000, 90_000, 1_000_000)
    (component,) = parts.components()
    ability = Ability(parts, splits, {"a": Held(begun)}, component, {"low": told}, [])
    spell = Spell(0, 3_600_000, (), {"low": 1_000})
    assert ability(spell, 3_600_000, 3_600_000) == well


def fleet(**changes: object) -> BatteryFleetConfig:
    made = BatteryFleetConfig(
        seed=7, first_s=100, grid=BatteryParameters(count=1), link="none", listen_ports=(1,)
    )
    return made.model_copy(update=changes)


def test_what_the_timeline_cut_off_is_away_as_long_again() -> None:
    outage = OutageSpan(number=0, starts_s=60, lasts_s=300, share_ppm=10)
    flap = FlapSpan(number=1, occurrences=((10, 20), (500, 4_100)), period_s=1, down_ppm=1)
    assert cut_off(fleet(outages=(outage,), conditions=(flap,)), speed=10.0) == [
        (160_000, 760_000),
        (110_000, 130_000),
        # An hour, but no more than two minutes of wall time on top.
        (600_000, 5_400_000),
    ]


def test_a_layer_that_was_killed_is_away_until_it_is_started_again() -> None:
    kills = [
        {"do": "kill", "part": "bal", "at": "00:02", "restart_after": "3 s"},
        {"do": "kill", "at": "00:03"},
    ]
    scenario = Scenario.model_validate(
        {
            "name": "killed",
            "speed": 10.0,
            "grid": {"transformer_stations": 2},
            "behaviour": {"steps": 2},
            "batteries": {"count": 1},
            "bal": {"virtual": 1},
            "timeline": kills,
        }
    )
    assert killed(scenario, 100) == [(220_000, 250_000)]


def test_who_our_layer_said_to_have_lost_is_away_until_it_was_read() -> None:
    def event(at_ms: int, kind: str, name: str) -> Event:
        return Event(at_ms, at_ms, kind, {"name": name})

    events = [
        event(1, "read", "a"),
        event(5, "lost", "a"),
        event(6, "lost", "a"),
        event(7, "read", "b"),
        event(9, "read", "a"),
        event(11, "lost", "b"),
        event(12, "set current", "b"),
    ]
    lost = said_lost(events, before_ms=2)
    assert lost == {"a": [(3, 9)], "b": [(9, NEVER_MS)]}
    span: Span = (0, 3)
    assert away_for(["b", "c"], [span], lost) == [span, (9, NEVER_MS)]
