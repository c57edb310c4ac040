"""Obedience, against layers made by hand over real batteries: one that obeys, and its mutants."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from emulator.batteries.battery import Battery
from emulator.batteries.physics import Course, Ratings
from emulator.batteries.record import BatteryRecord, read_record
from harness.check.ability import Ability, Span, read_splits
from harness.check.battery_parts import Component, read_parts
from harness.check.held import held_by_name
from harness.check.obedience import Obedience, obedience_of
from harness.check.told import told_by_clients
from harness.load.clients.commanded import Commanded
from harness.run.set_points import SetPoint

AH = 3_600_000_000
WITHIN_MS = 10_000
END_MS = 3_600_000
TOPOLOGY = """
battery = [
    { name = "a", voltage_mv = 51_200 },
    { name = "b", voltage_mv = 51_200 },
    { name = "c", voltage_mv = 51_200 },
    { name = "d", voltage_mv = 51_200 },
]
aggregate = [{ name = "A", sources = ["a", "b"] }, { name = "B", sources = ["c", "d"] }]

[[splitter]]
source = "A"
policy = "reserved"
partitions = [{ name = "A/x", share = "60 %" }, { name = "A/y", share = "40 %" }]
"""
LEAVES = {"A": ("a", "b"), "B": ("c", "d")}
WHOLE = {"A/x": "A", "A/y": "A", "B": "B"}
RATINGS = Ratings(100 * AH, charge_ma_max=50_000, discharge_ma_max=50_000, resistance_uohm=0)


class World:
    """Four batteries, and a layer that does what it is told, in the way that a test wants.

    Args:
        folder: where the record and the topology go.
        charges_ah: what batteries hold at first.
        powered: batteries that are told a power, made of the current at 51.2 V.
    """

    def __init__(
        self,
        folder: Path,
        charges_ah: Sequence[int] = (50, 50, 50, 50),
        powered: Sequence[str] = ("b", "d"),
    ) -> None:
        self._folder = folder
        self._powered = powered
        self._record = BatteryRecord(folder / "process-0.ndjson")
        self._batteries = {
            name: Battery(number, name, RATINGS, Course(0, charge * AH), self._record)
            for number, (name, charge) in enumerate(zip("abcd", charges_ah, strict=True))
        }
        for battery in self._batteries.values():
            interface = "sunspec" if battery.name in powered else "jbd"
            self._record.write(battery.begun(interface))
        self._wanted = dict.fromkeys(WHOLE, 0)
        self.commanded: list[Commanded] = []
        self.points: list[SetPoint] = []

    def tell(self, at_ms: int, name: str, current_ma: int, *, waits_ms: int = 200) -> None:
        """Note a command of a client, accepted after ``waits_ms``."""
        self.commanded.append(
            Commanded(
                operation="bal.command",
                command=f"bal.command-{len(self.commanded)}",
                subject=name,
                body={"id": "", "current_ma": current_ma},
                due_us=at_ms * 1_000,
                attempts=1,
                answered_us=(at_ms + waits_ms) * 1_000,
                status=200,
                answer={},
            )
        )

    def do(self, at_ms: int, name: str, current_ma: int, *, short_ma: int = 0) -> None:
        """Let the batteries behind do what is wanted, less ``short_ma``, one a second later."""
        self._wanted[name] = current_ma
        whole = WHOLE[name]
        together_ma = sum(ma for top, ma in self._wanted.items() if WHOLE[top] == whole) - short_ma
        first, second = LEAVES[whole]
        self.order(at_ms, first, together_ma // 3)
        self.order(at_ms + 1_000, second, together_ma - together_ma // 3)

    def order(self, at_ms: int, leaf: str, current_ma: int) -> None:
        """Tell a battery."""
        battery = self._batteries[leaf]
        if leaf not in self._powered:
            battery.set_current(current_ma, at_ms)
            return
        power_mw = current_ma * 51_200 // 1_000
        shown_mv = battery.status(at_ms).voltage_mv
        battery.set_current(power_mw * 1_000 // shown_mv, at_ms, for_power_mw=power_mw)

    def judged(
        self, away: Sequence[Span] = (), left_out: frozenset[str] = frozenset()
    ) -> Obedience:
        """End it, and return what the check says."""
        with closing(self._record):
            self._record.write(*(one.ended(END_MS) for one in self._batteries.values()))
        file = self._folder / "topology.toml"
        file.write_text(TOPOLOGY)
        parts, splits = read_parts(file), read_splits(file)
        held = held_by_name(read_record(self._folder / "process-0.ndjson"), [])
        told = told_by_clients(self.commanded, self.points, lambda us: us // 1_000)

        def could(component: Component) -> Ability:
            return Ability(parts, splits, held, component, told, away)

        return obedience_of(parts, held, told, could, within_ms=WITHIN_MS, left_out=left_out)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_what_is_done_in_time_is_obeyed(world: World) -> None:
    for at_ms, name, current_ma in ((60_000, "A/x", 9_000), (90_000, "A/y", -4_000)):
        world.tell(at_ms, name, current_ma)
        world.do(at_ms + 100, name, current_ma)
    world.tell(120_000, "B", -3_000)
    world.do(128_000, "B", -3_000)
    found = world.judged()
    assert found.findings == []
    assert (found.obeyed, found.unjudged) == (3, 0)


def test_a_command_that_is_lost_is_found_and_named(world: World) -> None:
    world.tell(60_000, "A/x", 9_000)
    world.do(60_100, "A/x", 9_000)
    world.tell(90_000, "A/y", -4_000)
    (finding,) = world.judged().findings
    assert (finding.battery, finding.at_ms) == ("A/x, A/y", 90_201)
    assert finding.what.startswith("5000 mA was told (A/x 9000, A/y -4000; last by bal.command-1)")


Mutant = Callable[[World, int, str, int], None]


def obeys(world: World, at_ms: int, name: str, current_ma: int) -> None:
    world.do(at_ms, name, current_ma)


def executes_twice(world: World, at_ms: int, name: str, current_ma: int) -> None:
    world.do(at_ms, name, current_ma)
    world.do(at_ms + 3_000, name, current_ma)


def loses(world: World, at_ms: int, name: str, current_ma: int) -> None:
    pass


def is_late(world: World, at_ms: int, name: str, current_ma: int) -> None:
    world.do(at_ms + WITHIN_MS + 1_000, name, current_ma)


def splits_wrongly(world: World, at_ms: int, name: str, current_ma: int) -> None:
    world.do(at_ms, name, current_ma, short_ma=current_ma // 10)


def mistakes_the_sign(world: World, at_ms: int, name: str, current_ma: int) -> None:
    world.do(at_ms, name, -current_ma)


def tells_another(world: World, at_ms: int, name: str, current_ma: int) -> None:
    world.do(at_ms, "B" if name != "B" else "A/x", current_ma)


def forgets_after_a_while(world: World, at_ms: int, name: str, current_ma: int) -> None:
    world.do(at_ms, name, current_ma)
    world.do(at_ms + 15_000, name, 0)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("mutant", "is_found"),
    [
        (obeys, False),
        (executes_twice, False),
        (loses, True),
        (is_late, True),
        (splits_wrongly, True),
        (mistakes_the_sign, True),
        (tells_another, True),
        (forgets_after_a_while, True),
    ],
)
def test_a_layer_is_found_out_by_what_it_does_with_one_command_in_eight(
    world: World, mutant: Mutant, is_found: bool, seed: int
) -> None:
    draws = random.Random(seed)
    for number in range(40):
        at_ms = 60_000 + 50_000 * number + draws.randrange(10_000)
        name = draws.choice(sorted(WHOLE))
        current_ma = draws.choice((-1, 1)) * draws.randrange(3_000, 9_000)
        world.tell(at_ms, name, current_ma)
        (mutant if number % 8 == 5 else obeys)(world, at_ms + 150, name, current_ma)
    found = world.judged()
    assert bool(found.findings) == is_found, (seed, found)
    assert found.obeyed + found.unjudged + len(found.findings) >= 40
    if not is_found:
        assert (found.obeyed, found.unjudged) == (40, 0)


def test_a_layer_that_obeys_is_never_blamed_however_dense_its_commands_are(world: World) -> None:
    draws = random.Random(2)
    at_ms = 60_000
    for _ in range(1_000):
        at_ms += draws.randrange(3_000)
        name = draws.choice(sorted(WHOLE))
        current_ma = draws.randrange(-9_000, 9_000)
        takes_ms = draws.randrange(100, 5_000)
        world.tell(at_ms, name, current_ma, waits_ms=takes_ms)
        world.do(at_ms + draws.randrange(takes_ms), name, current_ma)
    found = world.judged()
    assert found.findings == []
    assert found.obeyed + found.unjudged == 1_000
    assert found.obeyed > 100
    assert found.unjudged > 100


def unanswered(one: Commanded) -> Commanded:
    return replace(one, status=0)


def refused(one: Commanded) -> Commanded:
    return replace(one, status=422)


def refused_at_last(one: Commanded) -> Commanded:
    return replace(one, status=409, attempts=2)


@pytest.mark.parametrize(
    ("change", "found", "unjudged"),
    [(unanswered, 0, 2), (refused, 1, 0), (refused_at_last, 0, 2)],
)
def test_a_command_of_which_nobody_knows_may_come_at_any_time(
    world: World, change: Callable[[Commanded], Commanded], found: int, unjudged: int
) -> None:
    world.tell(60_000, "B", 5_000)
    world.commanded[0] = change(world.commanded[0])
    world.do(600_000, "B", 5_000)
    world.tell(900_000, "B", 5_000)
    # A refused one did nothing, so 5 A out of nothing are found; the next one wants them.
    judged = world.judged()
    assert (len(judged.findings), judged.unjudged) == (found, unjudged)


def test_which_of_two_commands_under_way_came_last_is_not_known(world: World) -> None:
    world.tell(60_000, "B", 5_000, waits_ms=30_000)
    world.tell(70_000, "B", 2_000, waits_ms=1_000)
    world.do(80_000, "B", 5_000)
    judged = world.judged()
    assert (judged.findings, judged.obeyed, judged.unjudged) == ([], 0, 2)


AWAY: Mapping[str, tuple[Span, int]] = {
    "all the while": ((50_000, END_MS), 0),
    "until a while before the next": ((50_000, 95_000), 0),
    "and long back": ((50_000, 85_000), 1),
}


@pytest.mark.parametrize("when", AWAY)
def test_who_is_cut_off_need_not_obey_and_has_its_while_after_it(world: World, when: str) -> None:
    away, findings = AWAY[when]
    world.tell(60_000, "B", 5_000)
    world.tell(100_000, "B", 0)
    assert len(world.judged(away=[away]).findings) == findings


@pytest.mark.parametrize(
    ("charges_ah", "does_ma", "findings"),
    [
        ((50, 50, 50, 50), 2_000, 1),
        # One is as good as empty: less is well, more is not, nor the other way.
        ((50, 50, 1, 50), 2_000, 0),
        ((50, 50, 1, 50), 5_500, 1),
        ((50, 50, 99, 50), 0, 0),
        ((50, 50, 99, 50), -300, 1),
    ],
)
def test_who_is_nearly_full_or_empty_may_do_less(
    tmp_path: Path, charges_ah: Sequence[int], does_ma: int, findings: int
) -> None:
    world = World(tmp_path, charges_ah)
    world.tell(60_000, "B", 5_000)
    world.order(60_100, "c", 0)
    world.order(60_100, "d", does_ma)
    assert len(world.judged().findings) == findings


def test_what_is_near_the_limits_may_be_cut(tmp_path: Path) -> None:
    # By charge, 40 and 80 Ah: the second has its 50 A when both give 75 A.
    world = World(tmp_path, (50, 50, 40, 80))
    world.tell(60_000, "B", 76_000)
    world.do(60_100, "B", 76_000, short_ma=2_000)
    world.tell(90_000, "B", 60_000)
    world.do(90_100, "B", 60_000, short_ma=4_000)
    (finding,) = world.judged().findings
    assert finding.at_ms == 90_201


def test_a_partition_whose_account_may_be_empty_may_do_less(world: World) -> None:
    # 40 Ah of the 100 Ah are of A/y: 40 A last for an hour at most, and may end 1.2 min before it.
    world.tell(0, "A/y", 38_000)
    world.do(100, "A/y", 38_000)
    world.do(3_500_000, "A/y", 0)
    assert len(world.judged().findings) == 1


def test_an_account_that_may_be_empty_excuses(tmp_path: Path) -> None:
    world = World(tmp_path, (20, 20, 50, 50))
    world.tell(0, "A/y", 17_000)
    world.do(100, "A/y", 17_000)
    world.do(3_400_000, "A/y", 0)
    assert world.judged().findings == []


def test_nobody_told_it_and_something_flows(world: World) -> None:
    world.order(60_000, "c", 700)
    (finding,) = world.judged().findings
    assert finding.what.startswith("0 mA was told (nothing; last by nobody)")


def test_opposite_currents_of_one_battery_are_nothing_together(world: World) -> None:
    world.order(60_000, "a", 700)
    world.order(61_000, "c", 700)
    world.order(62_000, "d", -701)
    world.order(66_000, "a", 0)
    assert world.judged().findings == []


@pytest.mark.parametrize(("does", "findings"), [(True, 0), (False, 1)])
def test_set_points_are_held_against_their_windows(world: World, does: bool, findings: int) -> None:
    world.points = [
        SetPoint("set-point-0", "B", 6_000, 100_000, 200_000, taken_ms=-5),
        SetPoint("set-point-1", "B", -2_000, 140_000, 160_000, taken_ms=-4),
    ]
    world.do(100_300, "B", 6_000)
    if does:
        world.do(140_300, "B", -2_000)
        world.do(160_300, "B", 6_000)
    world.do(200_300, "B", 0)
    found = world.judged()
    assert len(found.findings) == findings
    assert found.obeyed == 4 - findings


@pytest.mark.parametrize("taken_ms", [None, 100_001])
def test_a_set_point_that_was_not_taken_in_time_may_come_at_any_time(
    world: World, taken_ms: int | None
) -> None:
    world.points = [SetPoint("set-point-0", "B", 6_000, 100_000, 200_000, taken_ms=taken_ms)]
    assert world.judged().findings == []


def test_who_is_commanded_beside_its_set_points_is_not_judged(world: World) -> None:
    world.points = [SetPoint("set-point-0", "B", 6_000, 100_000, 200_000, taken_ms=-5)]
    world.tell(95_000, "B", 1_000)
    found = world.judged()
    assert (found.findings, found.obeyed) == ([], 0)


def test_what_others_may_have_commanded_is_left_out(world: World) -> None:
    world.tell(60_000, "A/x", 9_000)
    found = world.judged(left_out=frozenset({"A/y"}))
    assert (found.findings, found.unjudged) == ([], 1)


def test_who_is_commanded_though_others_are_made_of_it_is_left_out(world: World) -> None:
    world.tell(60_000, "A", 9_000)
    found = world.judged()
    assert (found.findings, found.unjudged) == ([], 1)
