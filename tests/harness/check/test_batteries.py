from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from emulator.batteries.record import Begun, Changed, Entry, Executed
from harness.bal.journal import Fate, Order
from harness.check.batteries import BatteryAccount, account_of_batteries

HOUR_MS = 3_600_000
AH = 1_000 * HOUR_MS
BEGUN = Begun(
    battery=4,
    name="b",
    interface="jbd",
    at_ms=0,
    charge_ma_ms=10 * AH,
    capacity_ma_ms=20 * AH,
    charge_ma_max=5_000,
    discharge_ma_max=8_000,
    efficiency_ppm=900_000,
)


def lived(*currents_ma: int) -> list[Entry]:
    """Return a record in which a current is set every hour; charges worked out by hand below."""
    entries: list[Entry] = [BEGUN]
    charge, before = BEGUN.charge_ma_ms, 0
    for sequence, current_ma in enumerate(currents_ma, 1):
        since = (sequence - 1) * HOUR_MS
        moved = before * HOUR_MS
        after = charge - moved if moved > 0 else charge + -moved * 9 // 10
        after = max(0, min(20 * AH, after))
        changed = Changed(since, sequence * HOUR_MS, charge, after, before, current_ma)
        entries.append(Executed(4, sequence, "current", current_ma, changed))
        charge, before = after, current_ma
    return entries


def orders(*told: tuple[int, Fate | None]) -> list[Order]:
    return [
        Order(at, at, "b", current_ma, fate, at) for at, (current_ma, fate) in enumerate(told, 1)
    ]


def account(entries: Sequence[Entry], told: Sequence[Order]) -> BatteryAccount:
    return account_of_batteries(entries, told)


def test_a_battery_that_did_what_it_was_told_is_sound() -> None:
    found = account(
        lived(4_000, -5_000, 0), orders((4_000, "executed"), (-5_000, "executed"), (0, "executed"))
    )
    assert found.sound
    assert (found.batteries, found.commands) == (1, 3)


def test_charge_is_worked_out_anew() -> None:
    entries = lived(4_000, -5_000, 0)
    last = entries[-1]
    assert isinstance(last, Executed)
    # 10 Ah less 4 Ah, and 90 % of 5 Ah in an hour.
    assert last.changed.charge_ma_ms == 6 * AH + 45 * AH // 10
    wrong = replace(last, changed=replace(last.changed, charge_ma_ms=11 * AH))
    found = account(
        [*entries[:-1], wrong], orders((4_000, "executed"), (-5_000, "executed"), (0, "executed"))
    )
    assert found.unaccounted == 1
    assert found.examples["unaccounted"][0].at_ms == 3 * HOUR_MS


def test_an_entry_that_was_left_out_breaks_the_chain() -> None:
    entries = lived(4_000, -5_000, 0)
    del entries[2]
    assert account(entries, orders((4_000, "executed"), (0, "executed"))).unaccounted == 1


@pytest.mark.parametrize("current_ma", [8_001, -5_001])
def test_a_current_beyond_the_limits_is_found(current_ma: int) -> None:
    found = account(lived(current_ma), orders((current_ma, "executed")))
    assert found.beyond_limits == 1
    assert not found.sound


def test_an_order_that_never_came_is_lost() -> None:
    found = account(lived(1), orders((1, "executed"), (2, "executed")))
    assert (found.lost, found.twice, found.invented) == (1, 0, 0)


def test_an_order_that_came_again_is_found() -> None:
    found = account(lived(1, 2, 2), orders((1, "executed"), (2, "executed")))
    assert (found.lost, found.twice, found.invented) == (0, 1, 0)


def test_what_nobody_ordered_is_found() -> None:
    found = account(lived(1, 3), orders((1, "executed")))
    assert (found.lost, found.twice, found.invented) == (0, 0, 1)


@pytest.mark.parametrize("currents_ma", [(1,), (1, 1), (1, 2, 1)])
def test_an_order_of_unknown_fate_may_have_come_or_not(currents_ma: tuple[int, ...]) -> None:
    told = orders((1, "lost"), (2, "lost"), (1, "executed"))
    assert account(lived(*currents_ma), told).sound


def test_an_order_of_unknown_fate_must_not_have_come_twice() -> None:
    found = account(lived(1, 1), orders((1, "lost")))
    assert found.twice == 1


def test_orders_superseded_or_refused_are_not_executed() -> None:
    told = orders((1, "executed"), (5, "superseded"), (9, "refused"))
    assert account(lived(1), told).sound
    assert account(lived(1, 5), told).invented == 1


@pytest.mark.parametrize("currents_ma", [(1,), (2, 1)])
def test_an_order_in_force_may_be_why_the_battery_does_it(currents_ma: tuple[int, ...]) -> None:
    assert account(lived(*currents_ma), orders((2, "lost"), (1, "in force"))).sound
    assert account(lived(1, 1), orders((1, "in force"))).twice == 1


def test_a_power_is_what_was_sent_or_about_the_current_where_nobody_knows() -> None:
    begun, first = lived(4_050)
    assert isinstance(first, Executed)
    first = replace(first, kind="power", asked=200_000)
    (order,) = orders((4_000, "executed"))
    assert account([begun, first], [replace(order, sent=200_000)]).sound
    assert account([begun, first], [replace(order, sent=200_001)]).lost == 1
    assert account([begun, first], orders((4_000, "lost"))).sound
    assert account([begun, first], orders((-4_000, "lost"))).invented == 1


def test_examples_are_few_and_counts_are_whole() -> None:
    found = account(lived(*range(1, 21)), [])
    assert found.invented == 20
    assert len(found.examples["invented"]) == 5
