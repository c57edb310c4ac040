"""What a relay pushes, as the services of APDUs, and the head-end's inverse; columns on both sides.

Nearly every message is blocks of ST64 and nothing else: these are made and checked for all meters
of a push together. A message with events goes through the rules, one at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from protocols.c12.meter import (
    MeterSchema,
    block_layout,
    decode_blocks,
    load_profile_writes,
    notification_writes,
    read_notifications,
)
from protocols.c12.meter.event_log import EVENT_LOG, log_layout
from protocols.c12.meter.load_profile import DATA as LOAD_PROFILE
from protocols.c12.meter.mode_status import MODE_STATUS
from protocols.c12.services import (
    Dialect,
    FullWrite,
    OffsetWrite,
    ResponseCode,
    UnknownServiceError,
    decode_request,
    encode_request,
    table_checksums,
)
from protocols.errors import CodecError, LocalProtocolError
from protocols.readings import EventBatch, EventSource, ReadingBatch

Services = tuple[bytes, ...]
SERVICES_OCTETS_MAX: Final = 1_280
"""Octets of services in one APDU, so that it stays below 1,400, which paths carry in one piece."""
EVENTS_WITH_READING: Final = 48
"""Entries of the event log that go with one reading where there are others to take the rest."""
LENGTH_OCTETS: Final = 3
_BLOCK_WRITE: Final = encode_request(OffsetWrite(LOAD_PROFILE, 0, b""), Dialect.C12_22)[:3]
_HEAD: Final = 8
_OUTSIDE: Final = ResponseCode.OPERATION_NOT_POSSIBLE
_MALFORMED: Final = ResponseCode.INAPPROPRIATE_ACTION_REQUESTED
_WRITTEN: Final = frozenset({MODE_STATUS, LOAD_PROFILE, EVENT_LOG})


class PushEncoder:
    """Makes the services of pushes; remembers what each meter last pushed, for the rises since.

    Args:
        schema: how the meters' tables look.
        names: the meters' device names, in order.
    """

    def __init__(self, schema: MeterSchema, names: Sequence[bytes]) -> None:
        self._schema = schema
        self._names = list(names)
        self._index = {name: index for index, name in enumerate(names)}
        self.restarted()

    def restarted(self) -> None:
        """Forget what was pushed."""
        count, registers = len(self._names), len(self._schema.registers)
        self._last_s = np.zeros(count, np.int64)
        self._last = np.zeros((count, registers), np.uint32)

    def encode(self, readings: ReadingBatch) -> list[tuple[int, list[Services]]]:
        """Return for each meter of ``readings`` its number, and the services of its APDUs.

        Raises:
            LocalProtocolError: no readings, other registers than the schema's, an unknown meter, or
                a status event without the reading that it came with.
            CodecError: a value that does not fit.
        """
        rows = _sorted(readings)
        if not len(rows):
            raise LocalProtocolError("a push of no readings")
        if rows.registers != len(self._schema.registers):
            raise LocalProtocolError(
                f"{rows.registers} registers in a reading, {len(self._schema.registers)} in ST64"
            )
        meters = self._meters(rows)
        known, before = self._before(rows, meters)
        units = self._units(rows, known, before)
        self._remember(rows, meters)
        starts = [0, *(np.flatnonzero(np.diff(meters)) + 1).tolist(), len(rows)]
        return [
            (int(meters[first]), list(_packed(units[first:stop])))
            for first, stop in pairwise(starts)
        ]

    def _meters(self, rows: ReadingBatch) -> NDArray[np.int64]:
        try:
            indexes = [self._index[name] for name in rows.meter_ids.tolist()]
        except KeyError as exc:
            raise LocalProtocolError(f"{exc.args[0]!r} is no meter of this relay") from None
        return np.array(indexes, np.int64)

    def _before(
        self, rows: ReadingBatch, meters: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.uint32]]:
        """Return for each reading whether the one a period before is known, and its registers."""
        wanted_s = rows.captured_at_s - self._schema.period_s
        before = self._last[meters]
        known = self._last_s[meters] == wanted_s
        follows = (np.diff(meters) == 0) & (rows.captured_at_s[:-1] == wanted_s[1:])
        before[1:][follows] = rows.values[:-1][follows]
        known[1:] |= follows
        return known, before

    def _remember(self, rows: ReadingBatch, meters: NDArray[np.int64]) -> None:
        last = np.flatnonzero(np.diff(meters, append=-1))
        newer = last[rows.captured_at_s[last] >= self._last_s[meters[last]]]
        self._last_s[meters[newer]] = rows.captured_at_s[newer]
        self._last[meters[newer]] = rows.values[newer]

    def _units(
        self, rows: ReadingBatch, known: NDArray[np.bool_], before: NDArray[np.uint32]
    ) -> list[Services]:
        """Return for each reading the services that tell it and what came with it."""
        units: list[Services] = [()] * len(rows)
        for which, previous in ((known, before[known]), (~known, None)):
            places = np.flatnonzero(which)
            if len(places):
                writes = load_profile_writes(self._schema, _taken(rows, places), previous)
                size, octets = writes.shape[1], writes.tobytes()
                for number, place in enumerate(places.tolist()):
                    units[place] = (octets[number * size : (number + 1) * size],)
        for place, events in _with_readings(rows):
            one = replace(_taken(rows, np.array([place])), events=events)
            previous = before[place : place + 1] if known[place] else None
            writes_of = notification_writes(self._schema, one, previous)
            units[place] = tuple(encode_request(write, Dialect.C12_22) for write in writes_of)
        return units


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why a message is not taken: what its sender is told, and words for counters."""

    code: ResponseCode
    cause: str
    detail: str


@dataclass(frozen=True, slots=True)
class Pushed:
    """The services of one message, and the device name of the meter that sent it."""

    name: bytes
    services: Services


class PushDecoder:
    """Takes pushes apart. ``schema`` says how the meters' tables look."""

    def __init__(self, schema: MeterSchema) -> None:
        self._schema = schema
        self._block = block_layout(schema)
        self._sizes = {
            LOAD_PROFILE: self._block.size * schema.settings.blocks,
            EVENT_LOG: log_layout(schema).whole.size,
        }

    def decode(
        self, concentrator: bytes, pushes: Sequence[Pushed]
    ) -> tuple[ReadingBatch, dict[int, Unfit]]:
        """Return what ``pushes`` bring, sorted by meter and time, and which are not taken, why.

        A message is taken whole or not at all. Never raises for what it holds.
        """
        unfit: dict[int, Unfit] = {}
        size = _HEAD + self._block.size + 1
        plain = [
            all(len(it) == size and it.startswith(_BLOCK_WRITE) for it in push.services)
            for push in pushes
        ]
        parts = [self._blocks(concentrator, pushes, plain, unfit)]
        for number, push in enumerate(pushes):
            if not plain[number]:
                taken = self._take(concentrator, push)
                if isinstance(taken, Unfit):
                    unfit[number] = taken
                else:
                    parts.append(taken)
        return _sorted(_joined(concentrator, parts)), unfit

    def _blocks(
        self,
        concentrator: bytes,
        pushes: Sequence[Pushed],
        plain: Sequence[bool],
        unfit: dict[int, Unfit],
    ) -> ReadingBatch:
        """Return what the messages bring that are blocks of ST64 and nothing else."""
        chosen = [number for number, is_plain in enumerate(plain) if is_plain]
        services = b"".join(it for number in chosen for it in pushes[number].services)
        counts = [len(pushes[number].services) for number in chosen]
        of = np.repeat(np.array(chosen, np.int64), counts)
        rows = np.frombuffer(services, np.uint8).reshape(len(of), _HEAD + self._block.size + 1)
        for row, problem in self._problems(rows):
            unfit.setdefault(int(of[row]), problem)
        good = ~np.isin(of, np.fromiter(unfit, np.int64, len(unfit)))
        captures = decode_blocks(self._schema, rows[good, _HEAD:-1].tobytes())
        names = np.array([push.name for push in pushes], "S16")
        return ReadingBatch(
            concentrator,
            names[of[good]],
            captures.captured_at_s,
            captures.status,
            captures.values,
        )

    def _problems(self, rows: NDArray[np.uint8]) -> Iterator[tuple[int, Unfit]]:
        """Yield the rows that are not taken, and why."""
        size = self._block.size
        count = rows[:, 6].astype(np.int64) << 8 | rows[:, 7]
        wrong = (count != size) | (table_checksums(rows[:, _HEAD:-1]) != rows[:, -1])
        for row in np.flatnonzero(wrong).tolist():
            yield row, Unfit(_MALFORMED, "malformed service", "ST64: count or checksum")
        at = rows[:, 3:6].astype(np.int64) @ (1 << 16, 1 << 8, 1)
        outside = (at % size != 0) | (at >= self._sizes[LOAD_PROFILE])
        for row in np.flatnonzero(outside).tolist():
            yield row, Unfit(_OUTSIDE, "outside of the table", f"ST64: offset {at[row]}")
        blocks = self._block.view(rows[:, _HEAD:-1].tobytes(), len(rows))
        values = blocks["end_readings"]["value"]
        bad = (blocks["end_time"] == 0) | ((values < 0) | (values >= 1 << 32)).any(axis=1)
        for row in np.flatnonzero(bad).tolist():
            yield row, Unfit(_MALFORMED, "malformed table", "ST64: no capture")

    def _take(self, concentrator: bytes, push: Pushed) -> ReadingBatch | Unfit:
        try:
            requests = [decode_request(it, Dialect.C12_22) for it in push.services]
        except UnknownServiceError as exc:
            return Unfit(ResponseCode.SERVICE_NOT_SUPPORTED, "unknown service", str(exc))
        except CodecError as exc:
            return Unfit(_MALFORMED, "malformed service", str(exc))
        writes: list[FullWrite | OffsetWrite] = []
        for request in requests:
            if not isinstance(request, FullWrite | OffsetWrite):
                kind = type(request).__name__
                return Unfit(ResponseCode.SERVICE_NOT_SUPPORTED, "no service of a push", kind)
            if (problem := self._misplaced(request)) is not None:
                return problem
            writes.append(request)
        try:
            return read_notifications(self._schema, concentrator, [(push.name, writes)])
        except CodecError as exc:
            return Unfit(_MALFORMED, "malformed table", str(exc))

    def _misplaced(self, write: FullWrite | OffsetWrite) -> Unfit | None:
        if write.table not in _WRITTEN:
            return Unfit(_MALFORMED, "unknown table", f"table {write.table}")
        if isinstance(write, OffsetWrite) and (size := self._sizes.get(write.table)) is not None:
            ragged = write.table == LOAD_PROFILE and write.offset % self._block.size
            if ragged or write.offset + len(write.data) > size:
                detail = f"ST{write.table}: {len(write.data)} octets at {write.offset}"
                return Unfit(_OUTSIDE, "outside of the table", detail)
        return None


def _taken(rows: ReadingBatch, which: NDArray[np.intp] | NDArray[np.bool_]) -> ReadingBatch:
    """Return some readings, without events."""
    return ReadingBatch(
        rows.concentrator,
        rows.meter_ids[which],
        rows.captured_at_s[which],
        rows.status[which],
        rows.values[which],
    )


def _sorted(rows: ReadingBatch) -> ReadingBatch:
    """Return readings by meter and time, and their events by meter, source, sequence and code."""
    events = rows.events
    of_events = np.lexsort((events.code, events.sequence, events.source, events.meter_ids))
    taken = _taken(rows, np.lexsort((rows.captured_at_s, rows.meter_ids)))
    return replace(taken, events=events.take(of_events))


def _joined(concentrator: bytes, parts: Sequence[ReadingBatch]) -> ReadingBatch:
    if len(parts) == 1:
        return parts[0]
    return ReadingBatch(
        concentrator,
        np.concatenate([part.meter_ids for part in parts]),
        np.concatenate([part.captured_at_s for part in parts]),
        np.concatenate([part.status for part in parts]),
        np.concatenate([part.values for part in parts]),
        EventBatch.concatenate([part.events for part in parts]),
    )


def _with_readings(rows: ReadingBatch) -> Iterator[tuple[int, EventBatch]]:
    """Yield the places of the readings, sorted, that events come with, and these events."""
    events = rows.events
    if not len(events):
        return
    names, times = rows.meter_ids, rows.captured_at_s
    places: dict[int, list[int]] = {}
    for number, name in enumerate(events.meter_ids.tolist()):
        first, stop = np.searchsorted(names, name), np.searchsorted(names, name, "right")
        is_status = events.source[number] == EventSource.STATUS
        at_s = int(events.sequence[number] if is_status else events.raised_at_s[number])
        place = int(first + np.searchsorted(times[first:stop], at_s))
        if is_status and (place >= stop or times[place] != at_s):
            raise LocalProtocolError("a status event without its reading")
        if first == stop:
            raise LocalProtocolError("an event of a meter without readings")
        place = min(place, int(stop) - 1)
        while (
            not is_status and place < stop - 1 and len(places.get(place, ())) >= EVENTS_WITH_READING
        ):
            place += 1
        places.setdefault(place, []).append(number)
    for place, numbers in places.items():
        yield place, events.take(np.array(numbers, np.intp))


def _packed(units: Iterable[Services]) -> Iterator[Services]:
    """Yield the services of APDUs: as many units in each as fit, in order."""
    packed: list[bytes] = []
    octets = 0
    for unit in units:
        size = sum(len(service) + LENGTH_OCTETS for service in unit)
        if packed and octets + size > SERVICES_OCTETS_MAX:
            yield tuple(packed)
            packed, octets = [], 0
        packed += unit
        octets += size
    if packed:
        yield tuple(packed)
