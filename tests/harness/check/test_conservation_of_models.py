"""The layer's model, driven at random, never fails the check; a meter that is off does."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from harness.bal import happenings
from harness.bal.errors import BatteryError
from harness.bal.happenings import happen, reading_details
from harness.bal.journal import Event, Order
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
from harness.check.battery_parts import Parts
from harness.check.conservation import Conservation, conservation_of

CAPACITY = 10**7
"""mA ms: empty or full within seconds, so that much happens by itself."""
STEPS_MS = (0, 1, 50, 500, 3_000)


class Lived:
    """A random topology and what happened to it, with the journal that a layer would keep."""

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)
        self._batteries = Batteries()
        self._now_ms = 0
        self._events: list[Event] = []
        self._orders: list[Order] = []
        self._make()
        for name in self._parts.plates:
            self._read(name)
        for _ in range(100):
            self._now_ms += self._draw.choice(STEPS_MS)
            self._do()
        self._to_ms = max(self._now_ms, self._batteries.now_ms) + 700
        self._pass_time(self._to_ms)

    def judged(self, off_ma_ms: int = 0) -> Conservation:
        """Return what the check says, of meters of which the first says ``off_ma_ms`` too much."""
        flows = self._batteries.flows(0, self._to_ms)
        if flows and off_ma_ms:
            first = flows[0]
            flows[0] = replace(
                first,
                discharged_ma_ms=first.discharged_ma_ms + off_ma_ms,
                closing_ma_ms=first.closing_ma_ms - off_ma_ms,
            )
        return conservation_of(self._parts, self._events, self._orders, flows)

    def _make(self) -> None:
        draw, made = self._draw, self._batteries
        plates = {f"s{number}": 50_000 for number in range(draw.randint(2, 6))}
        for name, voltage_mv in plates.items():
            made.make_battery(
                name, Kind.PHYSICAL, "", Nameplate(voltage_mv, 5_000, 5_000, CAPACITY)
            )
        aggregates, splitters = {}, {}
        for number in range(draw.randint(1, 4)):
            tops = made.tops()
            if draw.random() < 0.5:
                sources = draw.sample(tops, draw.randint(1, len(tops)))
                made.make_aggregator(f"g{number}", sources)
                aggregates[f"g{number}"] = tuple(sources)
            else:
                source, count = draw.choice(tops), draw.randint(1, 3)
                names = tuple(f"p{number}.{place}" for place in range(count))
                shares = [Share(name, draw.randint(1, 10**6 // count)) for name in names]
                made.make_splitter(shares, source, draw.choice(list(Policy)))
                splitters[source] = names
        self._parts = Parts(plates, aggregates, splitters, frozenset())

    def _do(self) -> None:
        draw, tops = self._draw, self._batteries.tops()
        match draw.choices(("read", "lost", "set", "plan", "pass"), (30, 5, 30, 10, 25))[0]:
            case "read":
                self._read(draw.choice(list(self._parts.plates)))
            case "lost":
                self._happen(happenings.LOST, name=draw.choice(list(self._parts.plates)))
            case "set":
                current_ma = draw.choice((0, draw.randint(-5_000, 5_000)))
                self._happen(happenings.SET_CURRENT, name=draw.choice(tops), current_ma=current_ma)
            case "plan":
                start_ms = self._now_ms + draw.randint(0, 5_000)
                self._happen(
                    happenings.SCHEDULE,
                    name=draw.choice(tops),
                    current_ma=draw.randint(-3_000, 3_000),
                    start_ms=start_ms,
                    end_ms=start_ms + draw.randint(1, 9_000),
                )
            case _:
                self._happen(happenings.TIME_PASSED)

    def _read(self, name: str) -> None:
        voltage_mv, charge = self._draw.randint(48_000, 52_000), self._draw.randint(0, CAPACITY)
        values = Values(voltage_mv, 0, 5_000, 5_000, charge, CAPACITY)
        at_ms = max(self._now_ms, self._batteries.now_ms)
        self._happen(happenings.READ, **reading_details(name, Reading.at(at_ms, values)))

    def _happen(self, kind: str, **details: object) -> None:
        at_ms = max(self._now_ms, self._batteries.now_ms)
        self._pass_time(at_ms)
        try:
            told = happen(self._batteries, kind, details, at_ms)
        except BatteryError:
            return
        self._note(kind, details, at_ms, told)

    def _pass_time(self, to_ms: int) -> None:
        for at_ms, told in self._batteries.pass_time(to_ms):
            self._note(happenings.TIME_PASSED, {}, at_ms, told)

    def _note(
        self, kind: str, details: dict[str, object], at_ms: int, told: Sequence[SourceOrder]
    ) -> None:
        self._events.append(Event(len(self._events) + 1, at_ms, kind, details))
        for one in told:
            place = len(self._orders) + 1
            self._orders.append(Order(place, len(self._events), one.source, one.current_ma))


@pytest.mark.parametrize("seed", range(40))
def test_whatever_happens_the_model_conserves(seed: int) -> None:
    assert Lived(seed).judged().findings == []


@pytest.mark.parametrize("off", [-1, 1])
def test_a_meter_that_is_off_by_one_unit_is_found_wherever_there_is_one(off: int) -> None:
    metered = [lived for lived in map(Lived, range(40)) if lived.judged().accounts]
    assert len(metered) > 20
    for lived in metered:
        assert lived.judged(off_ma_ms=off).findings
