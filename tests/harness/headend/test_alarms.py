"""What alarms are called, and how much they matter."""

from __future__ import annotations

import pytest

from harness.headend.alarms import describe_alarm, kinds_of, source_named
from protocols.c12.tables.status import Severity
from protocols.readings import EventSource


def test_codes_of_the_log_and_status_bits_have_names_of_their_own() -> None:
    assert describe_alarm(EventSource.LOG, 11).name == "End device programmed"
    assert describe_alarm(EventSource.STATUS, 11).name == "Power failure"
    assert describe_alarm(EventSource.STATUS, 12).severity is Severity.ALARM


def test_what_has_no_name_is_told_by_its_number() -> None:
    assert describe_alarm(EventSource.LOG, 2000).name == "Standard event 2000"
    assert describe_alarm(EventSource.STATUS, 15).name == "Status bit 15"
    assert describe_alarm(EventSource.STATUS, 15).severity is Severity.WARNING


def test_kinds_are_those_that_matter_at_least_so_much() -> None:
    kinds = kinds_of(Severity.CRITICAL)
    assert (EventSource.LOG, 38) in kinds
    assert (EventSource.STATUS, 2) in kinds
    assert all(describe_alarm(*kind).severity is Severity.CRITICAL for kind in kinds)
    assert len(kinds_of(Severity.INFO)) == 77 + 14


def test_sources_have_names() -> None:
    assert source_named("log") is EventSource.LOG
    with pytest.raises(KeyError):
        source_named("rumour")
