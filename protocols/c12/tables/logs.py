"""History and event logs: ST71 to ST76 out of lists of entries, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from protocols.c12.tables.configuration import Configuration
from protocols.c12.tables.dimensions import Dimensions
from protocols.c12.tables.registry import STANDARD_TABLES, table_label
from protocols.errors import CodecError, LocalProtocolError

HISTORY_LOG: Final = 74
EVENT_LOG: Final = 76
SEQUENCES: Final = 1 << 16
"""Sequence numbers of entries wrap round here; the header's do not."""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One entry of ST74 or ST76.

    ``sequence`` is its number since the log began, kept whole here (the wire carries 16 bits of it,
    and 32 in the header). ``time_s`` is POSIX seconds, ``None`` where the log has no time.
    ``code`` is the standard's or, with ``manufacturer``, the manufacturer's (0 to 2047).
    ``argument`` fits the size that ST71 gives, and reads back padded to it with zeros.
    """

    sequence: int
    time_s: int | None
    code: int
    user: int = 0
    argument: bytes = b""
    manufacturer: bool = False
    event_number: int = 0
    selector: int = 0


@dataclass(frozen=True, slots=True)
class LogImage:
    """What a log table says: its valid entries, oldest first, and its header."""

    entries: tuple[LogEntry, ...]
    unread: int = 0
    descending: bool = False
    circular: bool = True
    overflow: bool = False
    inhibit_overflow: bool = False


def encode_log(
    number: int, image: LogImage, configuration: Configuration, dimensions: Dimensions
) -> bytes:
    """Return ST74 or ST76 (``number``) with the newest entries that there is room for.

    Raises:
        CodecError: sequence numbers are not consecutive, or an argument is longer than ST71 says.
        LocalProtocolError: the dimensions of the logs are not known.
    """
    capacity, argument_size = _limits(number, dimensions)
    entries = image.entries[max(len(image.entries) - capacity, 0) :]
    _check_sequences(entries, number)
    # Dates written as fields have a «never», counts of seconds have only their zero.
    never = None if configuration.time_format.has_fields else 0
    slots: list[dict[str, Any]] = [_entry_values(_EMPTY, argument_size, number, never)] * capacity
    places = _places(image, entries, capacity)
    for place, entry in zip(places, entries, strict=True):
        slots[place] = _entry_values(entry, argument_size, number, never)
    values = {
        "flags": {name: getattr(image, name) for name in _FLAGS},
        "valid_entries": len(entries),
        "last_entry_element": places[-1] if places else 0,
        "last_entry_sequence": entries[-1].sequence if entries else 0,
        "unread_entries": min(image.unread, len(entries)),
        "entries": slots,
    }
    return STANDARD_TABLES.encode(number, values, configuration, dimensions)


def decode_log(
    number: int, data: bytes, configuration: Configuration, dimensions: Dimensions
) -> LogImage:
    """Return the valid entries of ST74 or ST76, oldest first. Raises `CodecError`."""
    values = STANDARD_TABLES.decode(number, data, configuration, dimensions)
    slots, valid = values["entries"], values["valid_entries"]
    if valid > len(slots) or (valid and values["last_entry_element"] >= len(slots)):
        message = f"{valid} valid entries, the last {values['last_entry_element']}"
        raise CodecError(f"{message}, in a log of {len(slots)}", codec=table_label(number))
    step = 1 if values["flags"]["descending"] else -1
    last = values["last_entry_sequence"]
    entries = (
        _entry(slots[(values["last_entry_element"] + step * age) % len(slots)], last - age)
        for age in reversed(range(valid))
    )
    flags = {name: values["flags"][name] for name in _FLAGS}
    return LogImage(tuple(entries), values["unread_entries"], **flags)


def events_identification(
    standard: Iterable[int],
    manufacturer: Iterable[int],
    configuration: Configuration,
    dimensions: Dimensions,
) -> bytes:
    """Return ST72: the events that the device can log. Raises `CodecError`."""
    values = {
        "standard_events": frozenset(standard),
        "manufacturer_events": frozenset(manufacturer),
    }
    return STANDARD_TABLES.encode(72, values, configuration, dimensions)


def log_control(
    number: int,
    sets: Mapping[str, Iterable[int]],
    configuration: Configuration,
    dimensions: Dimensions,
) -> bytes:
    """Return ST73 or ST75: what is logged; sets that are not named are empty.

    The names are ``standard_events``, ``manufacturer_events``, and ``standard_`` and
    ``manufacturer_`` ``tables`` and ``procedures``. Raises `CodecError`.
    """
    unknown = set(sets) - set(_CONTROL_SETS)
    if unknown:
        raise CodecError(f"no sets {', '.join(sorted(unknown))}", codec=table_label(number))
    values = {name: frozenset(sets.get(name, ())) for name in _CONTROL_SETS}
    return STANDARD_TABLES.encode(number, values, configuration, dimensions)


_FLAGS: Final = ("descending", "overflow", "circular", "inhibit_overflow")
_CONTROL_SETS: Final = (
    "standard_events",
    "manufacturer_events",
    "standard_tables",
    "manufacturer_tables",
    "standard_procedures",
    "manufacturer_procedures",
)
_EMPTY: Final = LogEntry(sequence=0, time_s=None, code=0)


def _limits(number: int, dimensions: Dimensions) -> tuple[int, int]:
    if dimensions.log is None:
        raise LocalProtocolError("the sizes of decade 7 (ST71) are not known")
    if number == HISTORY_LOG:
        return dimensions.log.history_entries, dimensions.log.history_argument_size
    return dimensions.log.event_entries, dimensions.log.event_argument_size


def _check_sequences(entries: Sequence[LogEntry], number: int) -> None:
    first = entries[0].sequence if entries else 0
    if [entry.sequence for entry in entries] != list(range(first, first + len(entries))):
        raise CodecError("sequence numbers are not consecutive", codec=table_label(number))


def _places(image: LogImage, entries: Sequence[LogEntry], capacity: int) -> list[int]:
    """Return the element of each entry: by its number in a circle, by its age in a plain list."""
    if image.circular:
        sign, start = (-1, -1) if image.descending else (1, 0)
        return [(start + sign * entry.sequence) % capacity for entry in entries]
    plain = list(range(len(entries)))
    return plain[::-1] if image.descending else plain


def _entry_values(
    entry: LogEntry, argument_size: int, number: int, never: int | None
) -> dict[str, Any]:
    if len(entry.argument) > argument_size:
        message = f"an argument of {len(entry.argument)} octets where {argument_size} fit"
        raise CodecError(message, codec=table_label(number))
    event = {"number": entry.code, "manufacturer": entry.manufacturer, "selector": entry.selector}
    return {
        "time": never if entry.time_s is None else entry.time_s,
        "event_number": entry.event_number,
        "sequence": entry.sequence % SEQUENCES,
        "user": entry.user,
        "event": event,
        "argument": entry.argument.ljust(argument_size, b"\0"),
    }


def _entry(values: Mapping[str, Any], sequence: int) -> LogEntry:
    """Return an entry of the wire; the header's number stands in for what 16 bits cannot say."""
    event = values["event"]
    return LogEntry(
        sequence=sequence,
        time_s=values.get("time"),
        code=event["number"],
        user=values["user"],
        argument=values["argument"],
        manufacturer=event["manufacturer"],
        event_number=values.get("event_number", 0),
        selector=event["selector"],
    )
