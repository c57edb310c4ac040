from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.limits import DEFAULT_CHECKS, MEASURES, OPERATORS, Limit, Unit, parse_limit

COUNT = MEASURES["readings.late"]
TIME = MEASURES["push.latency.p99"]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("readings.lost", "== 0", Limit("==", Decimal(0), Unit.COUNT)),
        ("readings.late", "<=1_000", Limit("<=", Decimal(1000), Unit.COUNT)),
        ("readings.late", "<= 0.5 %", Limit("<=", Decimal("0.5"), Unit.SHARE)),
        ("readings.late", "< 50 ppm", Limit("<", Decimal("0.005"), Unit.SHARE)),
        ("push.latency.p99", "<= 30 s", Limit("<=", Decimal(30), Unit.SECONDS)),
        ("push.latency.max", "<= 1 min", Limit("<=", Decimal(60), Unit.SECONDS)),
        ("resources.store.size", "< 2 MiB", Limit("<", Decimal(2 * 2**20), Unit.OCTETS)),
        ("throughput.times_real_time", ">= 10 x", Limit(">=", Decimal(10), Unit.FACTOR)),
    ],
)
def test_a_limit_has_the_base_unit_of_its_measure(name: str, text: str, expected: Limit) -> None:
    assert parse_limit(text, MEASURES[name]) == expected


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("readings.lost", "0"),
        ("readings.lost", "= 0"),
        ("readings.lost", "== 0 s"),
        ("readings.lost", "== 0.5"),
        ("readings.lost", "<= -1"),
        ("readings.lost", 0),
        ("readings.owed", ">= 99 %"),
        ("push.latency.p99", "<= 30"),
        ("push.latency.p99", "<= 30 %"),
        ("push.latency.p99", "<= -30 s"),
        ("throughput.times_real_time", ">= 10"),
        ("readings.lost", ""),
    ],
)
def test_what_is_no_limit_of_the_measure_is_refused_with_an_example(
    name: str, text: object
) -> None:
    with pytest.raises(ValueError, match=r'such as "[=<>]|write it as in "[=<>]'):
        parse_limit(text, MEASURES[name])


@pytest.mark.parametrize(
    ("text", "measured", "holds"),
    [
        ("== 0", 0, True),
        ("== 0", 1, False),
        ("!= 3", 3, False),
        ("<= 3", 3, True),
        ("< 3", 3, False),
        (">= 3", 3, True),
        ("> 3", 3, False),
    ],
)
def test_a_limit_holds_by_its_operator(text: str, measured: int, holds: bool) -> None:
    assert parse_limit(text, COUNT).holds(measured) is holds


def test_a_share_is_exact_at_its_edge() -> None:
    limit = parse_limit("<= 1 %", COUNT)
    assert limit.holds(700, whole=70_000)
    assert not limit.holds(701, whole=70_000)


def test_of_nothing_every_share_is_zero() -> None:
    assert parse_limit("<= 1 %", COUNT).holds(0, whole=0)
    assert not parse_limit("<= 1 %", COUNT).holds(1, whole=0)
    assert not parse_limit(">= 99 %", COUNT).holds(0, whole=0)


def test_a_share_without_its_whole_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="share of"):
        parse_limit("<= 1 %", COUNT).holds(1)


def test_a_time_is_compared_in_seconds() -> None:
    limit = parse_limit("<= 1500 ms", TIME)
    assert limit.holds(1.5)
    assert not limit.holds(1.5001)
    assert parse_limit("<= 100 ms", TIME).holds(0.1)


@given(
    st.sampled_from(sorted(OPERATORS)),
    st.integers(0, 10**9),
    st.sampled_from(
        [
            ("readings.late", ""),
            ("readings.late", " %"),
            ("readings.late", " ppm"),
            ("push.latency.max", " us"),
            ("push.latency.max", " min"),
            ("resources.store.size", " B"),
            ("resources.store.size", " MiB"),
            ("throughput.times_real_time", " x"),
        ]
    ),
)
def test_a_limit_written_out_is_read_back(
    operator: str, value: int, measure_and_unit: tuple[str, str]
) -> None:
    name, unit = measure_and_unit
    limit = parse_limit(f"{operator} {value}{unit}", MEASURES[name])
    assert parse_limit(str(limit), MEASURES[name]) == limit


def test_every_default_check_is_a_limit_and_every_whole_is_measured() -> None:
    for name, text in DEFAULT_CHECKS.items():
        parse_limit(text, MEASURES[name])
    assert {measure.whole for measure in MEASURES.values()} - {None} <= MEASURES.keys()
    assert all(
        (Unit.SHARE in measure.units) == (measure.whole is not None)
        for measure in MEASURES.values()
    )
