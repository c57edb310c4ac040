"""A relay pushes, a head-end takes: what goes in comes out, whatever happens on the way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.c12.acse import AeQualifier
from protocols.c12.epsem import Control, Epsem, ResponseControl, SecurityMode
from protocols.c12.message import Message, encode_message, read_message
from protocols.c12.meter import interval_data
from protocols.c12.plugin import C12Options, C12Plugin
from protocols.c12.plugin.pushing import ATTEMPTS_MAX, UNDER_WAY_MAX
from protocols.c12.plugin.uplink_exchange import UplinkNode
from protocols.c12.services import (
    RegisterBody,
    Response,
    ResponseCode,
    encode_response,
    ok,
)
from protocols.errors import CodecError, LocalProtocolError
from protocols.plugin import ProtocolPlugin
from protocols.readings import ReadingBatch
from tests.protocols.c12.plugin.uplink import (
    HEAD_END,
    PERIOD_S,
    RELAY,
    Table,
    World,
    apdus,
    exactly,
    joined,
    options,
    ordered,
)
from tests.support.c12_meter_model import AnsiConcentrator, logged, risen

PAIRS = [(0, 3), (1, 3), (2, 3)]


def registered(world: World) -> World:
    world.register_all()
    return world


def codes(world: World, octets: bytes) -> list[ResponseCode]:
    return [response.code for _, answer in world.answers(octets) for response in answer]


def answered(
    world: World, apdu: bytes, code: ResponseCode, body: bytes = b"", *, first: int = 0
) -> bytes:
    """Return another answer to a message of the relay than the head-end would give."""
    sealed = read_message(apdu)
    assert sealed.header.calling is not None
    key = world.known[sealed.header.calling.encode()].encryption_key
    head_end = world.receiver
    request = sealed.open(key)
    header = head_end._channel.answer_header(request.header, request.header.authentication)
    fine = encode_response(ok())
    services = (*[fine] * first, encode_response(Response(code, body)), *[fine] * (first > 0))
    return encode_message(Message(header, Epsem(services, Control(SecurityMode.CIPHERED))), key)


def test_the_plugin_does_both_roles() -> None:
    assert isinstance(C12Plugin(), ProtocolPlugin)


def test_a_node_shows_no_key() -> None:
    credentials = replace(World().credentials, encryption_key=b"sixteen secrets!")
    assert "secret" not in repr(UplinkNode.of(0, credentials))


def test_a_capture_shows_apdus() -> None:
    world = registered(World())
    world.pusher.push(world.model.readings(PAIRS), 1, now=0.0)
    octets = world.pusher.data_to_send()
    packets = C12Plugin().packet_reader()
    too_long = b"\x60\x83\x01\x00\x00" + bytes(1 << 16)
    assert [*packets.feed(octets[:50]), *packets.feed(octets[50:])] == apdus(octets)
    assert packets.feed(too_long + apdus(octets)[0]) == apdus(octets)[:1]
    assert C12Plugin.captured_port == 1153


@pytest.mark.parametrize("protection", ["clear", "authenticated", "ciphered"])
def test_a_push_arrives_and_its_confirmation_names_its_number(protection: str) -> None:
    world = registered(World(options(protection=protection)))
    readings = world.model.readings(PAIRS)

    world.pusher.push(readings, 41, now=0.0)
    assert not world.pusher.idle
    assert world.converse() == [41]

    (received,) = world.received
    assert received.system_title == RELAY
    assert exactly(received.readings, readings)
    assert set(received.counters) == (
        set() if protection == "clear" else {it.system_title for it in world.credentials.members}
    )
    assert world.pusher.idle
    assert (world.refused, world.pusher.refusals()) == ([], [])


def test_a_push_is_one_notification_a_meter_to_the_head_end() -> None:
    world = registered(World())
    world.pusher.push(world.model.readings(PAIRS), 1, now=0.0)
    messages = [read_message(apdu) for apdu in apdus(world.pusher.data_to_send())]
    assert [it.header.calling and it.header.calling.encode() for it in messages] == [
        it.system_title for it in world.credentials.members
    ]
    for message in messages:
        assert message.header.called is not None
        assert message.header.called.encode() == HEAD_END
        assert message.header.qualifier == AeQualifier.NOTIFICATION
        assert message.has_ed_class
        assert message.control.response is ResponseControl.ALWAYS
    assert len({it.header.calling_invocation for it in messages}) == 3


def test_several_captures_of_a_meter_go_into_one_message_with_what_rose_between() -> None:
    world = registered(World())
    readings = world.model.readings([(0, i) for i in range(6)] + [(2, 4)])
    world.pusher.push(readings, 1, now=0.0)
    assert world.converse() == [1]
    (received,) = world.received
    assert exactly(received.readings, ordered(readings))
    assert len(received.counters) == 2


def test_messages_stay_below_the_size_of_a_path() -> None:
    world = registered(World(model=AnsiConcentrator(intervals=96)))
    readings = world.model.readings([(m, i) for m in range(3) for i in range(80)])
    world.pusher.push(readings, 1, now=0.0)
    octets = world.pusher.data_to_send()
    sizes = [len(apdu) for apdu in apdus(octets)]
    assert max(sizes) <= 1_400
    assert max(sizes) > 1_200
    world.pusher.receive_data(world.take(octets), now=0.0)
    assert world.pusher.confirmed() == [1]
    assert exactly(world.received[0].readings, ordered(readings))


def test_events_ride_with_readings() -> None:
    raised = [
        logged(0, 3, 7, 1, 11),
        logged(0, 4, 8, 2, 12),
        logged(0, 4, 1, 3, 0xFFFF_FFFF),
        risen(0, 3, 8),
        risen(0, 3, 11),
        risen(0, 4, 0),
        logged(2, 3, 47, 70_000, 1),
        risen(2, 3, 12),
    ]
    world = registered(World(model=AnsiConcentrator(raised=raised)))
    readings = world.model.readings([*PAIRS, (0, 4), (0, 5)])
    assert len(readings.events) == len(raised)
    world.pusher.push(readings, 1, now=0.0)
    assert world.converse() == [1]
    assert exactly(world.received[0].readings, ordered(readings))
    assert not world.refused


def test_an_event_after_the_last_capture_rides_with_it() -> None:
    world = registered(World(model=AnsiConcentrator(raised=[logged(0, 3, 7, 1)])))
    readings = world.model.readings([(0, 3), (1, 3)])
    late = replace(readings.events, raised_at_s=readings.events.raised_at_s + 5_000)
    readings = replace(readings, events=late)
    world.pusher.push(readings, 1, now=0.0)
    assert world.converse() == [1]
    assert exactly(world.received[0].readings, readings)


def test_a_long_log_is_spread_over_the_captures() -> None:
    raised = [logged(0, 3, 7, number + 1) for number in range(200)]
    world = registered(World(model=AnsiConcentrator(raised=raised)))
    readings = world.model.readings([(0, 3), (0, 4), (0, 5), (0, 6), (0, 7)])
    world.pusher.push(readings, 1, now=0.0)
    octets = world.pusher.data_to_send()
    assert max(len(apdu) for apdu in apdus(octets)) <= 1_400
    world.pusher.receive_data(world.take(octets), now=0.0)
    assert world.pusher.confirmed() == [1]
    assert exactly(world.received[0].readings, ordered(readings))


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(1, 700), max_size=12), back=st.integers(1, 300))
def test_any_split_of_both_streams_gives_the_same(cuts: list[int], back: int) -> None:
    world = registered(World(model=AnsiConcentrator(raised=[logged(1, 3, 7, 1), risen(1, 3, 8)])))
    sent = [world.model.readings(PAIRS), world.model.readings([(1, 4), (0, 4)])]
    for number, readings in enumerate(sent):
        world.pusher.push(readings, number, now=0.0)
    octets = world.pusher.data_to_send()
    answers = b""
    for cut in cuts:
        answers += world.take(octets[:cut])
        octets = octets[cut:]
    answers += world.take(octets)
    confirmed: list[int] = []
    for at in range(0, len(answers), back):
        world.pusher.receive_data(answers[at : at + back], now=0.0)
        confirmed += world.pusher.confirmed()
    assert sorted(confirmed) == [0, 1]
    assert world.pusher.idle
    arrived = ordered(joined(it.readings for it in world.received))
    assert exactly(arrived, ordered(joined(sent)))


def test_answers_may_come_in_any_order() -> None:
    world = registered(World())
    for number in range(3):
        world.pusher.push(world.model.readings([(0, number), (1, number)]), number, now=0.0)
    answers = apdus(world.take(world.pusher.data_to_send()))
    world.pusher.receive_data(b"".join(reversed(answers[1:])), now=0.0)
    assert sorted(world.pusher.confirmed()) == [1, 2]
    assert not world.pusher.idle
    world.pusher.receive_data(answers[0], now=0.0)
    assert world.pusher.confirmed() == [0]
    assert world.pusher.idle


def test_no_more_is_under_way_than_the_bound() -> None:
    world = registered(World(model=AnsiConcentrator(meters=250, intervals=2)))
    for number in range(2):
        readings = world.model.readings([(meter, number) for meter in range(250)])
        world.pusher.push(readings, number, now=0.0)
    octets = world.pusher.data_to_send()
    assert len(apdus(octets)) == UNDER_WAY_MAX
    assert world.pusher.data_to_send() == b""
    world.pusher.receive_data(world.take(octets), now=0.0)
    assert world.converse() == [0, 1]
    assert world.pusher.idle


def test_an_unconfirmed_push_is_done_when_it_is_sent() -> None:
    world = registered(World(options(confirmed=False)))
    readings = world.model.readings(PAIRS)
    world.pusher.push(readings, 1, now=0.0)
    octets = world.pusher.data_to_send()
    assert world.pusher.idle
    assert world.take(octets) == b""
    (received,) = world.received
    assert not received.wants_confirmation
    assert exactly(received.readings, readings)
    with pytest.raises(LocalProtocolError, match="nobody asked"):
        world.receiver.confirm(received)


# Registration


def test_a_new_relay_wants_attention_and_registers_itself_and_all_meters() -> None:
    world = World()
    assert world.pusher.attention_at == 0.0
    world.pusher.attend(now=100.0)
    assert world.converse(100.0) == []

    (item,) = world.registering
    assert item.system_title == RELAY
    assert [(it.title, it.is_relay) for it in item.nodes] == [
        (RELAY, True),
        *((it.system_title, False) for it in world.credentials.members),
    ]
    assert {it.period_s for it in item.nodes} == {PERIOD_S}
    (request, _), *_ = item.token.waiting  # type: ignore[attr-defined]
    assert request.opened.message.header.qualifier is None
    assert set(item.counters) == set(world.known)
    assert world.happened == {"nodes registered": 4}
    assert world.pusher.idle
    assert world.pusher.attention_at is not None
    assert 100 + 0.75 * PERIOD_S <= world.pusher.attention_at <= 100 + 0.85 * PERIOD_S


def test_a_push_waits_for_the_registrations_that_it_needs() -> None:
    world = World()
    readings = world.model.readings(PAIRS)
    world.pusher.push(readings, 5, now=0.0)
    assert world.converse() == [5]
    assert exactly(world.received[0].readings, readings)
    assert world.happened == {"nodes registered": 4}
    assert not world.refused


def test_nodes_register_again_before_their_time_is_over() -> None:
    world = registered(World())
    at = world.pusher.attention_at
    assert at is not None
    world.pusher.attend(now=at)
    world.converse(at)
    assert world.happened == {"nodes registered again": 4}
    assert world.pusher.attention_at is not None
    assert world.pusher.attention_at > at + 0.7 * PERIOD_S


def test_a_refused_renewal_waits_though_its_time_has_come() -> None:
    world = registered(World())
    at = world.pusher.attention_at
    assert at is not None
    world.table.room = 0
    world.pusher.attend(now=at)
    world.converse(at)
    world.pusher.attend(now=at + 0.01)
    assert world.pusher.data_to_send() == b""
    world.pusher.push(world.model.readings(PAIRS), 1, now=at + 0.01)
    assert world.converse(at + 0.01) == [1]


def test_a_push_does_not_hasten_a_registration_that_was_just_refused() -> None:
    world = World(table=Table(room=0))
    world.pusher.attend(now=0.0)
    world.converse()
    due_at = world.pusher.attention_at
    world.pusher.push(world.model.readings([(0, 1)]), 1, now=0.01)
    assert world.pusher.data_to_send() == b""
    assert world.pusher.deadline is not None
    assert due_at is not None
    assert due_at <= world.pusher.deadline < 1.0


def test_after_power_loss_it_is_not_known_what_rose() -> None:
    world = registered(World())

    def rises(interval: int) -> list[int]:
        world.pusher.push(world.model.readings([(1, interval)]), interval, now=0.0)
        (apdu,) = apdus(world.pusher.data_to_send())
        world.take(apdu)
        key = world.credentials.members[1].encryption_key
        (service,) = read_message(apdu).open(key).epsem.services
        rows = interval_data(C12Options.of(world.options).schema, service[8:-1])
        return [int(value) for value in rows[0, :4]]

    rises(3)
    assert any(rises(4))
    world.pusher.restarted()
    world.reconnect()
    world.register_all()
    assert rises(5) == [0, 0, 0, 0]


def test_a_registration_that_ran_out_is_renewed_before_a_push() -> None:
    world = registered(World())
    now = PERIOD_S + 1.0
    world.pusher.push(world.model.readings(PAIRS), 1, now=now)
    assert world.converse(now) == [1]
    assert world.happened == {"nodes registered": 4}


def test_registrations_outlive_connections_and_not_the_power() -> None:
    world = registered(World())
    world.reconnect()
    world.pusher.push(world.model.readings(PAIRS), 1, now=1.0)
    assert world.converse(1.0) == [1]
    assert not world.registering

    world.pusher.restarted()
    assert world.pusher.attention_at == 0.0
    world.reconnect()
    world.pusher.attend(now=2.0)
    world.converse(2.0)
    assert world.happened == {"nodes registered": 4}


def test_nobody_registers_where_nobody_must() -> None:
    world = World(options(register_nodes=False))
    assert world.pusher.attention_at is None
    world.pusher.attend(now=0.0)
    assert world.pusher.idle
    world.pusher.push(world.model.readings(PAIRS), 1, now=0.0)
    assert world.converse() == [1]
    assert not world.registering


def test_refused_registrations_are_tried_again_later_and_apart() -> None:
    world = World(table=Table(room=1))
    world.pusher.attend(now=0.0)
    world.converse()
    assert world.happened == {
        "nodes registered": 1,
        "registration.refused: netr": 3,
        "registrations retried": 3,
    }
    assert world.causes() == ["registration not admitted"] * 3
    assert world.pusher.idle
    first = world.pusher.attention_at
    assert first is not None
    assert 0.5 <= first < 1.0

    world.table.room = 100
    world.pusher.attend(now=first)
    world.converse(first)
    assert 1 <= world.happened["nodes registered"] - 1 < 3
    world.pusher.attend(now=1.0)
    world.converse(1.0)
    assert world.happened["nodes registered"] == 4


def test_a_push_goes_on_by_itself_once_its_node_was_admitted() -> None:
    world = World(table=Table(room=2))
    readings = world.model.readings(PAIRS)
    world.pusher.push(readings, 9, now=0.0)
    assert world.converse() == []
    assert not world.pusher.idle
    assert world.pusher.deadline is not None

    now = 0.0
    for _ in range(10):
        now = world.pusher.deadline
        world.pusher.handle_deadline(now)
        world.converse(now)
        assert world.pusher.deadline is not None
        assert world.pusher.deadline > now
    # Ten times the first delay would be 5 s: each is longer than the one before.
    assert now > 10

    world.table.room = 100
    confirmed: list[int] = []
    while world.pusher.deadline is not None:
        now = world.pusher.deadline
        world.pusher.handle_deadline(now)
        confirmed += world.converse(now)
    assert confirmed == [9]
    assert exactly(ordered(joined(it.readings for it in world.received)), readings)


def test_a_registration_may_be_refused_for_ever_without_a_spin() -> None:
    world = World(table=Table(room=0))
    now, attempts = 0.0, 0
    while now < 100.0:
        assert world.pusher.attention_at is not None
        now = max(now, world.pusher.attention_at)
        world.pusher.attend(now=now)
        world.converse(now)
        attempts += 1
    # Four nodes, each after 0.5, 1, 2, 4, 8, 15, 15 ... seconds or half of that.
    assert 4 * 6 < attempts < 4 * 24


def test_a_head_end_that_forgot_its_nodes_gets_them_back() -> None:
    world = registered(World())
    world.table.titles.clear()
    readings = world.model.readings(PAIRS)
    world.pusher.push(readings, 3, now=1.0)
    assert world.converse(1.0) == [3]
    assert world.causes() == ["not registered"] * 3
    assert world.happened == {
        "notification.refused: netr": 3,
        "notifications retried": 3,
        "nodes registered": 3,
    }
    assert exactly(world.received[0].readings, readings)


def test_a_grant_of_no_time_is_no_grant() -> None:
    world = World()
    world.pusher.attend(now=0.0)
    asked = apdus(world.pusher.data_to_send())[0]
    body = RegisterBody(RELAY, 0, 0, 0).encode()
    world.pusher.receive_data(answered(world, asked, ResponseCode.OK, body), now=0.0)
    assert world.pusher.happened()["registrations retried"] == 1


def test_a_granted_delay_is_waited_for() -> None:
    world = World()
    world.pusher.push(world.model.readings([(0, 1)]), 1, now=0.0)
    relay, meter = apdus(world.pusher.data_to_send())
    title = world.credentials.members[0].system_title
    world.table.titles.add(title)
    body = RegisterBody(title, 30, PERIOD_S, 0).encode()
    world.pusher.receive_data(world.take(relay), now=0.0)
    world.pusher.receive_data(answered(world, meter, ResponseCode.OK, body), now=0.0)
    assert world.pusher.data_to_send() == b""
    assert world.pusher.deadline == 30.0
    world.pusher.handle_deadline(30.0)
    assert world.converse(30.0) == [1]


# What goes wrong


def test_a_connection_lost_in_the_middle_voids_what_was_under_way() -> None:
    world = registered(World())
    readings = world.model.readings(PAIRS)
    world.pusher.push(readings, 1, now=0.0)
    octets = world.pusher.data_to_send()
    answers = apdus(world.take(octets[: len(octets) // 2]))
    assert len(answers) == 1
    late = world.take(octets[len(octets) // 2 :])

    world.reconnect()
    assert world.pusher.idle
    world.pusher.receive_data(late, now=0.0)
    assert world.pusher.confirmed() == []
    assert world.pusher.refusals() == ["unexpected response"] * 2
    world.received.clear()
    world.pusher.push(readings, 1, now=0.0)
    assert world.converse() == [1]
    assert exactly(world.received[0].readings, readings)
    assert not world.refused


def test_a_lost_registration_is_sent_again_on_the_next_connection() -> None:
    world = World()
    world.pusher.attend(now=0.0)
    world.pusher.data_to_send()
    assert world.pusher.attention_at is None
    world.reconnect()
    assert world.pusher.attention_at == 0.0
    world.pusher.attend(now=0.0)
    world.converse()
    assert world.happened == {"nodes registered": 4}


@pytest.mark.parametrize(
    "code", [ResponseCode.DEVICE_BUSY, ResponseCode.DATA_NOT_READY, ResponseCode.DATA_LOCKED]
)
def test_who_cannot_just_now_is_asked_again_later(code: ResponseCode) -> None:
    world = registered(World())
    world.pusher.push(world.model.readings([(1, 1)]), 1, now=0.0)
    (asked,) = apdus(world.pusher.data_to_send())
    world.pusher.receive_data(answered(world, asked, code), now=10.0)
    assert world.pusher.data_to_send() == b""
    assert world.pusher.deadline is not None
    assert 10.5 <= world.pusher.deadline <= 11.0
    world.pusher.handle_deadline(world.pusher.deadline)
    assert world.converse(11.0) == [1]
    assert world.happened == {
        f"notification.refused: {code.abbreviation}": 1,
        "notifications retried": 1,
    }


def test_a_refused_part_is_sent_again_under_another_vector_but_not_for_ever() -> None:
    world = registered(World())
    world.pusher.push(world.model.readings([(1, 1), (2, 1)]), 1, now=0.0)
    asked, fine = apdus(world.pusher.data_to_send())
    world.pusher.receive_data(world.take(fine), now=0.0)
    vectors = []
    for _ in range(ATTEMPTS_MAX):
        authentication = read_message(asked).header.authentication
        assert authentication is not None
        vectors.append(authentication.vector)
        error = ResponseCode.SECURITY_MECHANISM_ERROR
        world.pusher.receive_data(answered(world, asked, error), now=0.0)
        asked = world.pusher.data_to_send()
    assert asked == b""
    assert vectors == sorted(set(vectors))
    assert len(vectors) == ATTEMPTS_MAX
    assert world.pusher.idle
    assert world.pusher.confirmed() == []
    assert world.pusher.happened()["notifications given up"] == 1


@pytest.mark.parametrize("first", [0, 1, 2])
def test_one_service_that_failed_spoils_the_message(first: int) -> None:
    world = registered(World())
    world.pusher.push(world.model.readings([(1, 1)]), 1, now=0.0)
    (asked,) = apdus(world.pusher.data_to_send())
    error = ResponseCode.SECURITY_MECHANISM_ERROR
    world.pusher.receive_data(answered(world, asked, error, first=first), now=0.0)
    assert world.pusher.confirmed() == []
    assert world.converse() == [1]


def test_an_answer_that_leaves_services_out_confirms_nothing() -> None:
    world = registered(World())
    world.pusher.push(world.model.readings([(1, 1), (1, 2)]), 1, now=0.0)
    (asked,) = apdus(world.pusher.data_to_send())
    world.pusher.receive_data(answered(world, asked, ResponseCode.OK), now=0.0)
    assert world.pusher.confirmed() == []
    assert world.pusher.refusals() == ["services left unanswered"]
    world.pusher.receive_data(world.take(asked), now=0.0)
    assert world.pusher.confirmed() == [1]


def test_an_error_in_clear_is_believed_and_an_ok_is_not() -> None:
    world = registered(World())
    world.pusher.push(world.model.readings([(1, 1)]), 1, now=0.0)
    (asked,) = apdus(world.pusher.data_to_send())
    header = world.receiver._channel.answer_header(read_message(asked).header)
    clear = encode_message(Message(header, Epsem((encode_response(ok()),))))
    world.pusher.receive_data(clear, now=0.0)
    assert world.pusher.refusals() == ["not protected"]
    assert not world.pusher.idle
    assert world.pusher.confirmed() == []
    error = encode_response(Response(ResponseCode.SECURITY_MECHANISM_ERROR))
    world.pusher.receive_data(encode_message(Message(header, Epsem((error,)))), now=0.0)
    assert world.converse() == [1]


def test_what_is_no_answer_changes_nothing_and_is_counted() -> None:
    world = registered(World())
    world.pusher.push(world.model.readings([(0, 1), (1, 1)]), 1, now=0.0)
    octets = world.pusher.data_to_send()
    answers = apdus(world.take(octets))
    other = apdus(octets)[0]
    flipped = answers[0][:-1] + bytes([answers[0][-1] ^ 1])
    world.pusher.receive_data(flipped + other + answers[0] + answers[0], now=0.0)
    assert world.pusher.refusals() == ["wrong MAC", "unexpected response", "unexpected response"]
    world.pusher.receive_data(answers[1], now=0.0)
    assert world.pusher.confirmed() == [1]


def test_an_answer_of_another_time_is_a_replay() -> None:
    world = registered(World())
    world.pusher.push(world.model.readings([(1, 1)]), 1, now=0.0)
    octets = world.pusher.data_to_send()
    title = world.credentials.members[1].system_title
    world.head_end_counters.stamps[title] -= 901
    world.pusher.receive_data(world.take(octets), now=0.0)
    assert world.pusher.refusals() == ["repeated vector"]
    assert world.pusher.confirmed() == []


def test_an_answer_for_another_node_is_refused() -> None:
    world = registered(World())
    world.pusher.push(world.model.readings([(0, 1)]), 1, now=0.0)
    (asked,) = apdus(world.pusher.data_to_send())
    sealed = read_message(asked)
    theirs = world.asked(1, (b"\x00",), vector=9)
    header = read_message(theirs).header
    answer = encode_message(
        Message(
            type(header)(
                header.calling,
                header.called,
                b"\x01",
                sealed.header.calling_invocation,
                authentication=sealed.header.authentication,
            ),
            Epsem((encode_response(ok()),), Control(SecurityMode.CIPHERED)),
        ),
        world.credentials.members[1].encryption_key,
    )
    world.pusher.receive_data(answer, now=0.0)
    assert world.pusher.refusals() == ["another node's answer"]


def test_a_stream_without_framing_raises() -> None:
    world = registered(World())
    with pytest.raises(CodecError):
        world.pusher.receive_data(b"HTTP/1.1 200 OK", now=0.0)


@given(octets=st.binary(max_size=60))
def test_garbage_raises_only_protocol_errors(octets: bytes) -> None:
    world = World()
    world.pusher.push(world.model.readings([(0, 1)]), 1, now=0.0)
    world.pusher.data_to_send()
    framed = b"\x60" + bytes([len(octets)]) + octets
    world.pusher.receive_data(framed, now=0.0)
    assert world.pusher.refusals() != []
    assert world.pusher.confirmed() == []


def test_readings_that_do_not_belong_here_are_our_mistake() -> None:
    world = registered(World())
    readings = world.model.readings(PAIRS)
    stranger = ReadingBatch(
        readings.concentrator,
        np.array([b"MST0000000000099"] * 3, "S16"),
        readings.captured_at_s,
        readings.status,
        readings.values,
    )
    narrow = ReadingBatch(
        readings.concentrator,
        readings.meter_ids,
        readings.captured_at_s,
        readings.status,
        readings.values[:, :2],
    )
    for batch, words in (
        (stranger, "no meter"),
        (narrow, "2 registers"),
        (world.model.readings([]), "no readings"),
    ):
        with pytest.raises(LocalProtocolError, match=words):
            world.pusher.push(batch, 1, now=0.0)
    assert world.pusher.idle


def test_a_status_event_without_its_capture_is_our_mistake() -> None:
    world = registered(World(model=AnsiConcentrator(raised=[risen(0, 3, 8)])))
    events = world.model.readings([(0, 3)]).events
    alone = world.model.readings([(0, 4)])
    with pytest.raises(LocalProtocolError, match="status event"):
        world.pusher.push(
            ReadingBatch(
                alone.concentrator,
                alone.meter_ids,
                alone.captured_at_s,
                alone.status,
                alone.values,
                events,
            ),
            1,
            now=0.0,
        )


def test_the_next_life_of_a_relay_uses_no_invocation_id_of_the_last() -> None:
    """An answer to a message of the last life must not be taken for one to this life's."""
    world = World()
    seen: list[set[bytes]] = []
    for _ in range(2):
        pusher = world.push_session()
        pusher.attend(now=0.0)
        messages = map(read_message, apdus(pusher.data_to_send()))
        seen.append({message.header.calling_invocation for message in messages})
    assert seen[0]
    assert seen[1]
    assert not seen[0] & seen[1]
