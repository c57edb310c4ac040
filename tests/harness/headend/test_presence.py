"""What is missing, against a slow model that keeps a set of readings."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.headend.config import GapFillingRules
from harness.headend.presence import Gap, Presence
from tests.support.stores import Reading, rows_of

FIRST_S, STEP_S, STEPS = 9_000, 900, 6
FIRST_METER = [100, 103, 103 + 9, 103 + 10]
FIRST_CONCENTRATOR = 5
RULES = GapFillingRules(after_s=1200.0, attempts=2)


def presence() -> Presence:
    return Presence(
        np.array(FIRST_METER), FIRST_CONCENTRATOR, first_s=FIRST_S, step_s=STEP_S, steps=STEPS
    )


def arrivals(*pairs: tuple[int, int]) -> list[Reading]:
    """Return readings of (meter, slot) pairs."""
    return [(meter, 1, FIRST_S + slot * STEP_S, 0, (0, 0), 0) for meter, slot in pairs]


@dataclass
class Slow:
    """The same rules, reading by reading."""

    arrived: set[tuple[int, int]] = field(default_factory=set)
    tries: dict[tuple[int, int], int] = field(default_factory=dict)

    def note(self, pairs: list[tuple[int, int]]) -> None:
        fresh = sorted(
            {
                (slot, meter)
                for meter, slot in pairs
                if 0 <= slot < STEPS and FIRST_METER[0] <= meter < FIRST_METER[-1]
            }
        )
        newest = {meter: self.newest(meter) for _, meter in fresh}
        new = [(slot, meter) for slot, meter in fresh if (meter, slot) not in self.arrived]
        for slot, meter in new:
            self.arrived.add((meter, slot))
            for missed in range(newest[meter] + 1, slot):
                self.tries.pop((self.owner(meter), missed), None)

    def newest(self, meter: int) -> int:
        return max((slot for known, slot in self.arrived if known == meter), default=-1)

    def owner(self, meter: int) -> int:
        return next(n for n in range(3) if FIRST_METER[n] <= meter < FIRST_METER[n + 1])

    def missing(self, concentrator: int, slot: int) -> int:
        meters = range(FIRST_METER[concentrator], FIRST_METER[concentrator + 1])
        return sum((meter, slot) not in self.arrived for meter in meters)

    def gaps(self, now_s: float) -> list[Gap]:
        due = [n for n in range(STEPS) if FIRST_S + n * STEP_S + RULES.after_s <= now_s]
        found = []
        for number in range(3):
            slots = [
                slot
                for slot in due
                if self.missing(number, slot) and self.tries.get((number, slot), 0) < RULES.attempts
            ]
            if slots:
                found.append(
                    Gap(
                        FIRST_CONCENTRATOR + number,
                        FIRST_S + slots[0] * STEP_S,
                        FIRST_S + slots[-1] * STEP_S,
                        sum(self.missing(number, slot) for slot in slots),
                    )
                )
        return found

    def tried(self, gap: Gap) -> None:
        for at in range(gap.from_s, gap.to_s + 1, STEP_S):
            key = gap.concentrator - FIRST_CONCENTRATOR, (at - FIRST_S) // STEP_S
            self.tries[key] = self.tries.get(key, 0) + 1


PAIRS = st.lists(
    st.tuples(st.integers(98, FIRST_METER[-1] + 1), st.integers(-1, STEPS)), max_size=12
)
DEEDS = st.one_of(PAIRS, st.floats(FIRST_S - 2_000, FIRST_S + 9 * STEP_S))


@settings(max_examples=150, deadline=None)
@given(deeds=st.lists(DEEDS, max_size=12))
def test_gaps_are_those_of_the_slow_model(deeds: list[list[tuple[int, int]] | float]) -> None:
    fast, slow = presence(), Slow()
    for deed in deeds:
        if isinstance(deed, list):
            fast.note(rows_of(arrivals(*deed)))
            slow.note(deed)
            continue
        gaps = fast.gaps(deed, RULES)
        assert gaps == slow.gaps(deed)
        for gap in gaps:
            fast.tried(gap)
            slow.tried(gap)
    late_s = FIRST_S + 100 * STEP_S
    everything = [(number, slot) for number in range(3) for slot in range(STEPS)]
    assert fast.missing_total(late_s) == sum(slow.missing(*one) for one in everything)


def test_what_the_store_holds_is_taken_over() -> None:
    known = presence()
    present = np.zeros(FIRST_METER[-1] - FIRST_METER[0], np.bool_)
    present[[0, 1, 2, 12]] = True
    known.load(FIRST_S + STEP_S, present)
    known.load(FIRST_S + 1, present)
    known.load(FIRST_S - STEP_S, present)
    known.note(rows_of(arrivals((100, 1))))
    assert known.missing_total(FIRST_S + STEP_S) == 13 + 9


def test_nothing_is_asked_for_before_it_is_overdue_or_after_the_last_capture() -> None:
    known = presence()
    assert known.gaps(FIRST_S + 1199.9, RULES) == []
    assert {gap.to_s for gap in known.gaps(FIRST_S + 1200, RULES)} == {FIRST_S}
    last_s = FIRST_S + (STEPS - 1) * STEP_S
    assert {gap.to_s for gap in known.gaps(FIRST_S + 1e6, RULES)} == {last_s}
    assert known.missing_total(FIRST_S + 1e6) == 13 * STEPS


def test_a_silent_meter_is_given_up_and_asked_for_again_when_it_is_heard() -> None:
    known = presence()
    known.note(rows_of(arrivals(*((meter, 0) for meter in range(100, 113)))))
    known.note(rows_of(arrivals(*((meter, slot) for meter in range(101, 113) for slot in (1, 2)))))
    now_s = FIRST_S + 2 * STEP_S + 1200.0
    for _ in range(RULES.attempts):
        (gap,) = known.gaps(now_s, RULES)
        assert gap == Gap(FIRST_CONCENTRATOR, FIRST_S + STEP_S, FIRST_S + 2 * STEP_S, 2)
        known.tried(gap)
    assert known.gaps(now_s, RULES) == []
    known.note(rows_of(arrivals((100, 3))))
    (gap,) = known.gaps(now_s, RULES)
    assert (gap.from_s, gap.to_s) == (FIRST_S + STEP_S, FIRST_S + 2 * STEP_S)


def test_attempts_do_not_wrap_around() -> None:
    known = presence()
    rules = GapFillingRules(after_s=0.0, attempts=255)
    (gap, *_) = known.gaps(FIRST_S, rules)
    for _ in range(300):
        known.tried(gap)
    assert gap.concentrator not in {left.concentrator for left in known.gaps(FIRST_S, rules)}


@given(
    pairs=st.sets(st.tuples(st.integers(100, 112), st.integers(0, STEPS - 1))),
    begins=st.integers(0, STEPS - 1),
    slots=st.integers(1, STEPS),
    number=st.integers(0, 2),
)
def test_the_meters_of_a_gap_are_those_that_something_is_missing_of(
    pairs: set[tuple[int, int]], begins: int, slots: int, number: int
) -> None:
    present = presence()
    present.note(rows_of(arrivals(*sorted(pairs))))
    wanted = range(begins, min(STEPS, begins + slots))
    gap = Gap(
        FIRST_CONCENTRATOR + number,
        FIRST_S + wanted[0] * STEP_S,
        FIRST_S + wanted[-1] * STEP_S,
        missing=1,
    )
    first, end = FIRST_METER[number], FIRST_METER[number + 1]
    absent = [
        meter - first
        for meter in range(first, end)
        if any((meter, slot) not in pairs for slot in wanted)
    ]
    assert present.missing(gap) == absent


def test_what_was_forgotten_on_purpose_is_no_gap() -> None:
    known, late_s = presence(), FIRST_S + 100.0 * STEP_S
    known.forget(FIRST_S + STEP_S + 1)
    known.forget(FIRST_S)
    assert {gap.from_s for gap in known.gaps(late_s, RULES)} == {FIRST_S + 2 * STEP_S}
    assert known.missing_total(late_s) == 13 * (STEPS - 2)
    known.forget(FIRST_S + 50 * STEP_S)
    assert known.gaps(late_s, RULES) == []
    assert known.missing_total(late_s) == 0


def test_what_is_older_than_readings_are_kept_is_no_gap() -> None:
    known = presence()
    rules = GapFillingRules(after_s=0.0, within_s=2.0 * STEP_S, attempts=2)
    (gap, *_) = known.gaps(FIRST_S + 4 * STEP_S, rules)
    assert (gap.from_s, gap.to_s) == (FIRST_S + 3 * STEP_S, FIRST_S + 4 * STEP_S)
    assert gap.missing == 2 * 3
    assert known.gaps(FIRST_S + 40 * STEP_S, rules) == []


def test_what_was_lost_is_missing_anew_however_often_it_was_asked_for() -> None:
    known, late_s = presence(), FIRST_S + 100.0 * STEP_S
    known.note(
        rows_of(arrivals(*((meter, slot) for meter in range(100, 113) for slot in range(STEPS))))
    )
    assert known.gaps(late_s, RULES) == []
    known.tried(Gap(FIRST_CONCENTRATOR, FIRST_S, FIRST_S + STEP_S, 0))
    known.tried(Gap(FIRST_CONCENTRATOR, FIRST_S, FIRST_S + STEP_S, 0))
    known.lose(FIRST_S + 2 * STEP_S)
    gaps = known.gaps(late_s, RULES)
    assert [(gap.concentrator, gap.missing) for gap in gaps] == [(5, 6), (6, 18), (7, 2)]
    assert {(gap.from_s, gap.to_s) for gap in gaps} == {(FIRST_S, FIRST_S + STEP_S)}
    known.note(rows_of(arrivals((100, 0))))
    assert known.missing_total(late_s) == 25
