"""Times: exact against columns, what does not exist, what a format cannot carry."""

from __future__ import annotations

import datetime

import numpy as np
import pytest
from construct import ConstructError, Struct
from hypothesis import given
from hypothesis import strategies as st

from protocols.c12.tables.formats import ByteOrder, TimeFormat, date, ltime, stime, time_of_day
from protocols.c12.tables.formats.field import Field
from protocols.c12.tables.formats.times import NEVER
from protocols.errors import CodecError
from protocols.lowering import lower_to_dtype

CLOCKS = [tm for tm in TimeFormat if tm is not TimeFormat.NONE]
FIELDS = [tm for tm in TimeFormat if tm.has_fields]
FIRST_S = 631_152_000  # 1990-01-01
LAST_S = 3_786_911_999  # 2089-12-31 23:59:59
ORDERS = st.sampled_from(list(ByteOrder))


def field_of(field: Field | None) -> Field:
    assert field is not None
    return field


def column_octets(field: Field, value: int) -> bytes:
    layout = lower_to_dtype(Struct("x" / field.wire))
    return layout.encode({"x": field.to_wire(np.array([value]))}, 1).tobytes()


def column_value(field: Field, octets: bytes) -> int:
    layout = lower_to_dtype(Struct("x" / field.wire))
    return int(field.to_values(layout.decode(octets, 1)["x"])[0])


@pytest.mark.parametrize("tm", CLOCKS)
@given(seconds=st.integers(FIRST_S, LAST_S), order=ORDERS)
def test_exact_and_by_column_agree(tm: TimeFormat, seconds: int, order: ByteOrder) -> None:
    for field, value in (
        (field_of(ltime(tm, order)), seconds),
        (field_of(stime(tm, order)), seconds - seconds % 60),
    ):
        octets = field.exact.build(value)
        assert field.exact.parse(octets) == value
        assert column_octets(field, value) == octets
        assert column_value(field, octets) == value


@pytest.mark.parametrize("tm", FIELDS)
@given(octets=st.binary(min_size=6, max_size=6))
def test_any_octets_are_judged_alike(tm: TimeFormat, octets: bytes) -> None:
    field = field_of(ltime(tm, ByteOrder.BIG))
    try:
        exact = field.exact.parse(octets)
    except ConstructError:
        with pytest.raises(CodecError):
            column_value(field, octets)
    else:
        assert column_value(field, octets) == (NEVER if exact is None else exact)
        assert field.exact.build(exact) == octets


@pytest.mark.parametrize("tm", [tm for tm in CLOCKS if tm is not TimeFormat.SECONDS_SINCE_1970])
def test_a_short_time_has_no_seconds(tm: TimeFormat) -> None:
    field = field_of(stime(tm, ByteOrder.BIG))
    with pytest.raises(ConstructError):
        field.exact.build(FIRST_S + 1)
    with pytest.raises(CodecError):
        column_octets(field, FIRST_S + 1)


@pytest.mark.parametrize("tm", FIELDS)
@pytest.mark.parametrize("value", [FIRST_S - 60, LAST_S + 1])
def test_years_of_two_digits_end(tm: TimeFormat, value: int) -> None:
    field = field_of(ltime(tm, ByteOrder.BIG))
    with pytest.raises(ConstructError):
        field.exact.build(value)
    with pytest.raises(CodecError):
        column_octets(field, value)


@pytest.mark.parametrize("tm", FIELDS)
def test_never_is_zeros(tm: TimeFormat) -> None:
    field = field_of(stime(tm, ByteOrder.BIG))
    assert field.exact.build(None) == bytes(5)
    assert field.exact.parse(bytes(5)) is None
    assert column_octets(field, NEVER) == bytes(5)
    assert column_value(field, bytes(5)) == NEVER


def test_without_a_clock_there_are_no_times() -> None:
    for factory in (ltime, stime, date, time_of_day):
        assert factory(TimeFormat.NONE, ByteOrder.BIG) is None


@pytest.mark.parametrize(
    ("tm", "date_octets", "time_octets"),
    [
        (TimeFormat.BCD_FIELDS, "240229", "235958"),
        (TimeFormat.UINT8_FIELDS, "18021d", "173b3a"),
        (TimeFormat.MINUTES_SINCE_1970, "4d46", "0001517e"),
        (TimeFormat.SECONDS_SINCE_1970, "4d46", "0001517e"),
    ],
)
def test_dates_and_times_of_day(tm: TimeFormat, date_octets: str, time_octets: str) -> None:
    day, clock = date(tm, ByteOrder.BIG), time_of_day(tm, ByteOrder.BIG)
    assert day is not None
    assert clock is not None
    assert day.build(datetime.date(2024, 2, 29)).hex() == date_octets
    assert day.parse(bytes.fromhex(date_octets)) == datetime.date(2024, 2, 29)
    assert clock.build(86_398).hex() == time_octets
    assert clock.parse(bytes.fromhex(time_octets)) == 86_398


def test_a_time_of_day_stays_within_the_day() -> None:
    clock = time_of_day(TimeFormat.UINT8_FIELDS, ByteOrder.BIG)
    assert clock is not None
    with pytest.raises(ConstructError):
        clock.build(86_400)
