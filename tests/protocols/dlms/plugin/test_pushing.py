from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.dlms.plugin import DlmsPlugin
from protocols.dlms.plugin.pushing import NUMBER_MASK, REFUSALS_MAX
from protocols.errors import CodecError, LocalProtocolError
from protocols.plugin import (
    Credentials,
    PushSession,
    Received,
    ReceiveSession,
    Refused,
    Registering,
    SessionOptions,
    load_protocol,
)
from tests.support.concentrator_model import (
    CREDENTIALS,
    HEAD_END,
    NO_NODES,
    TITLE,
    MemoryConcentrator,
    MemoryCounters,
    same,
)
from tests.support.pushing import confirmed, pushed

OPTIONS = SessionOptions()
MODEL = MemoryConcentrator()
READINGS = MODEL.readings([(0, 3), (1, 3), (2, 3)])
WRONG_KEYS = replace(CREDENTIALS, encryption_key=bytes(16))


@dataclass
class Ends:
    """A concentrator and a head-end; counters outlive the connections made between them."""

    options: SessionOptions = OPTIONS
    known: dict[bytes, Credentials] = field(default_factory=lambda: {TITLE: CREDENTIALS})
    concentrator: Credentials = CREDENTIALS
    device_counters: MemoryCounters = field(default_factory=MemoryCounters)
    head_end_counters: MemoryCounters = field(default_factory=MemoryCounters)
    plugin: DlmsPlugin = field(default_factory=DlmsPlugin)

    def pusher(self) -> PushSession:
        return self.plugin.push_session(self.concentrator, self.device_counters, self.options)

    def receiver(self) -> ReceiveSession:
        return self.plugin.receive_session(
            self.known.get, HEAD_END, self.head_end_counters, self.options, NO_NODES
        )

    def take(
        self, receiver: ReceiveSession, octets: bytes
    ) -> list[Received | Registering | Refused]:
        """Receive as the head-end's listener does: what is received is accepted at once."""
        items = list(receiver.receive_data(octets))
        for item in items:
            if isinstance(item, Received):
                for title, counter in item.counters.items():
                    self.head_end_counters.accept(title, counter)
        return items


def causes(items: list[Received | Registering | Refused]) -> list[str]:
    return [item.cause for item in items if isinstance(item, Refused)]


def only(items: list[Received | Registering | Refused]) -> Received:
    (item,) = items
    assert isinstance(item, Received)
    return item


def test_the_plugin_is_registered_under_its_name() -> None:
    assert isinstance(load_protocol("dlms"), DlmsPlugin)


@pytest.mark.parametrize("protection", ["clear", "authenticated", "ciphered"])
def test_a_push_arrives_and_its_confirmation_names_its_number(protection: str) -> None:
    ends = Ends(SessionOptions(protection=protection))
    pusher, receiver = ends.pusher(), ends.receiver()

    received = only(ends.take(receiver, pushed(pusher, READINGS, 41)))

    assert same(received.readings, READINGS)
    assert received.system_title == TITLE
    assert received.counters == ({} if protection == "clear" else {received.system_title: 1})
    assert received.wants_confirmation
    assert confirmed(pusher, receiver.confirm(received)) == [41]


def test_an_unconfirmed_push_wants_no_confirmation() -> None:
    ends = Ends(SessionOptions(confirmed=False))
    receiver = ends.receiver()
    received = only(ends.take(receiver, pushed(ends.pusher(), READINGS, 1)))
    assert not received.wants_confirmation
    with pytest.raises(LocalProtocolError):
        receiver.confirm(received)


@given(cuts=st.lists(st.integers(1, 400), max_size=12), first=st.integers(0, 2**40))
def test_any_split_gives_the_same_pushes_and_confirmations(cuts: list[int], first: int) -> None:
    ends = Ends()
    pusher, receiver = ends.pusher(), ends.receiver()
    numbers = [first, first + 1, first + 2]
    stream = b"".join(pushed(pusher, READINGS, number) for number in numbers)

    arrived: list[Received] = []
    for part in parts(stream, cuts):
        arrived += [only([item]) for item in ends.take(receiver, part)]
    answers = b"".join(receiver.confirm(item) for item in arrived)
    numbers_back = [number for part in parts(answers, cuts) for number in confirmed(pusher, part)]

    title = arrived[0].system_title
    assert [item.counters for item in arrived] == [{title: 1}, {title: 2}, {title: 3}]
    assert all(same(item.readings, READINGS) for item in arrived)
    assert numbers_back == numbers


def parts(octets: bytes, cuts: list[int]) -> list[bytes]:
    pieces, start = [], 0
    for cut in cuts:
        pieces.append(octets[start : start + cut])
        start += cut
    return [*pieces, octets[start:]]


@given(
    pairs=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 7)), min_size=1, max_size=60),
    number=st.integers(0, NUMBER_MASK),
)
def test_readings_survive_the_way(pairs: list[tuple[int, int]], number: int) -> None:
    ends = Ends()
    readings = MODEL.readings(pairs)
    received = only(ends.take(ends.receiver(), pushed(ends.pusher(), readings, number)))
    assert same(received.readings, readings)


def test_a_push_recorded_and_sent_again_is_refused_on_this_and_on_another_connection() -> None:
    ends = Ends()
    receiver = ends.receiver()
    recorded = pushed(ends.pusher(), READINGS, 1)
    only(ends.take(receiver, recorded))
    assert causes(ends.take(receiver, recorded)) == ["replayed"]
    assert causes(ends.take(ends.receiver(), recorded)) == ["replayed"]


def test_pushes_of_one_segment_must_have_growing_counters() -> None:
    ends = Ends()
    pusher = ends.pusher()
    first, second = pushed(pusher, READINGS, 1), pushed(pusher, READINGS, 2)
    items = ends.take(ends.receiver(), second + first + second)
    assert [type(item) for item in items] == [Received, Refused, Refused]
    assert causes(items) == ["replayed", "replayed"]


def test_a_repeated_push_goes_out_under_a_new_counter() -> None:
    ends = Ends()
    counters = [
        list(only(ends.take(ends.receiver(), pushed(ends.pusher(), READINGS, 7))).counters.values())
        for _ in range(2)
    ]
    assert counters == [[1], [2]]


def test_a_recorded_confirmation_is_refused_by_the_concentrator() -> None:
    ends = Ends()
    pusher, receiver = ends.pusher(), ends.receiver()
    confirmation = receiver.confirm(only(ends.take(receiver, pushed(pusher, READINGS, 1))))
    assert confirmed(pusher, confirmation) == [1]

    assert confirmed(pusher, confirmation) == []
    again = ends.pusher()
    pushed(again, READINGS, 1)
    assert confirmed(again, confirmation) == []
    assert list(pusher.refusals()) + list(again.refusals()) == ["replayed", "replayed"]
    assert again.refusals() == []


def test_a_push_sent_back_confirms_nothing() -> None:
    pusher = Ends().pusher()
    assert confirmed(pusher, pushed(pusher, READINGS, 1)) == []
    assert pusher.refusals() == ["unknown system title"]


def reseal(octets: bytes) -> bytes:
    return octets[:-1] + bytes((octets[-1] ^ 1,))


@pytest.mark.parametrize(
    ("ends", "change", "cause"),
    [
        pytest.param(Ends(concentrator=WRONG_KEYS), bytes, "wrong MAC", id="wrong-keys"),
        pytest.param(Ends(), reseal, "wrong MAC", id="changed-octet"),
        pytest.param(Ends(known={}), bytes, "unknown system title", id="stranger"),
        pytest.param(
            Ends(SessionOptions(protection="clear"), known={}),
            bytes,
            "unknown system title",
            id="stranger-in-clear",
        ),
        pytest.param(
            Ends(),
            lambda octets: octets[:6] + b"\0\3\xc0\1\xc1",
            "wrongly tagged",
            id="get-request",
        ),
        pytest.param(
            Ends(), lambda octets: octets[:6] + b"\0\x02\x0f\0", "not ciphered", id="in-clear"
        ),
        pytest.param(
            Ends(), lambda octets: octets[:6] + b"\0\x0c" + octets[8:20], "malformed", id="cut-apdu"
        ),
        pytest.param(Ends(), lambda octets: b"\xff" * 8, "bad frame", id="garbage"),
    ],
)
def test_what_is_not_right_is_refused_with_its_cause(
    ends: Ends, change: Callable[[bytes], bytes], cause: str
) -> None:
    receiver = ends.receiver()
    items = ends.take(receiver, change(pushed(ends.pusher(), READINGS, 1)))
    assert causes(items) == [cause]
    assert ends.head_end_counters.accepted == {}


def test_a_wrongly_keyed_push_does_not_stop_the_next_one() -> None:
    ends = Ends()
    receiver, pusher = ends.receiver(), ends.pusher()
    assert causes(ends.take(receiver, reseal(pushed(pusher, READINGS, 1)))) == ["wrong MAC"]
    received = only(ends.take(receiver, pushed(pusher, READINGS, 2)))
    assert received.counters == {received.system_title: 2}


def test_after_lost_framing_the_session_raises() -> None:
    receiver = Ends().receiver()
    receiver.receive_data(b"\xff" * 8)
    with pytest.raises(CodecError):
        receiver.receive_data(b"")


def test_a_push_cut_off_by_the_end_of_the_stream_is_refused_as_truncated() -> None:
    ends = Ends()
    receiver = ends.plugin.receive_session(
        ends.known.get, HEAD_END, MemoryCounters(), OPTIONS, NO_NODES
    )
    receiver.receive_data(pushed(ends.pusher(), READINGS, 1)[:-3])
    assert [item.cause for item in receiver.receive_eof()] == ["truncated"]


def test_a_push_of_another_session_is_not_confirmed_blindly() -> None:
    received = Received(TITLE, READINGS, {TITLE: 1}, True, token="something else")
    with pytest.raises(LocalProtocolError):
        Ends().receiver().confirm(received)


def test_refusals_that_nobody_asks_for_do_not_pile_up() -> None:
    pusher = Ends().pusher()
    confirmed(pusher, bytes.fromhex("0001 0001 0001 0001 10") * (REFUSALS_MAX + 9))
    assert pusher.refusals() == ["not ciphered"] * REFUSALS_MAX


@pytest.mark.parametrize("options", [SessionOptions(protection="?")])
def test_an_unknown_word_in_the_options_is_our_own_mistake(options: SessionOptions) -> None:
    with pytest.raises(LocalProtocolError, match=r"none of clear, authenticated, ciphered"):
        Ends(options).pusher()


@given(octets=st.binary(max_size=200))
def test_garbage_raises_only_codec_errors(octets: bytes) -> None:
    ends = Ends()
    receiver, pusher = ends.receiver(), ends.pusher()
    for receive in (receiver.receive_data, partial(pusher.receive_data, now=0.0)):
        with suppress(CodecError):
            receive(octets)
            receive(octets)
