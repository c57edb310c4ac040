"""A client and a server over a line that loses, doubles, cuts and changes what it carries.

Every request ends with its answer, a refusal or a typed end, and no answer is ever a wrong one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.c12.psem import (
    C12_18,
    C12_18_DEVICE,
    Answered,
    ClientEvent,
    Failed,
    Fault,
    LinkOptions,
    PsemClient,
    PsemServer,
    Refused,
)
from protocols.c12.services import FullRead, ReadBody, ResponseCode
from tests.protocols.c12.psem.line import Carry, Change, Cut, Line, Tables, deliver, double, lose

SMALL = replace(C12_18, packet_size=64, packets=8)
TRANSPARENT = replace(SMALL, transparency=True, data_format=1)
TABLES = {number: bytes((number * 7 + i) % 256 for i in range(90 * number)) for number in range(5)}

harms = st.one_of(
    st.just(lose),
    st.just(double),
    st.builds(Change, st.integers(0, 80), st.integers(1, 255)),
    st.builds(Cut, st.integers(0, 80)),
)
# Mostly well, so that something gets through.
lines = st.lists(st.one_of(st.just(deliver), st.just(deliver), harms), max_size=40)


def connect(faults: list[Carry], options: LinkOptions = SMALL) -> tuple[Line, Tables]:
    tables = Tables(dict(TABLES))
    device = replace(C12_18_DEVICE, link=options)
    server = PsemServer(tables, random_bytes=bytes, options=device)
    return Line(PsemClient(options=options), server, iter(faults)), tables


def session(line: Line) -> list[ClientEvent]:
    """Open a session, read, write and read, close; stop at the first thing that is no answer."""
    client = line.client
    events: list[ClientEvent] = []

    def read(table: int) -> None:
        client.read(table, line.now)

    steps: list[Callable[[], None]] = [
        lambda: client.identify(line.now),
        lambda: client.negotiate(line.now),
        lambda: client.logon(2, b"0000", line.now),
        *(partial(read, table) for table in (1, 1, 2, 3, 4, 2)),
        lambda: client.write(3, b"written" * 20, line.now),
        partial(read, 3),
        lambda: client.terminate(line.now),
    ]
    for step in steps:
        step()
        events.append(line.run())
        if not isinstance(events[-1], Answered):
            break
    return events


def check(events: list[ClientEvent], tables: Tables) -> None:
    written = {**TABLES, 3: b"written" * 20}
    for number, event in enumerate(events):
        match event:
            case Answered(FullRead(table), ReadBody(data)):
                truth = written if number > 9 else TABLES
                assert data == truth[table]
            case Answered():
                pass
            case Refused():
                # Only a device that has ended its session says no here.
                assert event.response.code is ResponseCode.INVALID_SERVICE_SEQUENCE_STATE
                assert tables.ended
            case _:
                assert isinstance(event, Failed)


def test_a_good_line() -> None:
    line, tables = connect([])
    events = session(line)
    assert len(events) == 12
    assert all(isinstance(event, Answered) for event in events)
    check(events, tables)
    assert not line.client.faults
    assert not line.server.faults


@pytest.mark.parametrize("options", [SMALL, TRANSPARENT], ids=["plain", "transparent"])
@settings(max_examples=100, deadline=None)
@given(faults=lines)
def test_no_line_makes_a_wrong_value(options: LinkOptions, faults: list[Carry]) -> None:
    line, tables = connect(faults, options)
    events = session(line)
    check(events, tables)
    while not line.client.closed and line.client.deadline is not None:
        line.wait()
    # And the device is ready for somebody else once all is silent.
    while line.server.deadline is not None:
        line.server.data_to_send()
        line.now = line.server.deadline
        line.server.handle_deadline(line.now)
    again = Line(PsemClient(options=options), line.server, now=line.now)
    again.server.data_to_send()
    again.client.identify(again.now)
    assert isinstance(again.run(), Answered)


@pytest.mark.parametrize(
    "harm",
    [lose, double, Change(7, 0x10), Cut(5)],
    ids=["lost", "doubled", "changed", "cut"],
)
@pytest.mark.parametrize("burst", range(36))
def test_one_harm_anywhere_is_repaired(harm: Carry, burst: int) -> None:
    """Every burst of a session in turn is harmed once: all answers come, and they are right."""
    line, tables = connect([deliver] * burst + [harm])
    events = session(line)
    check(events, tables)
    failed = [event for event in events if not isinstance(event, Answered)]
    if harm is double:
        # A doubled ACK may be taken for the next packet's, which is then not sent again.
        assert all(isinstance(event, Failed) for event in failed)
    else:
        assert failed == []


def test_a_lost_acknowledgement_byte_for_byte() -> None:
    # Bursts: request, then acknowledgement with answer; the second is lost.
    line, _ = connect([deliver, lose])
    line.client.identify(line.now)
    assert isinstance(line.run(), Answered)
    request = bytes.fromhex("ee0000000001201310")
    response = bytes.fromhex("ee00000000050000020000a25a")
    assert line.carried[:2] == [(">", request), ("<", b"\x06" + response)]
    assert (">", request) in line.carried[2:]
    assert line.server.faults[Fault.DUPLICATE] == 1
    assert len(line.server_events()) == 1
