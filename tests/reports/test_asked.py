"""A resolved scenario laid out for people, whatever its keys."""

from __future__ import annotations

import pytest

from reports.asked import AskedSection, AskedTable, asked, readable


def test_tables_lists_and_loose_values_find_their_places() -> None:
    resolved = {
        "name": "x",
        "seed": 1_000_000,
        "nothing": None,
        "grid": {"transformer_stations": 20_000, "sizes": [{"a_b": 1}, {"c": {"d": 2}}]},
        "links": [{"name": "m", "delay": "0.6 s"}],
        "empty": {},
    }
    assert asked(resolved) == (
        AskedSection("Scenario", (("name", "x"), ("seed", "1000000")), ()),
        AskedSection(
            "Grid",
            (("transformer stations", "20,000"),),
            (AskedTable("sizes", ("a b", "c · d"), (("1", ""), ("", "2"))),),
        ),
        AskedSection("Links", (), (AskedTable("links", ("name", "delay"), (("m", "600 ms"),)),)),
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("900.0 s", "15 min"),
        ("0.6 s", "600 ms"),
        ("300000 ppm", "30 %"),
        ("65536 B", "64 KiB"),
        ("180000 bit/s", "180 kbit/s"),
        ("3500000 Wh", "3,500 kWh"),
        (True, "yes"),
        ([1, 20], "1, 20"),
        ("<= 0.5 %", "<= 0.5 %"),
        (2026, "2026"),
    ],
)
def test_quantities_get_the_unit_a_person_would_use(value: object, expected: str) -> None:
    assert readable(value) == expected


def test_an_endless_list_is_cut() -> None:
    assert len(readable(list(range(10_000)))) == 160


def test_a_password_in_an_address_is_not_shown() -> None:
    assert readable("postgresql://me:geheim@db/meters") == "postgresql://me:***@db/meters"
