"""Our layer's own model over real batteries, driven at random: it is never blamed, a liar is."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path

import pytest

from emulator.batteries.battery import Battery
from emulator.batteries.physics import Course, Ratings
from emulator.batteries.record import BatteryRecord, read_record
from harness.bal import happenings
from harness.bal.errors import BatteryError
from harness.bal.happenings import happen, reading_details
from harness.bal.journal import Event
from harness.bal.model.batteries import Batteries
from harness.bal.model.values import (
    Kind,
    Nameplate,
    Policy,
    Reading,
    Share,
    SourceOrder,
    Values,
)
from harness.check.ability import Ability, Split
from harness.check.away import away_for, said_lost
from harness.check.battery_parts import Component, Parts
from harness.check.held import JBD_MA_MS, held_by_name
from harness.check.obedience import Obedience, obedience_of
from harness.check.told import told_by_clients
from harness.load.clients.commanded import Commanded

AH = 3_600_000_000
WITHIN_MS = 10_000
STEPS_MS = (500, 5_000, 30_000, 120_000)
READ_EVERY_MS = 60_000
PPM = 10**6


class Lived:
    """A random topology, batteries of a few ampere-hours, and a layer that keeps them.

    Args:
        folder: where the batteries' record goes.
        seed: of all that is drawn.
        loses: one in so many orders is lost on the way, and nobody notices; 0: none.
    """

    def __init__(self, folder: Path, seed: int, loses: int = 0) -> None:
        self._draw = random.Random(seed)
        self._layer = Batteries()
        self._record = BatteryRecord(folder / "process-0.ndjson")
        self._path = folder / "process-0.ndjson"
        self._loses = loses
        self._now_ms = 0
        self._read_ms = 0
        self._events: list[Event] = []
        self._commanded: list[Commanded] = []
        self._splits: dict[str, Split] = {}
        self._own: dict[str, Battery] = {}
        self._delay_ms: dict[str, int] = {}
        self._make()
        self._read(self._own)
        for _ in range(200):
            self._pass(self._now_ms + self._draw.choice(STEPS_MS))
            self._do()
        self._pass(self._now_ms + 10 * WITHIN_MS)
        self._record.write(*(one.ended(self._now_ms) for one in self._own.values()))
        self._record.close()

    def judged(self) -> Obedience:
        held = held_by_name(read_record(self._path), [])
        told = told_by_clients(self._commanded, [], lambda us: us // 1_000)
        lost = said_lost(self._events, 0)

        def could(component: Component) -> Ability:
            away = away_for(component.leaves, [], lost)
            return Ability(self._parts, self._splits, held, component, told, away)

        return obedience_of(self._parts, held, told, could, within_ms=WITHIN_MS)

    def _make(self) -> None:
        draw, made = self._draw, self._layer
        for number in range(draw.randint(2, 6)):
            self._battery(number, f"s{number}")
        aggregates, splitters = {}, {}
        for number in range(draw.randint(1, 4)):
            tops = made.tops()
            if draw.random() < 0.6:
                sources = draw.sample(tops, draw.randint(1, len(tops)))
                made.make_aggregator(f"g{number}", sources)
                aggregates[f"g{number}"] = tuple(sources)
            else:
                source, count = draw.choice(tops), draw.randint(1, 3)
                names = tuple(f"p{number}.{place}" for place in range(count))
                shares = [Share(name, draw.randint(PPM // 5, PPM // count)) for name in names]
                policy = draw.choice(list(Policy))
                made.make_splitter(shares, source, policy)
                splitters[source] = names
                self._split(source, shares, policy)
        plates = dict.fromkeys(self._own, 51_200)
        self._parts = Parts(plates, aggregates, splitters, frozenset())

    def _battery(self, number: int, name: str) -> None:
        draw = self._draw
        capacity, limit_ma = draw.randint(4, 12) * AH, draw.randint(2_000, 9_000)
        ratings = Ratings(capacity, limit_ma, limit_ma)
        begin = Course(0, capacity * draw.randint(1, 9) // 10)
        self._own[name] = Battery(number, name, ratings, begin, self._record)
        self._record.write(self._own[name].begun("jbd"))
        self._delay_ms[name] = draw.randrange(3_000)
        plate = Nameplate(51_200, limit_ma, limit_ma, capacity)
        self._layer.make_battery(name, Kind.PHYSICAL, "", plate)

    def _split(self, source: str, shares: list[Share], policy: Policy) -> None:
        before = 0
        for share in shares:
            proportional = policy is Policy.PROPORTIONAL
            self._splits[share.name] = Split(source, share.share_ppm, before, proportional)
            before += share.share_ppm

    def _pass(self, to_ms: int) -> None:
        """Let time pass; batteries are read now and then, but for those that are lost."""
        while self._read_ms + READ_EVERY_MS <= to_ms:
            self._read_ms += READ_EVERY_MS
            self._now_ms = max(self._now_ms, self._read_ms)
            self._read(name for name in self._own if self._draw.random() < 0.8)
        self._now_ms = to_ms
        for at_ms, told in self._layer.pass_time(to_ms):
            self._order(at_ms, told)

    def _do(self) -> None:
        draw = self._draw
        if draw.random() < 0.1:
            self._happen(happenings.LOST, name=draw.choice(list(self._own)))
            return
        name, current_ma = draw.choice(self._layer.tops()), draw.randint(-9_000, 9_000)
        if not draw.randrange(4):
            current_ma = 0
        if self._happen(happenings.SET_CURRENT, name=name, current_ma=current_ma):
            at_us = self._now_ms * 1_000
            command, body = f"c{len(self._commanded)}", {"current_ma": current_ma}
            self._commanded.append(
                Commanded("bal.command", command, name, body, at_us, 1, at_us, 200, None)
            )

    def _read(self, names: Iterable[str]) -> None:
        for name in names:
            now = self._own[name].status(self._now_ms)
            charge = now.charge_ma_ms // JBD_MA_MS * JBD_MA_MS
            limits = now.charge_ma_max, now.discharge_ma_max
            values = Values(now.voltage_mv, now.current_ma, *limits, charge, now.capacity_ma_ms)
            reading = Reading.at(max(self._now_ms, self._layer.now_ms), values)
            self._happen(happenings.READ, **reading_details(name, reading))

    def _happen(self, kind: str, **details: object) -> bool:
        at_ms = max(self._now_ms, self._layer.now_ms)
        for due_ms, told in self._layer.pass_time(at_ms):
            self._order(due_ms, told)
        try:
            orders = happen(self._layer, kind, details, at_ms)
        except BatteryError:
            return False
        self._events.append(Event(len(self._events) + 1, at_ms, kind, details))
        self._order(at_ms, orders)
        return True

    def _order(self, at_ms: int, orders: Iterable[SourceOrder]) -> None:
        for one in orders:
            if not self._loses or self._draw.randrange(self._loses):
                battery = self._own[one.source]
                battery.set_current(one.current_ma, at_ms + self._delay_ms[one.source])


@pytest.mark.parametrize("seed", [*range(25), 308])
def test_the_model_is_never_blamed(tmp_path: Path, seed: int) -> None:
    found = Lived(tmp_path, seed).judged()
    assert found.findings == [], seed


def test_it_is_judged_mostly_and_one_that_loses_orders_is_blamed(tmp_path: Path) -> None:
    obeyed = unjudged = blamed = 0
    for seed in range(10):
        for loses in (0, 5):
            folder = tmp_path / f"{seed}-{loses}"
            folder.mkdir()
            found = Lived(folder, seed, loses).judged()
            if loses:
                blamed += bool(found.findings)
            else:
                obeyed, unjudged = obeyed + found.obeyed, unjudged + found.unjudged
    assert obeyed > unjudged
    assert blamed >= 8
