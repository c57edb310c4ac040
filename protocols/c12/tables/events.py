"""The standard event codes 0 to 76 (ST72 to ST76), with this project's severities.

The names are the standard's, as termineter's constants list them; the severities are ours
(`protocols.c12.tables.status` says what they mean).
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from protocols.c12.tables.status import Severity


@dataclass(frozen=True, slots=True)
class EventCode:
    """One standard event."""

    code: int
    name: str
    severity: Severity


_INFO, _WARNING, _ALARM, _CRITICAL = Severity
_CODES: Final = (
    (0, "No event", _INFO),
    (1, "Primary power down", _WARNING),
    (2, "Primary power up", _INFO),
    (3, "Time changed (time-stamp is old time)", _INFO),
    (4, "Time changed (time-stamp is new time)", _INFO),
    (5, "Time changed (time-stamp is old time in STIME_DATE format)", _INFO),
    (6, "Time changed (time-stamp is new time in STIME_DATE format)", _INFO),
    (7, "End device accessed for read", _INFO),
    (8, "End device accessed for write", _INFO),
    (9, "Procedure invoked", _INFO),
    (10, "Table written to", _INFO),
    (11, "End device programmed", _WARNING),
    (12, "Communication terminated normally", _INFO),
    (13, "Communication terminated abnormally", _WARNING),
    (14, "Reset list pointers", _INFO),
    (15, "Updated list pointers", _INFO),
    (16, "History log cleared", _ALARM),
    (17, "History log pointers updated", _INFO),
    (18, "Event log cleared", _ALARM),
    (19, "Event log pointers updated", _INFO),
    (20, "Demand reset occurred", _INFO),
    (21, "Self-read occurred", _INFO),
    (22, "Daylight saving time on", _INFO),
    (23, "Daylight saving time off", _INFO),
    (24, "Season changed", _INFO),
    (25, "Rate change", _INFO),
    (26, "Special schedule activated", _INFO),
    (27, "Tier switch or change", _INFO),
    (28, "Pending table activated", _INFO),
    (29, "Pending table activation cleared", _INFO),
    (30, "Metering mode started", _INFO),
    (31, "Metering mode stopped", _ALARM),
    (32, "Test mode started", _WARNING),
    (33, "Test mode stopped", _INFO),
    (34, "Meter shop mode started", _ALARM),
    (35, "Meter shop mode stopped", _WARNING),
    (36, "End device reprogrammed", _WARNING),
    (37, "Configuration error detected", _ALARM),
    (38, "Self-check error detected", _CRITICAL),
    (39, "RAM failure detected", _CRITICAL),
    (40, "ROM failure detected", _CRITICAL),
    (41, "Nonvolatile memory failure detected", _CRITICAL),
    (42, "Clock error detected", _ALARM),
    (43, "Measurement error detected", _CRITICAL),
    (44, "Low battery detected", _WARNING),
    (45, "Low loss potential detected", _WARNING),
    (46, "Demand overload detected", _WARNING),
    (47, "Tamper attempt detected", _ALARM),
    (48, "Reverse rotation detected", _ALARM),
    (49, "Control point changed by a command", _INFO),
    (50, "Control point changed by the schedule", _INFO),
    (51, "Control point changed by a condition", _INFO),
    (52, "Control point changed for the prepayment", _INFO),
    (53, "Added to remaining credit", _INFO),
    (54, "Subtracted from remaining credit", _INFO),
    (55, "Adjusted the remaining credit", _INFO),
    (56, "End device sealed", _INFO),
    (57, "End device unsealed", _ALARM),
    (58, "Procedure invoked (with values)", _INFO),
    (59, "Table written to (with values)", _INFO),
    (60, "End device programmed (with values)", _WARNING),
    (61, "End device sealed (with values)", _INFO),
    (62, "End device unsealed (with values)", _ALARM),
    (63, "Procedure invoked (with signature)", _INFO),
    (64, "Table written to (with signature)", _INFO),
    (65, "End device programmed (with signature)", _WARNING),
    (66, "End device sealed (with signature)", _INFO),
    (67, "End device unsealed (with signature)", _ALARM),
    (68, "Procedure invoked (with signature and values)", _INFO),
    (69, "Table written to (with signature and values)", _INFO),
    (70, "End device programmed (with signature and values)", _WARNING),
    (71, "End device sealed (with signature and values)", _INFO),
    (72, "End device unsealed (with signature and values)", _ALARM),
    (73, "Read secured table", _INFO),
    (74, "Read secured register", _INFO),
    (75, "Read secured table (with values)", _INFO),
    (76, "Read secured register (with values)", _INFO),
)

EVENTS: Final = MappingProxyType({code: EventCode(code, name, s) for code, name, s in _CODES})
"""The standard events by code."""

UNKNOWN_SEVERITY: Final = Severity.WARNING
"""What an event that is not in the table matters: somebody should look it up."""


def describe_event(code: int, *, manufacturer: bool = False) -> EventCode:
    """Return the event ``code`` (0 to 2047); what the standard does not name gets a number."""
    if manufacturer:
        return EventCode(code, f"Manufacturer event {code}", UNKNOWN_SEVERITY)
    return EVENTS.get(code) or EventCode(code, f"Standard event {code}", UNKNOWN_SEVERITY)
