"""Numbers as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports import text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0 s"),
        (0.00085, "850 µs"),
        (0.0085, "8.5 ms"),
        (1.84, "1.84 s"),
        (119.0, "119 s"),
        (738, "12.3 min"),
        (7200, "2.0 h"),
    ],
)
def test_latencies_carry_the_unit_that_fits(value: float, expected: str) -> None:
    assert text.seconds(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, "0 s"), (45, "45 s"), (90, "1 min 30 s"), (3600, "1 h"), (108_000, "1 d 6 h")],
)
def test_spans_have_two_parts_at_most(value: float, expected: str) -> None:
    assert text.span(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(900, "0:15"), (-300, "-0:05"), (108_000, "1 d 6:00"), (-1, "0:00")]
)
def test_the_grid_clock_shows_hours_and_minutes(value: float, expected: str) -> None:
    assert text.grid_clock(value) == expected


@given(st.integers(1, 10**10), st.data())
def test_a_share_reads_all_or_nothing_only_when_it_is(whole: int, data: st.DataObject) -> None:
    part = data.draw(st.integers(0, whole))
    shown = text.share(part, whole)
    assert (shown == "100 %") == (part == whole)
    assert (shown == "0 %") == (part == 0)


def test_a_share_of_nothing_is_left_out() -> None:
    assert text.share(0, 0) == ""


@pytest.mark.parametrize(
    ("value", "expected"),
    [(512, "512 B"), (1 << 20, "1 MiB"), (155_189_248, "148 MiB"), (1023 << 20, "1023 MiB")],
)
def test_sizes_use_powers_of_two(value: float, expected: str) -> None:
    assert text.octets(value) == expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("cpu_s", 21.4, "21.4 s"),
        ("rss_mib_max", 148, "148 MiB"),
        ("bytes", 1024, "1 KiB"),
        ("commit_s_p99", 0.021, "21 ms"),
        ("descriptors_max", 1043, "1,043"),
    ],
)
def test_the_name_of_a_figure_tells_its_unit(name: str, value: float, expected: str) -> None:
    assert text.named_figure(value, name) == expected


def test_what_no_document_may_hold_is_replaced() -> None:
    assert text.printable("a\x00b\ud800c\td\n") == "a�b�c\td\n"


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, "not measured"), ("0.1 %", "0.1 %"), (1234, "1,234"), (5.123456, "5.123")],
)
def test_a_measured_value_is_shown_as_it_is(value: float | str | None, expected: str) -> None:
    assert text.measured(value) == expected


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (
            "postgresql://me:geheim@db.example:5432/meters",
            "postgresql://me:***@db.example:5432/meters",
        ),
        ("url=postgres://me:ge@heim@db/x and more", "url=postgres://me:***@db/x and more"),
        (
            "postgresql://db/x?user=me&password=geheim&a=b",
            "postgresql://db/x?user=me&password=***&a=b",
        ),
        ("postgresql://me@db/x at 10:20", "postgresql://me@db/x at 10:20"),
        ("http://127.0.0.1:9090/metrics", "http://127.0.0.1:9090/metrics"),
    ],
)
def test_passwords_in_urls_are_not_shown(given: str, shown: str) -> None:
    assert text.without_passwords(given) == shown
