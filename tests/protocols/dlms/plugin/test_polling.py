from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import LocalProtocolError, ProtocolError, RemoteProtocolError
from protocols.plugin import (
    Closed,
    Command,
    CommandKind,
    Declined,
    Executed,
    Execution,
    LogRead,
    Opened,
    ReadDone,
    SessionOptions,
)
from tests.protocols.dlms.plugin.conversation import Connection, Place
from tests.support.concentrator_model import (
    CREDENTIALS,
    FIRST_S,
    HEAD_END,
    STEP_S,
    TITLE,
    MemoryConcentrator,
    same,
)

LAST_S = FIRST_S + 7 * STEP_S
EVERY_OPTION = [
    SessionOptions(authentication, protection)
    for authentication, protection in product(
        ("none", "lls", "gmac"), ("clear", "authenticated", "ciphered")
    )
]
COMMANDS = [
    Command(CommandKind.DISCONNECT),
    Command(CommandKind.RECONNECT),
    Command(CommandKind.SEGMENT, 3 << 1),
    Command(CommandKind.SEGMENT, 3 << 1 | 1),
    Command(CommandKind.TARIFF, 2),
    Command(CommandKind.TIME, 1_800_000_000),
]


def read(connection: Connection, from_s: int, to_s: int) -> ReadDone:
    connection.poll.read(from_s, to_s, now=1.0)
    outcome = connection.outcome()
    assert isinstance(outcome, ReadDone)
    return outcome


@pytest.mark.parametrize(
    "options", EVERY_OPTION, ids=lambda o: f"{o.authentication}-{o.protection}"
)
def test_everything_can_be_asked_whatever_the_protection(options: SessionOptions) -> None:
    place = Place(options=options)
    connection = place.opened()
    assert same(read(connection, FIRST_S, LAST_S).readings, place.model.buffer(FIRST_S, LAST_S))
    for command in COMMANDS:
        counter = connection.poll.execute(1, command, now=1.0)
        assert connection.outcome() == Executed(True, "success")
        _, execution = place.model.executed[-1]
        assert execution.command == command
        assert execution.counter == (0 if options.protection == "clear" else counter)
    connection.poll.read_log(1, now=1.0)
    assert connection.outcome() == LogRead(tuple(place.model.control_log(1)))
    connection.close()
    assert connection.served.refusals() == []


@given(
    from_step=st.integers(-3, 10),
    to_step=st.integers(-3, 10),
    shift_s=st.integers(0, STEP_S - 1),
    unheard=st.sets(st.tuples(st.integers(0, 2), st.integers(0, 7))),
    size=st.integers(1, 700),
)
def test_a_range_holds_what_was_captured_between_its_bounds(
    from_step: int, to_step: int, shift_s: int, unheard: set[tuple[int, int]], size: int
) -> None:
    place = Place(model=MemoryConcentrator(unheard=unheard))
    connection = place.opened(pieces_of(size))
    from_s, to_s = FIRST_S + from_step * STEP_S + shift_s, FIRST_S + to_step * STEP_S
    readings = read(connection, from_s, to_s).readings
    expected = place.model.buffer(from_s, to_s)
    assert len(readings) == len(expected)
    if len(expected):
        assert same(readings, expected)


def pieces_of(size: int) -> Callable[[bytes], Iterable[bytes]]:
    return lambda octets: (octets[at : at + size] for at in range(0, len(octets), size))


def test_a_long_range_comes_in_blocks_and_is_told_to_the_concentrator_once() -> None:
    place = Place(model=MemoryConcentrator(meters=70, intervals=96))
    connection = place.opened()
    before = len(connection.requests)
    readings = read(connection, FIRST_S, FIRST_S + 96 * STEP_S).readings
    assert len(readings) == 70 * 96
    assert len(connection.requests) - before == 6  # the request and five more blocks
    assert sum(map(len, place.model.handed)) == 70 * 96


def test_more_rows_than_one_request_may_ask_for_are_declined(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("protocols.dlms.plugin.interval_buffer.ROWS_MAX", 23)
    place = Place()
    connection = place.opened()
    connection.poll.read(FIRST_S, LAST_S, now=1.0)
    assert connection.outcome() == Declined("interval buffer: other reason")
    assert connection.served.refusals() == ["other reason"]
    assert len(read(connection, FIRST_S, LAST_S - STEP_S).readings) == 21


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    "options", EVERY_OPTION, ids=lambda o: f"{o.authentication}-{o.protection}"
)
def test_a_commands_counter_is_known_before_anything_is_sent(
    options: SessionOptions, first: bool
) -> None:
    place = Place(options=options)
    connection = place.opened()
    if not first:
        connection.poll.execute(2, COMMANDS[0], now=1.0)
        connection.outcome()
    earlier = place.device_counters.accepted.get(HEAD_END)

    counter = connection.poll.execute(2, COMMANDS[1], now=1.0)

    assert place.device_counters.accepted.get(HEAD_END) == earlier
    assert connection.outcome() == Executed(True, "success")
    if options.protection != "clear":
        assert place.device_counters.accepted[HEAD_END] == counter
        assert place.model.executed[-1][1].counter == counter
    else:
        assert all(execution.counter != counter for _, execution in place.model.executed)


def test_one_connection_talks_to_many_meters_and_the_buffer_in_any_order() -> None:
    place = Place()
    connection = place.opened()
    for meter in (2, 0, 2, 1):
        connection.poll.execute(meter, COMMANDS[0], now=1.0)
        assert connection.outcome() == Executed(True, "success")
        assert len(read(connection, FIRST_S, FIRST_S).readings) == 3
    assert [meter for meter, _ in place.model.executed] == [2, 0, 2, 1]
    connection.close()


def test_a_command_that_changes_nothing_is_carried_out_and_logged_all_the_same() -> None:
    place = Place()
    connection = place.opened()
    counters = []
    for _ in range(2):
        counters.append(connection.poll.execute(0, Command(CommandKind.DISCONNECT), now=1.0))
        assert connection.outcome() == Executed(True, "success")
    assert [execution.counter for execution in place.model.control_log(0)] == counters


def test_after_a_lost_answer_the_log_tells_that_the_command_was_executed() -> None:
    place = Place()
    connection = place.opened()
    counter = connection.poll.execute(1, COMMANDS[0], now=1.0)
    # The handshake with the meter goes through, the answer to the command does not.
    while not place.model.executed:
        connection.served.receive_data(connection.poll.data_to_send(), now=1.0)
        answer = connection.served.data_to_send()
        if not place.model.executed:
            connection.poll.receive_data(answer, now=1.0)

    again = place.opened()
    again.poll.read_log(1, now=2.0)
    outcome = again.outcome()
    assert isinstance(outcome, LogRead)
    assert [execution.counter for execution in outcome.executions] == [counter]


def test_a_request_that_was_under_way_is_refused_once_the_log_has_been_read() -> None:
    place = Place()
    connection = place.opened()
    connection.poll.execute(1, COMMANDS[0], now=1.0)
    connection.outcome()
    connection.poll.execute(1, COMMANDS[1], now=1.0)
    late = connection.poll.data_to_send()

    again = place.opened()
    again.poll.read_log(1, now=2.0)
    assert isinstance(again.outcome(), LogRead)
    connection.served.receive_data(late, now=3.0)

    assert len(place.model.executed) == 1
    assert connection.served.refusals() == ["replayed"]


@pytest.mark.parametrize(
    ("command", "result"),
    [
        (Command(CommandKind.TARIFF, 3), "object undefined"),
        (Command(CommandKind.TARIFF, 1 << 16), "parameter out of range"),
        (Command(CommandKind.SEGMENT, 9 << 1), "object undefined"),
        (Command(CommandKind.SEGMENT, 1), "parameter out of range"),
        (Command(CommandKind.TIME, -1), "parameter out of range"),
    ],
)
def test_a_command_that_makes_no_sense_fails_in_words(command: Command, result: str) -> None:
    place = Place()
    connection = place.opened()
    connection.poll.execute(0, command, now=1.0)
    assert connection.outcome() == Executed(False, result)
    assert place.model.executed == []
    connection.poll.execute(0, COMMANDS[0], now=1.0)
    assert connection.outcome() == Executed(True, "success")


def test_an_unknown_meter_is_declined_and_the_session_goes_on() -> None:
    place = Place()
    connection = place.opened()
    connection.poll.execute(3, COMMANDS[0], now=1.0)
    outcome = connection.outcome()
    assert isinstance(outcome, Declined)
    assert outcome.reason.startswith("no association with device 259: refused by peer")
    assert connection.served.refusals() == ["unknown device"]
    counter = connection.poll.execute(2, COMMANDS[0], now=1.0)
    assert connection.outcome() == Executed(True, "success")
    assert place.model.control_log(2)[0].counter == counter


@pytest.mark.parametrize(
    ("place", "cause"),
    [
        pytest.param(
            lambda: Place(head_end=replace(CREDENTIALS, encryption_key=bytes(16))),
            "wrong MAC",
            id="wrong-key",
        ),
        pytest.param(
            lambda: Place(head_end=replace(CREDENTIALS, authentication_key=bytes(16))),
            "wrong MAC",
            id="wrong-authentication-key",
        ),
        pytest.param(
            lambda: Place(
                options=SessionOptions(authentication="lls", protection="clear"),
                head_end=replace(CREDENTIALS, secret=b"87654321"),
            ),
            "authentication failed",
            id="wrong-secret",
        ),
    ],
)
def test_a_head_end_with_the_wrong_keys_is_declined(place: Callable[[], Place], cause: str) -> None:
    connection = place().connect()
    connection.poll.open(now=0.0)
    assert isinstance(connection.outcome(), Declined)
    assert connection.served.refusals() == [cause]


def test_a_concentrator_must_prove_itself_too() -> None:
    place = Place(options=SessionOptions(protection="clear"))
    place.concentrator = replace(CREDENTIALS, encryption_key=bytes(16))
    connection = place.connect()
    connection.poll.open(now=0.0)
    assert isinstance(connection.outcome(), Declined)


def test_a_recorded_conversation_is_refused_by_a_concentrator() -> None:
    place = Place()
    connection = place.opened()
    connection.poll.execute(0, COMMANDS[0], now=1.0)
    connection.outcome()
    read(connection, FIRST_S, LAST_S)
    executed, handed = len(place.model.executed), len(place.model.handed)

    replayed = place.served()
    for request in connection.requests:
        replayed.receive_data(request, now=5.0)
        replayed.data_to_send()

    assert set(replayed.refusals()) == {"replayed", "not associated"}
    assert (len(place.model.executed), len(place.model.handed)) == (executed, handed)


@pytest.mark.parametrize("protection", ["clear", "authenticated", "ciphered"])
def test_a_recorded_conversation_is_refused_by_a_head_end(protection: str) -> None:
    place = Place(options=SessionOptions(protection=protection))
    answers = place.opened().answers

    poll = place.poll()
    poll.open(now=5.0)
    poll.data_to_send()
    outcome = None
    for answer in answers:
        poll.receive_data(answer, now=5.0)
        poll.data_to_send()
        if (outcome := poll.outcome()) is not None:
            break
    assert isinstance(outcome, Declined)
    assert "replayed" in outcome.reason or "did not prove itself" in outcome.reason


def test_an_answer_recorded_on_this_connection_is_not_believed_and_the_wait_says_so() -> None:
    connection = Place().opened()
    read(connection, FIRST_S, LAST_S)
    connection.poll.read(FIRST_S, LAST_S, now=10.0)
    connection.poll.data_to_send()
    connection.poll.receive_data(connection.answers[-1], now=11.0)
    assert connection.poll.outcome() is None
    assert connection.poll.deadline == 40.0
    with pytest.raises(RemoteProtocolError, match="no answer but replayed"):
        connection.poll.handle_deadline(40.0)


def test_without_an_answer_in_time_the_session_is_over() -> None:
    place = Place(options=SessionOptions(timeout_s=7.0))
    connection = place.opened()
    assert connection.poll.deadline is None
    connection.poll.read(FIRST_S, LAST_S, now=10.0)
    connection.poll.data_to_send()
    assert connection.poll.deadline == 17.0
    connection.poll.handle_deadline(16.9)
    assert connection.poll.deadline == 17.0
    connection.poll.handle_deadline(17.0)
    assert connection.poll.deadline is None
    assert connection.poll.outcome() is None
    assert connection.poll.data_to_send() == b""
    with pytest.raises(LocalProtocolError, match="over"):
        connection.poll.read(FIRST_S, LAST_S, now=18.0)


def test_each_block_has_its_own_time() -> None:
    place = Place(model=MemoryConcentrator(meters=70, intervals=96))
    connection = place.opened()
    connection.poll.read(FIRST_S, FIRST_S + 96 * STEP_S, now=10.0)
    assert isinstance(connection.outcome(now=35.0), ReadDone)


def test_one_request_at_a_time() -> None:
    connection = Place().opened()
    connection.poll.read(FIRST_S, LAST_S, now=1.0)
    with pytest.raises(LocalProtocolError, match="under way"):
        connection.poll.execute(0, COMMANDS[0], now=1.0)
    assert isinstance(connection.outcome(), ReadDone)


def test_releasing_ends_every_association_and_then_opening_works_again() -> None:
    connection = Place().opened()
    connection.poll.execute(0, COMMANDS[0], now=1.0)
    connection.outcome()
    connection.close()
    connection.poll.close(now=2.0)
    assert connection.poll.outcome() == Closed()
    connection.poll.open(now=3.0)
    assert connection.outcome() == Opened()


def test_an_answer_of_a_device_that_was_never_asked_ends_the_session() -> None:
    poll = Place().poll()
    with pytest.raises(RemoteProtocolError, match="logical device 1"):
        poll.receive_data(bytes.fromhex("0001 0001 0001 0001 0e"), now=0.0)


@given(octets=st.binary(max_size=120), opened=st.booleans())
def test_garbage_raises_only_protocol_errors(octets: bytes, opened: bool) -> None:
    place = Place()
    poll = place.opened().poll if opened else place.poll()
    framed = bytes.fromhex("0001 0001 0001") + len(octets).to_bytes(2, "big") + octets
    for data in (framed, octets):
        with suppress(ProtocolError):
            poll.receive_data(data, now=1.0)


def test_the_log_of_a_meter_that_did_nothing_is_empty() -> None:
    connection = Place().opened()
    connection.poll.read_log(0, now=1.0)
    assert connection.outcome() == LogRead(())


def test_a_long_log_comes_whole() -> None:
    place = Place()
    place.model.executed = [
        (0, Execution(Command(CommandKind.TIME, 2**32 - 1), FIRST_S + at, at)) for at in range(4000)
    ]
    connection = place.opened()
    connection.poll.read_log(0, now=1.0)
    assert connection.outcome() == LogRead(tuple(place.model.control_log(0)))


def test_readings_carry_the_concentrators_name() -> None:
    connection = Place().opened()
    assert read(connection, FIRST_S, FIRST_S).readings.concentrator == b"MSC0000000000008"
    assert TITLE[-1] == 8
