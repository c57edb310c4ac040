"""Random topologies under random commands, losses and returns: what must hold always holds.

The batteries here are played by the test itself, in integers: each does what it was told last,
until it is empty or full. Time moves by hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from harness.bal.model.aggregate import Aggregate
from harness.bal.model.batteries import Batteries
from harness.bal.model.engine import LOOK_AGAIN_MS
from harness.bal.model.partition import Partition, Splitter
from harness.bal.model.physical import Physical
from harness.bal.model.values import (
    NOTHING,
    Kind,
    Nameplate,
    Policy,
    Reading,
    Share,
    SourceOrder,
    Values,
)

LEVELS = 5
BATTERIES = 200
STEPS = 15


@dataclass
class Played:
    """A battery as the test plays it."""

    plate: Nameplate
    charge_ma_ms: int
    at_ms: int = 0
    told_ma: int = 0

    def pass_to(self, at_ms: int) -> None:
        left = self.charge_ma_ms - self.told_ma * (at_ms - self.at_ms)
        self.charge_ma_ms = max(0, min(self.plate.capacity_ma_ms, left))
        self.at_ms = at_ms

    def tell(self, at_ms: int, current_ma: int) -> None:
        assert -self.plate.max_charge_ma <= current_ma <= self.plate.max_discharge_ma
        self.pass_to(at_ms)
        self.told_ma = current_ma

    def reading(self, at_ms: int) -> Reading:
        self.pass_to(at_ms)
        return Reading.at(
            at_ms,
            Values(
                voltage_mv=self.plate.voltage_mv,
                current_ma=self.told_ma,
                max_charge_ma=self.plate.max_charge_ma,
                max_discharge_ma=self.plate.max_discharge_ma,
                charge_ma_ms=self.charge_ma_ms,
                capacity_ma_ms=self.plate.capacity_ma_ms,
            ),
        )


class World:
    """The batteries under test, those the test plays, and what was told when."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.batteries = Batteries()
        self.played: dict[str, Played] = {}
        self.last: dict[str, Reading] = {}
        self.lost: set[str] = set()
        self.now_ms = 0
        self.split_ma: dict[str, int] = {}
        self.split_ma_ms: dict[str, int] = {}
        self._build()

    # Building

    def _build(self) -> None:
        free = [self._physical(index) for index in range(self.random.randint(20, 120))]
        for level in range(1, LEVELS + 1):
            self.random.shuffle(free)
            kept, parts = [], free
            while parts and len(self.batteries.names()) < BATTERIES:
                parts, made = self._made_of(parts, f"l{level}-{len(parts)}")
                kept += made
            free = kept + parts
        for name in self.played:
            self.read(name)

    def _physical(self, index: int) -> str:
        random, name = self.random, f"b{index}"
        plate = Nameplate.of(
            voltage_mv=random.randint(12_000, 400_000),
            max_charge_ma=random.randint(0, 100_000),
            max_discharge_ma=random.randint(0, 100_000),
            capacity_mah=random.randint(1, 200_000),
        )
        kind = random.choice([Kind.PHYSICAL, Kind.NETWORKED])
        self.batteries.make_battery(name, kind, f"test:{name}", plate)
        charge = random.choice([0, plate.capacity_ma_ms, random.randint(0, plate.capacity_ma_ms)])
        self.played[name] = Played(plate, charge)
        return name

    def _made_of(self, parts: list[str], name: str) -> tuple[list[str], list[str]]:
        random = self.random
        if random.random() < 0.5:
            count = random.randint(1, 5)
            self.batteries.make_aggregator(name, parts[:count])
            return parts[count:], [name]
        cuts = [random.randint(1, 300_000) for _ in range(random.randint(2, 3))]
        shares = [Share(f"{name}-{index}", share) for index, share in enumerate(cuts)]
        self.batteries.make_splitter(shares, parts[0], random.choice(list(Policy)))
        return parts[1:], [share.name for share in shares]

    # Moving

    def read(self, name: str) -> None:
        self.lost.discard(name)
        self.last[name] = self.played[name].reading(self.now_ms)
        self.batteries.source_read(name, self.last[name], self.now_ms)

    def lose(self, name: str) -> None:
        self.lost.add(name)
        self.batteries.source_lost(name, self.now_ms)
        self.obey(self.batteries.due(self.now_ms))

    def obey(self, orders: list[SourceOrder]) -> None:
        for order in orders:
            assert order.source not in self.lost
            values = self.last[order.source].values
            assert order.current_ma <= 0 or values.charge_ma_ms > 0
            assert order.current_ma >= 0 or values.room_ma_ms > 0
            self.played[order.source].tell(self.now_ms, order.current_ma)
        self._note_splits()

    def pass_to(self, at_ms: int) -> None:
        due_ms = self.batteries.next_due_ms()
        while due_ms is not None and due_ms <= at_ms:
            self._pass(due_ms)
            self.obey(self.batteries.due(due_ms))
            due_ms = self.batteries.next_due_ms()
        self._pass(at_ms)

    def _pass(self, at_ms: int) -> None:
        for source, current_ma in self.split_ma.items():
            self.split_ma_ms[source] -= current_ma * (at_ms - self.now_ms)
        self.now_ms = at_ms

    def _note_splits(self) -> None:
        for splitter in splitters(self.batteries):
            name = splitter.source.name
            self.split_ma[name] = splitter.source.ordered_ma
            self.split_ma_ms.setdefault(name, 0)

    def command(self) -> None:
        tops = [name for name in self.batteries.names() if self.batteries.battery(name).is_top]
        name = self.random.choice(tops)
        values = self.batteries.status(name).current
        current_ma = self.random.randint(-values.max_charge_ma, values.max_discharge_ma)
        if self.random.random() < 0.3:
            start_ms = self.now_ms + self.random.randint(0, 500_000)
            end_ms = start_ms + self.random.randint(1, 500_000)
            expected = self.batteries.status(name).expected
            current_ma = self.random.randint(-expected.max_charge_ma, expected.max_discharge_ma)
            self.obey(self.batteries.schedule(name, current_ma, start_ms, end_ms, self.now_ms))
        else:
            self.obey(self.batteries.set_current(name, current_ma, self.now_ms))


def splitters(batteries: Batteries) -> list[Splitter]:
    found = [batteries.battery(name).splitter for name in batteries.names()]
    return [one for one in found if one is not None]


def check_orders(world: World) -> None:
    """Whatever is told at the top reaches the sources, to the milliampere, within every limit."""
    for name in world.batteries.names():
        battery = world.batteries.battery(name)
        values = battery.status().current
        assert -values.max_charge_ma <= battery.ordered_ma <= values.max_discharge_ma, name
        if isinstance(battery, Aggregate):
            assert battery.ordered_ma == sum(one.ordered_ma for one in battery.sources), name
        if battery.splitter is not None:
            parts = [one.ordered_ma for one in battery.splitter.partitions]
            assert battery.ordered_ma == sum(parts), name
        if isinstance(battery, Physical) and battery.online:
            assert world.played[name].told_ma == battery.ordered_ma, name


def check_snapshots(world: World) -> None:
    """A snapshot is made of one reading of each source, and its interval says of which."""
    for name in world.batteries.names():
        status = world.batteries.status(name)
        behind = world.batteries.sources(name)
        there = [one for one in behind if one not in world.lost]
        moments = [world.last[one].newest_ms for one in there or behind]
        assert (status.oldest_ms, status.newest_ms) == (min(moments), max(moments)), name
        assert (status.sources, status.sources_online) == (len(behind), len(there))
        if not there:
            assert status.current == NOTHING or status.kind is Kind.PARTITION
        values = status.current
        assert min(values.max_charge_ma, values.max_discharge_ma, values.charge_ma_ms) >= 0
    for name in world.batteries.names():
        battery = world.batteries.battery(name)
        if isinstance(battery, Physical) and name not in world.lost:
            read, shown = world.last[name].values, world.batteries.status(name).current
            assert (shown.charge_ma_ms, shown.current_ma) == (read.charge_ma_ms, read.current_ma)
        if isinstance(battery, Aggregate):
            for field in ("charge_ma_ms", "capacity_ma_ms", "current_ma"):
                parts = [getattr(one.status().current, field) for one in battery.sources]
                assert getattr(battery.status().current, field) == sum(parts)
        if battery.splitter is not None:
            check_shared(battery.splitter)


def check_shared(splitter: Splitter) -> None:
    splitter.look()
    source = splitter.source.status()
    for values, of_source in (("expected", source.expected), ("current", source.current)):
        parts = [getattr(holding, values) for holding in splitter.holdings]
        assert sum(part.capacity_ma_ms for part in parts) == of_source.capacity_ma_ms
        assert sum(part.max_charge_ma for part in parts) <= of_source.max_charge_ma
        assert sum(part.max_discharge_ma for part in parts) <= of_source.max_discharge_ma
    held = sum(holding.current.charge_ma_ms for holding in splitter.holdings)
    assert held <= source.current.charge_ma_ms


def check_accounts(world: World) -> None:
    """What flowed at the source is what changed in the accounts, to the milliampere-millisecond."""
    records = world.batteries.flows(0, world.now_ms)
    for record in records:
        changed = record.charged_ma_ms - record.discharged_ma_ms + record.adjusted_ma_ms
        assert record.opening_ma_ms + changed == record.closing_ma_ms
        assert record.closing_ma_ms >= 0
    for source, flowed in world.split_ma_ms.items():
        own = [record for record in records if record.source == source]
        assert sum(one.charged_ma_ms - one.discharged_ma_ms for one in own) == flowed, source


def live(world: World) -> None:
    """Let some time pass, with readings, losses, settlements and a command, and check it all."""
    random = world.random
    world.pass_to(world.now_ms + random.choice([0, 1, 400, 1_000, 60_000, 3_000_000]))
    for name in world.played:
        chance = random.random()
        if chance < 0.02 and name not in world.lost:
            world.lose(name)
        elif chance < 0.5:
            world.read(name)
    # Limits that follow from charges, not from a source's own limits, are kept within a second.
    world.pass_to(world.now_ms + LOOK_AGAIN_MS)
    for splitter in splitters(world.batteries):
        if random.random() < 0.05:
            world.batteries.settle(splitter.source.name, world.now_ms)
    world.obey(world.batteries.due(world.now_ms))
    if random.random() < 0.8:
        world.command()
    check_orders(world)
    check_snapshots(world)
    check_accounts(world)


@settings(
    max_examples=8,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    report_multiple_bugs=False,
)
@given(seed=st.integers(0, 2**32 - 1))
def test_limits_and_conservation_hold_whatever_happens(seed: int) -> None:
    world = World(Random(seed))
    world.obey(world.batteries.due(0))
    check_orders(world)
    for _ in range(STEPS):
        live(world)


def test_the_topologies_are_deep_and_large() -> None:
    worlds = [World(Random(seed)) for seed in range(5)]
    levels = [
        max(world.batteries.battery(name).level for name in world.batteries.names())
        for world in worlds
    ]
    partitions = [
        isinstance(world.batteries.battery(name), Partition)
        for world in worlds
        for name in world.batteries.names()
    ]
    assert max(levels) >= LEVELS
    assert max(len(world.batteries.names()) for world in worlds) >= BATTERIES
    assert sum(partitions) > len(partitions) // 10
