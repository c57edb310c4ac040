"""A head-end asks the meters behind a relay; both are ours, joined by octets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.c12.acse import decode_apdu
from protocols.c12.epsem import Control, Epsem, ResponseControl, SecurityMode
from protocols.c12.framing import ApduReader
from protocols.c12.message import Message, encode_message, read_message
from protocols.c12.meter import Meter
from protocols.c12.plugin.downlink_pipeline import ATTEMPTS, WINDOW
from protocols.c12.services import FullRead, OffsetRead, Request, Response, read_response
from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.plugin import (
    Closed,
    Command,
    CommandKind,
    Declined,
    Executed,
    LogRead,
    Opened,
    ReadDone,
    SessionOptions,
)
from protocols.readings import EVENT_TYPES, EventBatch, ReadingBatch
from tests.support.c12_conversation import PARTICULAR, Connection, Place, options
from tests.support.c12_foreign_meter import ForeignMeter
from tests.support.c12_meter_model import AnsiConcentrator, logged, risen, schema_of
from tests.support.concentrator_model import FIRST_S, STEP_S, same

METER: Final = 1
METER_NAME: Final = AnsiConcentrator().meter_names[METER]
LAST_S: Final = FIRST_S + 7 * STEP_S
RAISED: Final = [
    logged(0, 2, 1, 1, argument=7),
    logged(0, 3, 2, 2),
    risen(1, 4, 8),
    logged(2, 2, 47, 1),
    risen(2, 2, 3),
    risen(2, 2, 12),
]
WAYS: Final = [
    pytest.param(options(), id="sessionless"),
    pytest.param(options(sessionless=False), id="in sessions"),
    pytest.param(options(authentication="none"), id="no password"),
    pytest.param(options(authentication="none", sessionless=False), id="in sessions, no password"),
    pytest.param(options(security_answer=False), id="Security unanswered"),
    pytest.param(options(replay="window"), id="window"),
    pytest.param(SessionOptions(protection="clear", particular=PARTICULAR), id="clear"),
    pytest.param(
        SessionOptions(protection="authenticated", particular=PARTICULAR), id="authenticated"
    ),
]


def read(connection: Connection, from_s: int, to_s: int, now: float = 1.0) -> ReadingBatch:
    return read_done(connection, from_s, to_s, now).readings


def read_done(connection: Connection, from_s: int, to_s: int, now: float = 1.0) -> ReadDone:
    connection.poll.read(from_s, to_s, now=now)
    outcome = connection.outcome(now)
    assert isinstance(outcome, ReadDone)
    return outcome


def same_events(left: EventBatch, right: EventBatch) -> bool:
    return all(np.array_equal(getattr(left, name), getattr(right, name)) for name in EVENT_TYPES)


def apdus(octets: bytes) -> Iterator[bytes]:
    """Cut what was sent into APDUs."""
    reader = ApduReader(max_apdu_size=1 << 16)
    reader.feed(octets)
    while isinstance(apdu := reader.next_apdu(), bytes):
        yield apdu


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("from_s", "to_s"),
    [
        pytest.param(FIRST_S, LAST_S, id="everything"),
        pytest.param(FIRST_S + 2 * STEP_S, FIRST_S + 4 * STEP_S, id="the middle"),
        pytest.param(FIRST_S + STEP_S, FIRST_S + STEP_S, id="one"),
        pytest.param(FIRST_S + STEP_S + 1, FIRST_S + 3 * STEP_S - 1, id="bounds between captures"),
        pytest.param(0, 2**32 - 1, id="more than there is"),
        pytest.param(FIRST_S + 1, FIRST_S + 2, id="nothing"),
        pytest.param(LAST_S + STEP_S, LAST_S + 9 * STEP_S, id="what will be"),
    ],
)
def test_a_range_is_read_exactly(way: SessionOptions, from_s: int, to_s: int) -> None:
    place = Place(AnsiConcentrator(raised=RAISED, unheard={(1, 3), (2, 0), (2, 7)}), way)
    readings = read(place.connect(), from_s, to_s)
    expected = place.model.buffer(from_s, to_s)
    assert same(readings, expected)
    assert same_events(readings.events, expected.events)


def test_only_the_wanted_meters_are_asked() -> None:
    place = Place(AnsiConcentrator(raised=RAISED))
    connection = place.connect()
    connection.poll.read(FIRST_S, LAST_S, meters=[0, 2], now=0.0)
    outcome = connection.outcome()
    assert isinstance(outcome, ReadDone)
    assert set(outcome.readings.meter_ids) == {place.model.meter_names[m] for m in (0, 2)}
    assert set(outcome.readings.events.meter_ids) == set(outcome.readings.meter_ids)
    assert len(list(apdus(connection.requests[0]))) == 2


def test_a_meter_that_was_never_heard_has_nothing() -> None:
    place = Place(AnsiConcentrator(unheard={(1, interval) for interval in range(8)}))
    readings = read(place.connect(), FIRST_S, LAST_S)
    assert same(readings, place.model.buffer(FIRST_S, LAST_S))
    assert place.model.meter_names[1] not in readings.meter_ids


def test_many_meters_and_a_long_time_are_read_in_parts_and_segments() -> None:
    place = Place(AnsiConcentrator(meters=2, intervals=700))
    connection = place.connect()
    to_s = FIRST_S + 699 * STEP_S
    assert same(read(connection, FIRST_S, to_s), place.model.buffer(FIRST_S, to_s))
    sent = [decode_apdu(apdu) for apdu in apdus(b"".join(connection.answers))]
    assert any(apdu.segment is not None for apdu in sent)
    assert max(len(apdu.octets) for apdu in sent) <= 2_048


def test_requests_are_pipelined_and_never_more_than_a_window() -> None:
    place = Place(AnsiConcentrator(meters=WINDOW + 20))
    connection = place.connect()
    connection.poll.read(FIRST_S, LAST_S, now=0.0)
    first = connection.poll.data_to_send()
    assert len(list(apdus(first))) == WINDOW
    connection.ask(first)
    connection.answer()
    outcome = connection.outcome()
    assert isinstance(outcome, ReadDone)
    assert same(outcome.readings, place.model.buffer(FIRST_S, LAST_S))


@pytest.mark.parametrize(
    ("captures", "round_trips"),
    [pytest.param(3, 1, id="at once"), pytest.param(30, 2, id="lists first")],
)
def test_what_is_handed_over_is_what_is_answered_and_is_told_before_it_leaves(
    captures: int, round_trips: int
) -> None:
    place = Place(AnsiConcentrator(intervals=40))
    connection = place.connect()
    to_s = FIRST_S + captures * STEP_S
    connection.poll.read(FIRST_S + STEP_S, to_s, now=0.0)
    for _ in range(round_trips - 1):
        connection.ask(connection.poll.data_to_send())
        connection.answer()
        assert not place.model.handed
    connection.ask(connection.poll.data_to_send())
    handed = [
        (bytes(meter), int(time))
        for batch in place.model.handed
        for meter, time in zip(batch.meter_ids, batch.captured_at_s, strict=True)
    ]
    connection.answer()
    outcome = connection.poll.outcome()
    assert isinstance(outcome, ReadDone)
    expected = place.model.buffer(FIRST_S + STEP_S, to_s)
    wanted = zip(expected.meter_ids.tolist(), expected.captured_at_s.tolist(), strict=True)
    assert sorted(handed) == sorted(wanted)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_split_of_the_stream_gives_the_same_readings(data: st.DataObject) -> None:
    def split(octets: bytes) -> list[bytes]:
        cuts = data.draw(st.lists(st.integers(0, len(octets)), max_size=8).map(sorted))
        return [octets[a:b] for a, b in zip([0, *cuts], [*cuts, len(octets)], strict=True)]

    place = Place(AnsiConcentrator(raised=RAISED))
    readings = read(place.connect(split), FIRST_S, LAST_S)
    assert same(readings, place.model.buffer(FIRST_S, LAST_S))


# One message each, where it fits the meter


@pytest.mark.parametrize("way", [WAYS[0], *WAYS[2:3], *WAYS[4:]])
def test_a_new_capture_takes_one_message_each_way(way: SessionOptions) -> None:
    place = Place(AnsiConcentrator(intervals=2000), way)
    connection = place.connect()
    newest_s = FIRST_S + 1999 * STEP_S
    assert same(read(connection, newest_s, newest_s), place.model.buffer(newest_s, newest_s))
    assert [len(list(apdus(octets))) for octets in connection.requests] == [3]
    assert [len(list(apdus(octets))) for octets in connection.answers] == [3]


def test_entries_that_were_read_are_not_read_again_whatever_the_connection() -> None:
    place = Place(AnsiConcentrator(raised=RAISED))
    round_trips = []
    for intervals in (5, 6, 7):
        place.model.intervals = intervals
        connection = place.connect()
        newest_s = FIRST_S + (intervals - 1) * STEP_S
        readings = read(connection, newest_s, newest_s)
        expected = place.model.buffer(newest_s, newest_s)
        assert same(readings, expected)
        assert same_events(readings.events, expected.events)
        round_trips.append(len(connection.requests))
    assert round_trips == [2, 1, 1]


@pytest.mark.parametrize("room", [3, 960])
@pytest.mark.parametrize("way", WAYS[:2])
def test_a_meter_of_another_kind_is_read_in_the_general_way(
    monkeypatch: pytest.MonkeyPatch, way: SessionOptions, room: int
) -> None:
    place = Place(AnsiConcentrator(), way)
    foreign = []

    def made(model: AnsiConcentrator, number: int, *args: Any, **options: Any) -> object:
        meter = Meter(model, number, *args, **options)
        if number != METER:
            return meter
        foreign.append(ForeignMeter(meter, schema_of(model), room))
        return foreign[-1]

    monkeypatch.setattr("protocols.c12.plugin.serving.Meter", made)
    connection = place.connect()
    done = read_done(connection, LAST_S, LAST_S)
    assert same(done.readings, place.model.buffer(LAST_S, LAST_S))
    assert not done.left_out
    asked = [type(request) for meter in foreign for request in meter.asked]
    assert asked.count(FullRead) >= 4


def test_a_block_that_cannot_be_read_leaves_its_meter_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = Place()

    def made(model: AnsiConcentrator, number: int, *args: Any, **options: Any) -> object:
        meter = Meter(model, number, *args, **options)
        return meter if number != METER else Unreadable(meter, schema_of(model))

    monkeypatch.setattr("protocols.c12.plugin.serving.Meter", made)
    connection = place.connect()
    done = read_done(connection, LAST_S, LAST_S)
    assert done.readings.meter_ids.tolist() == [place.model.meter_names[m] for m in (0, 2)]
    ((cause, count),) = done.left_out.items()
    assert cause.startswith("an answer that is none")
    assert count == 1


class Unreadable(ForeignMeter):
    """Its registers stand at what is no number."""

    def handle(self, request: Request, *, now: float) -> Response:
        match request:
            case OffsetRead(table=64, count=count):
                return read_response(b"\xff" * count)
        return self.meter.handle(request, now=now)


# Meters that cannot, or are not believed


@pytest.mark.parametrize("way", WAYS[:2])
def test_a_busy_meter_is_asked_again_after_a_while(way: SessionOptions) -> None:
    place = Place(options=way)
    connection = place.connect()
    place.model.meter_state(METER).busy = True
    connection.poll.read(FIRST_S, LAST_S, now=0.0)
    assert connection.outcome(0.0) is None
    deadline = connection.poll.deadline
    assert deadline is not None
    assert 0.0 < deadline < 1.0
    place.model.meter_state(METER).busy = False
    connection.poll.handle_deadline(deadline)
    outcome = connection.outcome(deadline)
    assert isinstance(outcome, ReadDone)
    assert same(outcome.readings, place.model.buffer(FIRST_S, LAST_S))
    assert "device busy" in connection.served.refusals()


@pytest.mark.parametrize(
    ("state", "cause"),
    [("busy", "device busy"), ("locked", "data locked"), ("ready", "data not ready")],
)
def test_a_meter_that_goes_on_refusing_is_left_out(state: str, cause: str) -> None:
    place = Place()
    connection = place.connect()
    setattr(place.model.meter_state(METER), state, state != "ready")
    connection.poll.read(FIRST_S, LAST_S, now=0.0)
    outcome, waits = connection.outcome(0.0), 0
    while outcome is None:
        now = connection.poll.deadline
        assert now is not None
        connection.poll.handle_deadline(now)
        outcome, waits = connection.outcome(now), waits + 1
    assert waits == ATTEMPTS - 1
    assert isinstance(outcome, ReadDone)
    assert set(outcome.readings.meter_ids) == {place.model.meter_names[m] for m in (0, 2)}
    assert outcome.left_out == {cause: 1}


@pytest.mark.parametrize("way", WAYS)
def test_a_meter_that_does_not_answer_its_relay_is_left_out_until_it_does(
    way: SessionOptions,
) -> None:
    place = Place(options=way)
    place.model.meter_state(METER).reachable = False
    connection = place.connect()
    done = read_done(connection, FIRST_S, LAST_S)
    assert set(done.readings.meter_ids) == {place.model.meter_names[m] for m in (0, 2)}
    assert done.left_out == {"network not reachable": 1}
    assert list(connection.served.refusals()) == ["network not reachable"]
    place.model.meter_state(METER).reachable = True
    assert METER_NAME in read(connection, FIRST_S, LAST_S, now=5.0).meter_ids


def test_nothing_is_said_for_an_idle_meter_to_who_wants_no_answer() -> None:
    place = Place()
    place.model.meter_state(METER).reachable = False
    connection = place.connect()
    connection.poll.read(FIRST_S, LAST_S, meters=[METER], now=0.0)
    (apdu,) = apdus(connection.poll.data_to_send())
    sealed = read_message(apdu)
    never = Control(SecurityMode.CLEAR, ResponseControl.NEVER)
    silent = encode_message(Message(sealed.header, Epsem((b"\x20",), never)), None)
    connection.served.receive_data(silent, now=1.0)
    assert connection.served.data_to_send() == b""
    assert list(connection.served.refusals()) == ["network not reachable"]
    connection.served.receive_data(apdu, now=2.0)
    assert connection.served.data_to_send()


def test_all_meters_refusing_is_a_refusal() -> None:
    place = Place()
    for meter in range(3):
        place.rekey(meter)
    connection = place.connect()
    connection.poll.read(FIRST_S, LAST_S, now=0.0)
    assert connection.outcome() == Declined("security mechanism error (3 meters)")
    assert list(connection.served.refusals()) == ["wrong MAC"] * 3


def test_a_wrong_key_of_one_meter_leaves_that_one_out() -> None:
    place = Place()
    place.rekey(METER)
    connection = place.connect()
    done = read_done(connection, FIRST_S, LAST_S)
    assert set(done.readings.meter_ids) == {place.model.meter_names[m] for m in (0, 2)}
    assert done.left_out == {"security mechanism error": 1}
    assert list(connection.served.refusals()) == ["wrong MAC"]


def test_a_meter_that_is_not_behind_the_relay_is_unknown_to_it() -> None:
    place = Place(AnsiConcentrator(meters=4))
    place.device = Place(AnsiConcentrator(meters=3)).device
    connection = place.connect()
    done = read_done(connection, FIRST_S, LAST_S)
    assert set(done.readings.meter_ids) == set(place.model.meter_names[:3])
    assert done.left_out == {"unknown application title": 1}
    assert list(connection.served.refusals()) == ["unknown ApTitle"]


def test_a_wrong_password_is_no_clearance() -> None:
    place = Place(options=options(authentication="none"))
    connection = place.connect()
    place.options = options()
    connection.served = place.served()
    connection.poll.read(FIRST_S, LAST_S, now=0.0)
    outcome = connection.outcome()
    assert outcome == Declined("insufficient security clearance (3 meters)")


# Answers that do not come


@pytest.mark.parametrize("way", WAYS[:2])
def test_a_missing_answer_leaves_its_meter_out_once_it_is_overdue(way: SessionOptions) -> None:
    place = Place(options=way)
    connection = place.connect()
    connection.poll.read(FIRST_S, LAST_S, now=0.0)
    requests = list(apdus(connection.poll.data_to_send()))
    connection.ask(requests[0] + requests[2])
    connection.answer(1.0)
    assert connection.outcome(1.0) is None
    last_request = 0.0 if way is WAYS[0].values[0] else 1.0
    assert connection.poll.deadline == pytest.approx(last_request + place.options.timeout_s)
    connection.poll.handle_deadline(1.0 + place.options.timeout_s)
    outcome = connection.poll.outcome()
    assert isinstance(outcome, ReadDone)
    assert set(outcome.readings.meter_ids) == {place.model.meter_names[m] for m in (0, 2)}
    assert outcome.left_out == {"no answer in time": 1}
    assert same(read(connection, FIRST_S, LAST_S, 40.0), place.model.buffer(FIRST_S, LAST_S))


def test_a_session_that_a_lost_answer_left_open_is_ended_before_the_next() -> None:
    place = Place(options=options(sessionless=False))
    connection = place.connect()
    connection.poll.read(FIRST_S, LAST_S, meters=[0, METER], now=0.0)
    connection.ask(connection.poll.data_to_send())
    one, _ = apdus(connection.served.data_to_send())
    connection.poll.receive_data(one, now=1.0)
    assert connection.outcome() is None
    connection.poll.handle_deadline(1.0 + place.options.timeout_s)
    outcome = connection.poll.outcome()
    assert isinstance(outcome, ReadDone)
    assert outcome.left_out == {"no answer in time": 1}
    connection.poll.execute(METER, Command(CommandKind.DISCONNECT), now=40.0)
    assert connection.outcome(40.0) == Declined("invalid service sequence state")
    connection.poll.read_log(METER, now=41.0)
    assert connection.outcome(41.0) == LogRead(())
    promised = connection.poll.execute(METER, Command(CommandKind.DISCONNECT), now=42.0)
    assert connection.outcome(42.0) == Executed(True, "completed")
    assert [execution.counter for _, execution in place.model.executed] == [promised]


def test_no_answer_at_all_ends_the_session() -> None:
    place = Place()
    poll = place.poll()
    poll.read(FIRST_S, LAST_S, now=0.0)
    poll.data_to_send()
    assert poll.deadline == place.options.timeout_s
    poll.handle_deadline(place.options.timeout_s)
    assert poll.outcome() is None
    assert poll.deadline is None
    with pytest.raises(LocalProtocolError, match="over"):
        poll.read(FIRST_S, LAST_S, now=31.0)


def test_answers_that_are_not_believed_are_told_of_when_time_runs_out() -> None:
    place = Place()
    connection = place.connect()
    connection.poll.read_log(METER, now=0.0)
    connection.ask(connection.poll.data_to_send())
    (answer,) = apdus(connection.served.data_to_send())
    connection.poll.receive_data(answer[:-1] + bytes([answer[-1] ^ 1]), now=1.0)
    assert connection.poll.outcome() is None
    with pytest.raises(RemoteProtocolError, match="wrong MAC"):
        connection.poll.handle_deadline(place.options.timeout_s)


def test_an_answer_that_was_heard_before_is_not_believed() -> None:
    place = Place()
    connection = place.connect()
    connection.poll.read_log(METER, now=0.0)
    assert connection.outcome() == LogRead(())
    connection.poll.read_log(METER, now=1.0)
    connection.poll.receive_data(connection.answers[0], now=1.0)
    assert connection.poll.outcome() is None
    assert connection.outcome() == LogRead(())


# Commands


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("command", "state"),
    [
        (Command(CommandKind.DISCONNECT), lambda model: not model.is_connected(METER, 0)),
        (Command(CommandKind.RECONNECT), lambda model: model.is_connected(METER, 0)),
        (Command(CommandKind.SEGMENT, 3 << 1), lambda model: not model.is_connected(METER, 3)),
        (Command(CommandKind.SEGMENT, 3 << 1 | 1), lambda model: model.is_connected(METER, 3)),
        (Command(CommandKind.TARIFF, 2), lambda model: model.active_rate(METER) == 2),
        (
            Command(CommandKind.TIME, 1_800_000_000),
            lambda model: model.meter_clock_s(METER) == 1_800_000_000,
        ),
    ],
)
def test_a_command_is_executed_once_under_the_promised_vector(
    way: SessionOptions, command: Command, state: object
) -> None:
    place = Place(options=way)
    connection = place.connect()
    promised = connection.poll.execute(METER, command, now=0.0)
    assert connection.outcome() == Executed(True, "completed")
    assert callable(state)
    assert state(place.model)
    connection.poll.read_log(METER, now=2.0)
    log = connection.outcome()
    assert isinstance(log, LogRead)
    (execution,) = log.executions
    assert execution.command == command
    assert execution.counter == (0 if way.protection == "clear" else promised)


@pytest.mark.parametrize(
    "command",
    [
        Command(CommandKind.TARIFF, 3),
        Command(CommandKind.SEGMENT, 9 << 1),
        Command(CommandKind.TARIFF, 300),
        Command(CommandKind.TIME, 2**40),
    ],
)
def test_a_parameter_that_makes_no_sense_is_answered(command: Command) -> None:
    place = Place()
    connection = place.connect()
    connection.poll.execute(METER, command, now=0.0)
    outcome = connection.outcome()
    assert isinstance(outcome, Executed)
    assert not outcome.done
    assert not place.model.executed


def test_a_command_to_a_busy_meter_is_declined_and_not_repeated() -> None:
    place = Place()
    place.model.meter_state(METER).busy = True
    connection = place.connect()
    connection.poll.execute(METER, Command(CommandKind.DISCONNECT), now=0.0)
    assert connection.outcome() == Declined("device busy")
    place.model.meter_state(METER).busy = False
    connection.poll.read_log(METER, now=1.0)
    assert connection.outcome() == LogRead(())
    assert not place.model.executed


def test_the_log_settles_a_command_whose_answer_was_lost() -> None:
    place = Place()
    lost = place.connect()
    promised = lost.poll.execute(METER, Command(CommandKind.DISCONNECT), now=0.0)
    lost.ask(lost.poll.data_to_send())
    again = place.connect()
    again.poll.read_log(METER, now=5.0)
    log = again.outcome(5.0)
    assert isinstance(log, LogRead)
    assert [execution.counter for execution in log.executions] == [promised]


@pytest.mark.parametrize(("replay", "executed"), [("strict", 0), ("off", 1)])
def test_a_command_that_was_held_up_cannot_be_executed_once_the_log_was_read(
    replay: str, executed: int
) -> None:
    place = Place(options=options(replay=replay))
    lost = place.connect()
    lost.poll.execute(METER, Command(CommandKind.DISCONNECT), now=0.0)
    held_up = lost.poll.data_to_send()
    again = place.connect()
    again.poll.read_log(METER, now=5.0)
    assert again.outcome(5.0) == LogRead(())
    lost.ask(held_up, 6.0)
    assert len(place.model.executed) == executed
    assert ("repeated vector" in lost.served.refusals()) == (executed == 0)


# The session


def test_opening_and_closing_take_no_octets() -> None:
    poll = Place().poll()
    poll.open(now=0.0)
    assert poll.outcome() == Opened()
    poll.close(now=0.0)
    assert poll.outcome() == Closed()
    assert not poll.data_to_send()
    assert poll.deadline is None


def test_one_thing_is_asked_at_a_time() -> None:
    poll = Place().poll()
    poll.read(FIRST_S, LAST_S, now=0.0)
    with pytest.raises(LocalProtocolError, match="under way"):
        poll.read_log(METER, now=0.0)


def test_a_relay_without_meters_has_no_readings() -> None:
    place = Place(AnsiConcentrator(meters=0))
    readings = read(place.connect(), FIRST_S, LAST_S)
    assert len(readings) == 0
    assert readings.registers == len(place.model.registers)
