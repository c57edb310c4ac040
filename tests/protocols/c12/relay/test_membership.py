"""When nodes register: once, again in time, and after refusals later and later."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.c12.relay import Membership
from protocols.c12.relay.membership import DELAY_MAX_S, retry_delay_s, share
from protocols.c12.titles import meter_title

TITLE = meter_title(0).encode()


def test_a_new_node_is_due_and_not_registered() -> None:
    member = Membership()
    assert not member.is_registered(0.0)
    assert member.due_at == 0.0


@given(number=st.integers(0, 10**6), period_s=st.integers(1, 0xFF_FFFF))
def test_a_grant_holds_for_its_period_and_is_renewed_in_it(number: int, period_s: int) -> None:
    member = Membership(under_way=True, attempt=3)
    member.granted(meter_title(number).encode(), period_s, 100.0)
    assert member.is_registered(99.5 + period_s)
    assert not member.is_registered(100.0 + period_s)
    assert 100 + 0.75 * period_s <= member.due_at <= 100 + 0.85 * period_s
    assert (member.attempt, member.under_way) == (0, False)


def test_a_refused_renewal_keeps_what_was_granted() -> None:
    member = Membership()
    member.granted(TITLE, 100, 0.0)
    member.refused(TITLE, 80.0)
    assert member.is_registered(99.0)
    assert 80.5 <= member.due_at < 81.0


def test_delays_double_up_to_a_bound() -> None:
    delays = [retry_delay_s(TITLE, attempt) for attempt in range(40)]
    for attempt, delay_s in enumerate(delays):
        longest_s = min(DELAY_MAX_S, 1.0 * 2**attempt)
        assert longest_s / 2 <= delay_s < longest_s
    member = Membership()
    for attempt in range(3):
        member.refused(TITLE, 10.0)
        assert member.due_at == 10.0 + delays[attempt]


def test_nodes_refused_together_come_back_apart() -> None:
    delays = [retry_delay_s(meter_title(number).encode(), 5) for number in range(1_000)]
    assert len(set(delays)) > 990
    per_second = [sum(8 + at <= delay < 9 + at for delay in delays) for at in range(7)]
    assert min(per_second) > 90


def test_draws_are_the_same_in_every_run() -> None:
    assert share(b"123456789") == pytest.approx(0xCBF43926 / 2**32)


def test_the_expelled_register_at_once_unless_they_were_just_refused() -> None:
    member = Membership()
    member.granted(TITLE, 1_000, 0.0)
    member.expelled(10.0)
    assert not member.is_registered(10.0)
    assert member.due_at == 10.0
    member.refused(TITLE, 20.0)
    due_at = member.due_at
    member.expelled(20.0)
    assert member.due_at == due_at


def test_power_loss_makes_a_node_new() -> None:
    member = Membership()
    member.granted(TITLE, 1_000, 0.0)
    member.refused(TITLE, 800.0)
    member.under_way = True
    member.forget()
    assert member == Membership()
