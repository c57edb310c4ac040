"""Notification writes: one message, and whole pushes of a relay through both engines.

A push is a reading of each of 70 meters, a message each with a key of its own, registered nodes,
strict replay rule, confirmed; beside it as many readings as one DLMS push. *Events*: every reading
brings an entry of the event log.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Final, TypeGuard

import numpy as np
from rich.console import Console
from rich.table import Table

from protocols.c12.eax_prime import for_key
from protocols.c12.epsem import SecurityMode
from protocols.c12.message import MessageTemplate, encode_message, read_message
from protocols.c12.meter import load_profile_writes, notification_writes, read_notifications
from protocols.c12.plugin.push_decoding import PushDecoder, Pushed
from protocols.c12.plugin.reading_columns import joined, without_events
from protocols.c12.services import (
    Dialect,
    FullWrite,
    OffsetWrite,
    decode_request,
    encode_request,
)
from protocols.plugin import Received, Refused, Registering, SessionOptions
from protocols.readings import EVENT_TYPES, EventBatch, EventSource, ReadingBatch
from tests.bench.c12.fleet import (
    HEAD_END,
    KEYS,
    METERS,
    NAMES,
    PLUGIN,
    RELAY_NAME,
    SCHEMA,
    VECTOR,
    credentials,
    messages,
    readings,
)
from tests.bench.codec import sample, whole_push
from tests.bench.measuring import Line, show, timed
from tests.protocols.c12.plugin.uplink import Table as RegistrationTable
from tests.support.concentrator_model import MemoryCounters

AT_ONCE: Final = 1_000
BUDGET_S: Final = 0.5
MODES: Final = {
    "clear": SecurityMode.CLEAR,
    "ciphered": SecurityMode.CIPHERED,
}
PUSHES: Final = (
    ("clear", "clear", False),
    ("authenticated", "authenticated", False),
    ("ciphered", "ciphered", False),
    ("ciphered, events", "ciphered", True),
)
line = partial(timed, units=METERS, budget_s=BUDGET_S)


def main(console: Console) -> None:
    """Print the figures."""
    show_services(console)
    for mode in ("clear", "ciphered"):
        show_messages(console, Messages(MODES[mode]), mode)
    show_pushes(console)


def show_services(console: Console) -> None:
    """Print what write services of ST64 cost, of readings without events."""
    few, many = readings(1), readings(1, AT_ONCE)
    before, before_many = readings(0).values, readings(0, AT_ONCE).values

    def by_the_rules() -> list[bytes]:
        return [
            encode_request(write, Dialect.C12_22)
            for number in range(METERS)
            for write in notification_writes(SCHEMA, one(few, number), before[number, None])
        ]

    rows = load_profile_writes(SCHEMA, few, before)
    assert by_the_rules() == [octets.tobytes() for octets in rows]
    lines = [
        line("by the rules", by_the_rules),
        line(f"as columns, {METERS} meters", lambda: load_profile_writes(SCHEMA, few, before)),
        timed(
            f"as columns, {AT_ONCE:,} meters",
            lambda: load_profile_writes(SCHEMA, many, before_many),
            AT_ONCE,
            BUDGET_S,
        ),
    ]
    title = f"write of ST64, build (a reading, {rows.shape[1]} octets)"
    show(console, title, lines, unit="service", base=lines[0])


def one(batch: ReadingBatch, number: int) -> ReadingBatch:
    """Return one reading of ``batch``."""
    return without_events(batch, np.array([number]))


def show_messages(console: Console, sample: Messages, mode: str) -> None:
    """Print what messages cost that write one reading each: built, and read to their values."""
    octets = sample.checked()
    building = [
        line("by the rules", sample.by_the_rules),
        line("by template", sample.by_template),
    ]
    reading = [
        line("by the rules", lambda: sample.read_one_by_one(octets)),
        line("values as columns", lambda: sample.read_together(octets)),
    ]
    for what, lines in (("build", building), ("read", reading)):
        title = f"notification, {what} ({mode}, {len(octets[0])} octets)"
        show(console, title, lines, unit="message", base=lines[0])


class Messages:
    """A notification of each meter, and the ways to build and read it."""

    def __init__(self, mode: SecurityMode) -> None:
        self.batch = readings(1)
        rows = load_profile_writes(SCHEMA, self.batch, readings(0).values)
        self._services = [octets.tobytes() for octets in rows]
        self._messages = messages(self._services, mode)
        self._templates = [
            MessageTemplate(it.header, it.epsem.control, ed_class=it.epsem.ed_class)
            for it in self._messages
        ]
        self._decoder = PushDecoder(SCHEMA)

    def checked(self) -> list[bytes]:
        """Return the messages, after all ways were found equal."""
        octets = self.by_the_rules()
        assert self.by_template() == octets
        for found in (self.read_together(octets), self.read_one_by_one(octets)):
            check(found, self.batch)
        return octets

    def by_the_rules(self) -> list[bytes]:
        """Return the messages."""
        return [encode_message(it, key) for it, key in zip(self._messages, KEYS, strict=True)]

    def by_template(self) -> list[bytes]:
        """Return the messages."""
        every = zip(self._templates, self._services, self._messages, KEYS, strict=True)
        return [
            template.build((service,), it.header.calling_invocation, VECTOR, for_key(key))
            for template, service, it, key in every
        ]

    def read_one_by_one(self, octets: list[bytes]) -> ReadingBatch:
        """Return the readings."""
        return joined(
            RELAY_NAME,
            [
                read_notifications(SCHEMA, RELAY_NAME, [(push.name, writes_of(push))])
                for push in opened(octets)
            ],
        )

    def read_together(self, octets: list[bytes]) -> ReadingBatch:
        """Return the readings."""
        batch, unfit = self._decoder.decode(RELAY_NAME, list(opened(octets)))
        assert not unfit
        return batch


def opened(octets: list[bytes]) -> Iterator[Pushed]:
    """Yield what messages hold."""
    for name, apdu, key in zip(NAMES, octets, KEYS, strict=True):
        yield Pushed(name, read_message(apdu).open(key).epsem.services)


def writes_of(push: Pushed) -> list[FullWrite | OffsetWrite]:
    """Return the writes of a message."""
    requests = [decode_request(service, Dialect.C12_22) for service in push.services]
    return [request for request in requests if isinstance(request, FullWrite | OffsetWrite)]


def show_pushes(console: Console) -> None:
    """Print readings a second of whole pushes, and where the time goes."""
    dlms = timed("DLMS, ciphered", partial(whole_push(), sample(METERS)), METERS, BUDGET_S)
    table = Table(title="C12, µs a reading, on its way", title_justify="left")
    table.add_column("protection")
    for part in Pair.PARTS:
        table.add_column(part, justify="right")
    lines = [dlms]
    for way, mode, with_events in PUSHES:
        parts = Pair(mode, with_events=with_events).best()
        table.add_row(way, *(f"{part_s / METERS * 1e6:,.1f}" for part_s in parts))
        lines.append(Line(f"C12, {way}", METERS / sum(parts)))
    title = f"whole push of {METERS} readings, confirmed; DLMS: 1 message, C12: {METERS}"
    show(console, title, lines, unit="reading", base=dlms, group=("push", METERS))
    console.print(table)


class Pair:
    """A relay whose nodes are registered, and its head-end, in memory."""

    PARTS: Final = ("relay sends", "head-end takes", "and confirms", "relay hears")

    def __init__(self, protection: str, *, with_events: bool) -> None:
        known = {it.system_title: it for it in (credentials(), *credentials().members)}
        options = SessionOptions(protection=protection)
        self._counters, self._table = MemoryCounters(), RegistrationTable()
        self._relay = PLUGIN.push_session(credentials(), MemoryCounters(), options)
        self._head_end = PLUGIN.receive_session(
            known.get, HEAD_END, self._counters, options, self._table
        )
        self._with_events = with_events
        self._steps = count()
        self.push()
        assert len(self._table.titles) == METERS + 1

    def best(self) -> tuple[float, ...]:
        """Return the CPU seconds of each of `PARTS`, of the fastest push within the budget."""
        end, found = time.process_time() + 2 * BUDGET_S, self.push()
        while time.process_time() < end:
            found = min(found, self.push(), key=sum)
        return found

    def push(self) -> tuple[float, ...]:
        """Push a reading of every meter; return the CPU seconds of each of `PARTS`.

        Raises `AssertionError` unless all of them arrived, and nothing else.
        """
        step = next(self._steps)
        wanted = readings(step)
        if self._with_events:
            wanted = replace(wanted, events=events_of(wanted, step))
        spent = np.zeros(len(self.PARTS))
        found: list[ReadingBatch] = []
        started = time.process_time()
        self._relay.push(wanted, step, now=0.0)
        while not self._relay.idle:
            octets = self._relay.data_to_send()
            sent = time.process_time()
            items = self._head_end.receive_data(octets)
            answers = self._head_end.data_to_send()
            taken = time.process_time()
            found += self._store(items)
            stored = time.process_time()
            answers += b"".join(self._head_end.confirm(it) for it in items if is_taken(it))
            confirmed = time.process_time()
            self._relay.receive_data(answers, now=0.0)
            ended = time.process_time()
            spent += sent - started, taken - sent, confirmed - stored, ended - confirmed
            started = time.process_time()
        assert self._relay.confirmed() == [step]
        check(joined(RELAY_NAME, found), wanted)
        return tuple(spent.tolist())

    def _store(self, items: Sequence[Received | Registering | Refused]) -> list[ReadingBatch]:
        """Remember what a head-end makes durable; return the readings."""
        found = []
        for item in items:
            assert is_taken(item), item
            for title, counter in item.counters.items():
                self._counters.accept(title, counter)
            if isinstance(item, Registering):
                self._table.titles |= {node.title for node in item.nodes}
            else:
                found.append(item.readings)
        return found


def is_taken(item: Received | Registering | Refused) -> TypeGuard[Received | Registering]:
    """Tell whether an item is something to confirm."""
    return not isinstance(item, Refused)


def check(found: ReadingBatch, wanted: ReadingBatch) -> None:
    """Raise `AssertionError` unless both hold the same."""
    for name in ("meter_ids", "captured_at_s", "status", "values"):
        assert np.array_equal(getattr(found, name), getattr(wanted, name)), name
    for name in EVENT_TYPES:
        assert np.array_equal(getattr(found.events, name), getattr(wanted.events, name)), name


def events_of(batch: ReadingBatch, step: int) -> EventBatch:
    """Return an entry of the event log of each meter, raised in the interval of ``step``."""
    size = len(batch)
    return EventBatch(
        batch.meter_ids,
        np.full(size, EventSource.LOG, np.uint8),
        np.full(size, 1, np.uint16),
        np.full(size, step + 1, np.uint32),
        batch.captured_at_s - 60,
        np.zeros(size, np.uint32),
    )
