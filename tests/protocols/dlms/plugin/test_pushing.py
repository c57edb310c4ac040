from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

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
    SessionOptions,
    load_protocol,
)
from tests.support.concentrator_model import (
    CREDENTIALS,
    HEAD_END,
    TITLE,
    MemoryConcentrator,
    MemoryCounters,
    same,
)

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
            self.known.get, HEAD_END, self.head_end_counters, self.options
        )

    def take(self, receiver: ReceiveSession, octets: bytes) -> list[Received | Refused]:
        """Receive as the head-end's listener does: what is received is accepted at once."""
        items = list(receiver.receive_data(octets))
        for item in items:
            if isinstance(item, Received) and item.counter is not None:
                self.head_end_counters.accept(item.system_title, item.counter)
        return items


def causes(items: list[Received | Refused]) -> list[str]:
    return [item.cause for item in items if isinstance(item, Refused)]


def only(items: list[Received | Refused]) -> Received:
    (item,) = items
    assert isinstance(item, Received)
    return item


def test_the_plugin_is_registered_under_its_name() -> None:
    assert isinstance(load_protocol("dlms"), DlmsPlugin)


@pytest.mark.parametrize("protection", ["clear", "authenticated", "ciphered"])
def test_a_push_arrives_and_its_confirmation_names_its_number(protection: str) -> None:
    ends = Ends(SessionOptions(protection=protection))
    pusher, receiver = ends.pusher(), ends.receiver()

    received = only(ends.take(receiver, pusher.push(READINGS, 41)))

    assert same(received.readings, READINGS)
    assert received.system_title == TITLE
    assert received.counter == (None if protection == "clear" else 1)
    assert received.wants_confirmation
    assert pusher.receive_data(receiver.confirm(received)) == [41]


def test_an_unconfirmed_push_wants_no_confirmation() -> None:
    ends = Ends(SessionOptions(confirmed=False))
    receiver = ends.receiver()
    received = only(ends.take(receiver, ends.pusher().push(READINGS, 1)))
    assert not received.wants_confirmation
    with pytest.raises(LocalProtocolError):
        receiver.confirm(received)


@given(cuts=st.lists(st.integers(1, 400), max_size=12), first=st.integers(0, 2**40))
def test_any_split_gives_the_same_pushes_and_confirmations(cuts: list[int], first: int) -> None:
    ends = Ends()
    pusher, receiver = ends.pusher(), ends.receiver()
    numbers = [first, first + 1, first + 2]
    stream = b"".join(pusher.push(READINGS, number) for number in numbers)

    arrived: list[Received] = []
    for part in parts(stream, cuts):
        arrived += [only([item]) for item in ends.take(receiver, part)]
    answers = b"".join(receiver.confirm(item) for item in arrived)
    confirmed = [number for part in parts(answers, cuts) for number in pusher.receive_data(part)]

    assert [item.counter for item in arrived] == [1, 2, 3]
    assert all(same(item.readings, READINGS) for item in arrived)
    assert confirmed == numbers


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
    received = only(ends.take(ends.receiver(), ends.pusher().push(readings, number)))
    assert same(received.readings, readings)


def test_a_push_recorded_and_sent_again_is_refused_on_this_and_on_another_connection() -> None:
    ends = Ends()
    receiver = ends.receiver()
    recorded = ends.pusher().push(READINGS, 1)
    only(ends.take(receiver, recorded))
    assert causes(ends.take(receiver, recorded)) == ["replayed"]
    assert causes(ends.take(ends.receiver(), recorded)) == ["replayed"]


def test_pushes_of_one_segment_must_have_growing_counters() -> None:
    ends = Ends()
    pusher = ends.pusher()
    first, second = pusher.push(READINGS, 1), pusher.push(READINGS, 2)
    items = ends.take(ends.receiver(), second + first + second)
    assert [type(item) for item in items] == [Received, Refused, Refused]
    assert causes(items) == ["replayed", "replayed"]


def test_a_repeated_push_goes_out_under_a_new_counter() -> None:
    ends = Ends()
    counters = [
        only(ends.take(ends.receiver(), ends.pusher().push(READINGS, 7))).counter for _ in range(2)
    ]
    assert counters == [1, 2]


def test_a_recorded_confirmation_is_refused_by_the_concentrator() -> None:
    ends = Ends()
    pusher, receiver = ends.pusher(), ends.receiver()
    confirmation = receiver.confirm(only(ends.take(receiver, pusher.push(READINGS, 1))))
    assert pusher.receive_data(confirmation) == [1]

    assert pusher.receive_data(confirmation) == []
    again = ends.pusher()
    again.push(READINGS, 1)
    assert again.receive_data(confirmation) == []
    assert list(pusher.refusals()) + list(again.refusals()) == ["replayed", "replayed"]
    assert again.refusals() == []


def test_a_push_sent_back_confirms_nothing() -> None:
    pusher = Ends().pusher()
    assert pusher.receive_data(pusher.push(READINGS, 1)) == []
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
    items = ends.take(receiver, change(ends.pusher().push(READINGS, 1)))
    assert causes(items) == [cause]
    assert ends.head_end_counters.accepted == {}


def test_a_wrongly_keyed_push_does_not_stop_the_next_one() -> None:
    ends = Ends()
    receiver, pusher = ends.receiver(), ends.pusher()
    assert causes(ends.take(receiver, reseal(pusher.push(READINGS, 1)))) == ["wrong MAC"]
    assert only(ends.take(receiver, pusher.push(READINGS, 2))).counter == 2


def test_after_lost_framing_the_session_raises() -> None:
    receiver = Ends().receiver()
    receiver.receive_data(b"\xff" * 8)
    with pytest.raises(CodecError):
        receiver.receive_data(b"")


def test_a_push_cut_off_by_the_end_of_the_stream_is_refused_as_truncated() -> None:
    ends = Ends()
    receiver = ends.plugin.receive_session(ends.known.get, HEAD_END, MemoryCounters(), OPTIONS)
    receiver.receive_data(ends.pusher().push(READINGS, 1)[:-3])
    assert [item.cause for item in receiver.receive_eof()] == ["truncated"]


def test_a_push_of_another_session_is_not_confirmed_blindly() -> None:
    received = Received(TITLE, READINGS, 1, True, token="something else")
    with pytest.raises(LocalProtocolError):
        Ends().receiver().confirm(received)


def test_refusals_that_nobody_asks_for_do_not_pile_up() -> None:
    pusher = Ends().pusher()
    pusher.receive_data(bytes.fromhex("0001 0001 0001 0001 10") * (REFUSALS_MAX + 9))
    assert pusher.refusals() == ["not ciphered"] * REFUSALS_MAX


@pytest.mark.parametrize("options", [SessionOptions(protection="?")])
def test_an_unknown_word_in_the_options_is_our_own_mistake(options: SessionOptions) -> None:
    with pytest.raises(LocalProtocolError, match=r"none of clear, authenticated, ciphered"):
        Ends(options).pusher()


@given(octets=st.binary(max_size=200))
def test_garbage_raises_only_codec_errors(octets: bytes) -> None:
    ends = Ends()
    for session in (ends.receiver(), ends.pusher()):
        try:
            session.receive_data(octets)
            session.receive_data(octets)
        except CodecError:
            pass
