from __future__ import annotations

from dataclasses import replace
from random import Random
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from harness.bal.model import accounting
from harness.bal.model.accounting import QUARTER_MS, Account
from harness.bal.model.values import MA_MS_PER_MAH
from tests.support.battery_model import AH, HOUR_MS

VOLT = 48_000


def test_a_flow_of_many_hours_is_metered_whole() -> None:
    account = Account.opened(0, 100 * AH, VOLT)
    account.flow(0, 10_000, VOLT)
    record = account.record("p", "a", 0, 7 * HOUR_MS)
    assert record.discharged_ma_ms == record.opening_ma_ms - record.closing_ma_ms == 70 * AH
    assert record.discharged_mwh == 70 * 48 * 1_000
    assert record.charged_ma_ms == record.charged_mwh == 0


def test_charging_is_metered_apart_from_discharging() -> None:
    account = Account.opened(0, 0, VOLT)
    account.flow(0, -10_000, VOLT)
    account.flow(HOUR_MS, 4_000, 50_000)
    record = account.record("p", "a", 0, 2 * HOUR_MS)
    assert (record.charged_ma_ms, record.discharged_ma_ms) == (10 * AH, 4 * AH)
    assert (record.charged_mwh, record.discharged_mwh) == (480_000, 200_000)
    assert record.closing_ma_ms == 6 * AH


def test_intervals_begin_with_what_happens_at_their_start_and_end_before_their_end() -> None:
    account = Account.opened(0, 0, VOLT)
    account.adjust(10, 500)
    assert account.record("p", "a", 0, 10).adjusted_ma_ms == 0
    assert account.record("p", "a", 10, 20).adjusted_ma_ms == 500
    assert account.balance_at(9) == 0
    assert account.balance_at(10) == 500


def test_a_voltage_is_metered_from_the_moment_it_changes() -> None:
    account = Account.opened(0, AH, 10_000)
    account.flow(0, 1_000, 10_000)
    account.flow(HOUR_MS // 2, 1_000, 20_000)
    assert account.record("p", "a", 0, HOUR_MS).discharged_mwh == 5_000 + 10_000
    assert len(account.stretches) == 3


def test_a_voltage_without_a_flow_is_not_worth_a_stretch() -> None:
    account = Account.opened(0, AH, 10_000)
    account.flow(5, 0, 20_000)
    assert len(account.stretches) == 1


def test_an_account_says_when_it_is_empty_or_full() -> None:
    account = Account.opened(0, 100, VOLT)
    assert account.exhausted_ms(1_000) is None
    account.flow(7, 30, VOLT)
    assert account.exhausted_ms(1_000) == 10
    assert account.balance_at(10) == 10
    account.flow(10, -40, VOLT)
    assert account.exhausted_ms(1_000) == 10 + 24


def test_what_is_forgotten_leaves_later_intervals_exact() -> None:
    account = Account.opened(0, AH, VOLT)
    for at_ms in range(0, 1_000, 100):
        account.flow(at_ms, at_ms, VOLT)
    whole = account.record("p", "a", 250, 2_000)
    account.forget(250)
    assert account.record("p", "a", 250, 2_000) == whole
    assert account.record("p", "a", 0, 2_000).from_ms == 200
    assert len(account.stretches) == 8


@given(st.integers(0, 2**32 - 1))
def test_records_agree_with_counting_every_millisecond(seed: int) -> None:
    random = Random(seed)
    end_ms = 120
    flows = {random.randrange(end_ms): random.randint(-50, 50) for _ in range(6)}
    adjustments = {random.randrange(end_ms): random.randint(-9, 9) for _ in range(3)}
    account = Account.opened(0, 0, 3)
    current, counted = 0, []
    for at_ms in range(end_ms):
        current = flows.get(at_ms, current)
        if at_ms in flows:
            account.flow(at_ms, current, 3)
        account.adjust(at_ms, adjustments.get(at_ms, 0))
        counted.append((max(0, -current), max(0, current), adjustments.get(at_ms, 0)))
    from_ms, to_ms = sorted(random.choices(range(end_ms + 1), k=2))
    record = account.record("p", "a", from_ms, to_ms)
    assert record.charged_ma_ms == sum(one for one, _, _ in counted[from_ms:to_ms])
    assert record.discharged_ma_ms == sum(one for _, one, _ in counted[from_ms:to_ms])
    assert record.adjusted_ma_ms == sum(one for _, _, one in counted[from_ms:to_ms])
    assert record.discharged_nj == 3 * record.discharged_ma_ms
    before = sum(charged - given + more for charged, given, more in counted[:from_ms])
    assert record.opening_ma_ms == before


@given(st.integers(0, 2**32 - 1))
def test_a_long_account_is_bounded_and_exact_for_whole_quarters_of_an_hour(seed: int) -> None:
    """Beside one that keeps everything; 200 stretches stand for the 4,096."""
    random = Random(seed)
    shortest_ms = random.choice((1_000, 60_000, 800_000))
    with mock.patch.multiple(accounting, STRETCHES_MAX=200, FINE=50, OLD_MAX=120):
        bounded = Account.opened(0, AH, VOLT)
        asked_ms = at_ms = 0
        changes = []
        for _ in range(random.randint(150, 900)):
            at_ms += random.randint(0, shortest_ms)
            if random.random() < 0.01:
                asked_ms = at_ms
            changes.append((at_ms, random.randint(-50, 50), random.randint(-9, 9), asked_ms))
        for at_ms, current_ma, amount, asked_ms in changes:
            bounded.flow(at_ms, current_ma, VOLT, asked_ms)
            bounded.adjust(at_ms, amount, asked_ms)
        assert len(bounded.stretches) <= 200
    whole = Account.opened(0, AH, VOLT)
    for at_ms, current_ma, amount, asked_ms in changes:
        whole.flow(at_ms, current_ma, VOLT, asked_ms)
        whole.adjust(at_ms, amount, asked_ms)
    end_ms = at_ms + 10
    first_ms = bounded.stretches[0].start_ms
    spans = [random.choices(range(first_ms, end_ms), k=2) for _ in range(50)]
    for from_ms, to_ms in map(sorted, [*spans, [max(first_ms, bounded.fine_ms), end_ms]]):
        record = bounded.record("p", "a", from_ms, to_ms)
        expected = whole.record("p", "a", record.from_ms, record.to_ms)
        if record.from_ms == first_ms:
            # What was adjusted in the first moment that is left is in its opening.
            adjusted = expected.adjusted_ma_ms - record.adjusted_ma_ms
            opening = expected.opening_ma_ms + adjusted
            expected = replace(
                expected, opening_ma_ms=opening, adjusted_ma_ms=record.adjusted_ma_ms
            )
        assert record == expected
        for told_ms, at_ms in ((record.from_ms, from_ms), (record.to_ms, to_ms)):
            quarter_ms = max(first_ms, at_ms - at_ms % QUARTER_MS, record.from_ms)
            assert told_ms == (at_ms if at_ms > bounded.fine_ms else quarter_ms)
    if asked_ms >= first_ms:
        assert bounded.corrected_at(asked_ms) == whole.corrected_at(asked_ms)
    again = Account(bounded.stretches, bounded.fine_ms)
    assert again.record("p", "a", 0, end_ms) == bounded.record("p", "a", 0, end_ms)


def test_a_milliampere_hour_is_what_its_name_says() -> None:
    assert MA_MS_PER_MAH == 60 * 60 * 1_000
