"""ST3's standard status, and the events and procedures as data."""

from __future__ import annotations

import pytest

from protocols.c12.tables.events import EVENTS, UNKNOWN_SEVERITY, describe_event
from protocols.c12.tables.status import STATUS_FLAGS, Severity, flags_of, status_word


def test_the_bits_of_the_standard() -> None:
    assert [flag.bit for flag in STATUS_FLAGS] == list(range(14))
    assert status_word(["unprogrammed", "low_battery", "tamper_detected"]) == 0x1101
    assert [flag.key for flag in flags_of(0x1101)] == [
        "unprogrammed",
        "low_battery",
        "tamper_detected",
    ]
    assert flags_of(0xC000) == ()
    with pytest.raises(KeyError):
        status_word(["low_batery"])


def test_every_event_code_has_a_name_of_its_own() -> None:
    assert list(EVENTS) == list(range(77))
    assert len({event.name for event in EVENTS.values()}) == 77
    assert all(code == event.code for code, event in EVENTS.items())


@pytest.mark.parametrize(
    ("code", "name", "severity"),
    [
        (1, "Primary power down", Severity.WARNING),
        (21, "Self-read occurred", Severity.INFO),
        (39, "RAM failure detected", Severity.CRITICAL),
        (44, "Low battery detected", Severity.WARNING),
        (47, "Tamper attempt detected", Severity.ALARM),
    ],
)
def test_events(code: int, name: str, severity: Severity) -> None:
    event = describe_event(code)
    assert (event.name, event.severity) == (name, severity)


def test_events_that_nobody_names() -> None:
    assert describe_event(77).name == "Standard event 77"
    assert describe_event(3, manufacturer=True).name == "Manufacturer event 3"
    assert describe_event(3, manufacturer=True).severity is UNKNOWN_SEVERITY


def test_a_flag_and_its_event_matter_alike() -> None:
    # Events 37 to 43 and 45 to 48 report the flags 1 to 7 and 9, 10, 12, 13; 44 reports 8.
    pairs = [*zip(range(37, 44), range(1, 8), strict=True), (44, 8), (45, 9), (46, 10)]
    for code, bit in [*pairs, (47, 12), (48, 13), (1, 11)]:
        assert EVENTS[code].severity is STATUS_FLAGS[bit].severity
