"""What can happen to the batteries of a layer, as the journal words it.

Each kind is a function of the batteries, a time and plain details, so that what happened once can
happen again when the layer is started anew, and comes to the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple
from typing import Any, Final, TypeAlias

from harness.bal.model.batteries import Batteries
from harness.bal.model.values import (
    Kind,
    Nameplate,
    Policy,
    Reading,
    Share,
    SourceOrder,
    Values,
)

Details: TypeAlias = Mapping[str, Any]
Happening: TypeAlias = Callable[[Batteries, Details, int], Sequence[SourceOrder]]


def _make_battery(batteries: Batteries, details: Details, at_ms: int) -> Sequence[SourceOrder]:
    batteries.make_battery(
        details["name"],
        Kind(details["kind"]),
        details["interface"],
        Nameplate(*details["nameplate"]),
        details["point"],
    )
    return batteries.due(at_ms)


def _make_aggregator(batteries: Batteries, details: Details, at_ms: int) -> Sequence[SourceOrder]:
    batteries.make_aggregator(details["name"], details["sources"])
    return batteries.due(at_ms)


def _make_splitter(batteries: Batteries, details: Details, at_ms: int) -> Sequence[SourceOrder]:
    shares = [Share(name, share_ppm) for name, share_ppm in details["shares"]]
    batteries.make_splitter(shares, details["source"], Policy(details["policy"]))
    return batteries.due(at_ms)


def _remove(batteries: Batteries, details: Details, at_ms: int) -> Sequence[SourceOrder]:
    # What it was made of is free now, and told what is wanted of that.
    told = [*batteries.remove(details["name"], at_ms), *batteries.due(at_ms)]
    return list({order.source: order for order in told}.values())


def _set_current(batteries: Batteries, details: Details, at_ms: int) -> Sequence[SourceOrder]:
    return batteries.set_current(details["name"], details["current_ma"], at_ms)


def _schedule(batteries: Batteries, details: Details, at_ms: int) -> Sequence[SourceOrder]:
    return batteries.schedule(
        details["name"], details["current_ma"], details["start_ms"], details["end_ms"], at_ms
    )


def _read(batteries: Batteries, details: Details, at_ms: int) -> Sequence[SourceOrder]:
    expected = details["expected"]
    reading = Reading(
        Values(*details["values"]),
        details["oldest_ms"],
        details["newest_ms"],
        None if expected is None else Values(*expected),
    )
    batteries.source_read(details["name"], reading, at_ms)
    return batteries.due(at_ms)


def _lost(batteries: Batteries, details: Details, at_ms: int) -> Sequence[SourceOrder]:
    batteries.source_lost(details["name"], at_ms)
    return batteries.due(at_ms)


def _settle(batteries: Batteries, details: Details, at_ms: int) -> Sequence[SourceOrder]:
    batteries.settle(details["name"], at_ms)
    return batteries.due(at_ms)


def _forget(batteries: Batteries, details: Details, at_ms: int) -> Sequence[SourceOrder]:
    batteries.forget(min(at_ms, details["before_ms"]))
    return batteries.due(at_ms)


def _pass(batteries: Batteries, details: Details, at_ms: int) -> Sequence[SourceOrder]:
    return batteries.due(at_ms)


MAKE_BATTERY: Final = "make battery"
MAKE_AGGREGATOR: Final = "make aggregator"
MAKE_SPLITTER: Final = "make splitter"
REMOVE: Final = "remove"
SET_CURRENT: Final = "set current"
SCHEDULE: Final = "schedule"
READ: Final = "read"
LOST: Final = "lost"
SETTLE: Final = "settle"
FORGET: Final = "forget"
"""What virtual meters registered before a moment has been exported: nobody will ask for it."""
TIME_PASSED: Final = "time passed"

HAPPENINGS: Final[Mapping[str, Happening]] = {
    MAKE_BATTERY: _make_battery,
    MAKE_AGGREGATOR: _make_aggregator,
    MAKE_SPLITTER: _make_splitter,
    REMOVE: _remove,
    SET_CURRENT: _set_current,
    SCHEDULE: _schedule,
    READ: _read,
    LOST: _lost,
    SETTLE: _settle,
    FORGET: _forget,
    TIME_PASSED: _pass,
}


def happen(batteries: Batteries, kind: str, details: Details, at_ms: int) -> Sequence[SourceOrder]:
    """Let something happen at ``at_ms`` and return the orders that follow.

    What is due by then happens before, each at its moment; who wants to know which orders follow
    from that lets it happen first (`Batteries.pass_time`).

    Raises:
        BatteryError: it cannot be; nothing has changed.
        KeyError: no such kind, or a detail is missing.
    """
    batteries.engine.advance(at_ms, "")
    return HAPPENINGS[kind](batteries, details, at_ms)


def reading_details(name: str, reading: Reading) -> dict[str, Any]:
    """Return the details of a reading of ``name``."""
    return {
        "name": name,
        "values": list(astuple(reading.values)),
        "oldest_ms": reading.oldest_ms,
        "newest_ms": reading.newest_ms,
        "expected": None if reading.expected is None else list(astuple(reading.expected)),
    }
