"""What a relay pushes, as the services of APDUs; all meters of a push together, as columns.

Nearly every message is blocks of ST64 and nothing else; events are further services after them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from protocols.c12.meter import MeterSchema, event_writes, load_profile_writes
from protocols.c12.plugin.reading_columns import in_order, without_events
from protocols.c12.services import Dialect, encode_request
from protocols.errors import LocalProtocolError
from protocols.readings import EventBatch, EventSource, ReadingBatch

Services: TypeAlias = tuple[bytes, ...]
"""The services of one APDU."""
SERVICES_OCTETS_MAX: Final = 1_280
"""Octets of services in one APDU, so that it stays below 1,400, which paths carry in one piece."""
EVENTS_WITH_READING: Final = 48
"""Entries of the event log that go with one reading where there are others to take the rest."""
LENGTH_OCTETS: Final = 3


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
        rows = in_order(readings)
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
                writes = load_profile_writes(self._schema, without_events(rows, places), previous)
                size, octets = writes.shape[1], writes.tobytes()
                for number, place in enumerate(places.tolist()):
                    units[place] = (octets[number * size : (number + 1) * size],)
        for place, events in _with_readings(rows):
            more = event_writes(self._schema, events)
            units[place] += tuple(encode_request(write, Dialect.C12_22) for write in more)
        return units


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
