"""Push engines: conversations between both roles, and everything a peer can do wrong."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.dlms.apdu import (
    DataNotificationConfirm,
    GeneralGloCiphering,
    decode_apdu,
    encode_apdu,
)
from protocols.dlms.clock import encode_date_time
from protocols.dlms.push import (
    PushConfirmed,
    PushPeer,
    PushReceived,
    PushReceiver,
    PushRefused,
    PushSender,
    RefusalKind,
)
from protocols.dlms.security import (
    AUTHENTICATED,
    AUTHENTICATED_AND_ENCRYPTED,
    ENCRYPTED,
    ReceiveCounter,
    ReplayError,
    SecurityControl,
    SecurityKeys,
    SendCounter,
    protect,
)
from protocols.dlms.wrapper import HEADER_SIZE, Wpdu
from protocols.errors import CodecError, LocalProtocolError, ProtocolError
from protocols.readings import ReadingBatch
from tests.support.gurux import ask, gurux_is_installed

KEYS: Final = SecurityKeys(bytes(range(16)), bytes(range(0xD0, 0xE0)))
OTHER_KEYS: Final = SecurityKeys(bytes(16), bytes(range(0xD0, 0xE0)))
TITLE: Final = b"MSC\x00\x00\x00\x00\x01"
HEAD_END_TITLE: Final = b"MSH\x00\x00\x00\x00\x01"
POLICIES: Final = [AUTHENTICATED_AND_ENCRYPTED, AUTHENTICATED, None]


def readings(count: int = 2, first_value: int = 0) -> ReadingBatch:
    return ReadingBatch(
        b"MSC0000000000001",
        np.array([b"MST%013d" % (number + 1) for number in range(count)], "S16"),
        np.full(count, 1_700_000_000, np.int64),
        np.zeros(count, np.uint8),
        np.arange(first_value, first_value + 4 * count, dtype=np.uint32).reshape(count, 4),
    )


@dataclass
class Pair:
    """A concentrator and a head-end that know each other, with counters that outlive engines."""

    protection: SecurityControl | None = AUTHENTICATED_AND_ENCRYPTED
    confirmed: bool = True
    keys: SecurityKeys = KEYS

    def __post_init__(self) -> None:
        self.sent, self.head_end_sent = SendCounter(), SendCounter()
        self.received, self.head_end_received = ReceiveCounter(), ReceiveCounter()
        self.reconnect()

    def reconnect(self) -> None:
        self.sender = PushSender(
            system_title=TITLE,
            keys=self.keys,
            counter=self.sent,
            head_end={HEAD_END_TITLE: PushPeer(self.keys, self.head_end_received)}.get,
            protection=self.protection,
            confirmed=self.confirmed,
            source=1,
            destination=103,
        )
        self.receiver = PushReceiver(
            peers={TITLE: PushPeer(KEYS, self.received)}.get,
            system_title=HEAD_END_TITLE,
            counter=self.head_end_sent,
            required=self.protection,
        )

    def receive(self, octets: bytes) -> PushReceived:
        [received] = self.receiver.receive_data(octets)
        assert isinstance(received, PushReceived), received
        return received

    def refuse(self, octets: bytes) -> PushRefused:
        [refused] = self.receiver.receive_data(octets)
        assert isinstance(refused, PushRefused), refused
        return refused


@pytest.mark.parametrize("protection", POLICIES)
def test_a_confirmed_push_and_its_confirmation(protection: SecurityControl | None) -> None:
    pair = Pair(protection)
    received = pair.receive(pair.sender.push(readings(), 7))
    assert received.readings.values.tolist() == readings().values.tolist()
    assert received.readings.meter_ids.tolist() == readings().meter_ids.tolist()
    assert received.readings.concentrator == b"MSC0000000000001"
    assert received.system_title == (TITLE if protection else b"")
    assert received.invocation_counter == (0 if protection else None)
    assert (received.number, received.confirmed) == (7, True)
    assert (received.source, received.destination) == (1, 103)
    assert pair.sender.receive_data(pair.receiver.confirm(received)) == [PushConfirmed(7)]


@pytest.mark.parametrize("protection", POLICIES)
def test_an_unconfirmed_push(protection: SecurityControl | None) -> None:
    pair = Pair(protection, confirmed=False)
    received = pair.receive(pair.sender.push(readings(), 8))
    assert not received.confirmed
    assert received.number == 8
    with pytest.raises(LocalProtocolError, match="unconfirmed"):
        pair.receiver.confirm(received)


def test_a_confirmation_is_a_ciphered_tag_16_under_the_head_ends_title() -> None:
    pair = Pair()
    received = pair.receive(pair.sender.push(readings(), 7))
    wpdu = Wpdu.decode(pair.receiver.confirm(received))
    assert (wpdu.source, wpdu.destination) == (103, 1)
    assert wpdu.apdu[:10] == b"\xdb\x08" + HEAD_END_TITLE
    pair = Pair(None)
    received = pair.receive(pair.sender.push(readings(), 7))
    # data-notification-confirm, invoke id 7 and confirmed, no date-time
    assert Wpdu.decode(pair.receiver.confirm(received)).apdu.hex() == "104000000700"


def test_a_push_says_when_it_was_sent() -> None:
    pair = Pair(None)
    newest = Wpdu.decode(pair.sender.push(readings(), 1)).apdu
    assert newest[6:18] == encode_date_time(1_700_000_000)
    told = Wpdu.decode(pair.sender.push(readings(), 1, sent_at_s=1_700_000_123.0)).apdu
    assert told[6:18] == encode_date_time(1_700_000_123)


def test_a_repeated_push_is_sealed_anew() -> None:
    pair = Pair()
    first, again = (pair.receive(pair.sender.push(readings(), 7)) for _ in range(2))
    assert (first.invocation_counter, again.invocation_counter) == (0, 1)
    assert first.readings.values.tolist() == again.readings.values.tolist()


def test_several_pushes_in_flight_are_confirmed_in_any_order() -> None:
    pair = Pair()
    octets = b"".join(pair.sender.push(readings(), number) for number in (1, 2, 3))
    pushes = pair.receiver.receive_data(octets)
    assert [push.number for push in pushes if isinstance(push, PushReceived)] == [1, 2, 3]
    confirmations = [
        pair.receiver.confirm(push) for push in reversed(pushes) if isinstance(push, PushReceived)
    ]
    confirmed = pair.sender.receive_data(b"".join(confirmations))
    assert confirmed == [PushConfirmed(3), PushConfirmed(2), PushConfirmed(1)]


def test_the_counter_is_checked_but_left_to_the_caller_to_accept() -> None:
    pair = Pair()
    received = pair.receive(pair.sender.push(readings(), 1))
    assert pair.received.last_accepted is None
    assert received.invocation_counter is not None
    pair.received.accept(received.invocation_counter)
    pair.reconnect()
    assert pair.receive(pair.sender.push(readings(), 2)).invocation_counter == 1


def test_a_replay_on_the_same_connection_is_refused_before_anything_is_accepted() -> None:
    pair = Pair()
    octets = pair.sender.push(readings(), 1)
    pair.receive(octets)
    refused = pair.refuse(octets)
    assert refused.kind is RefusalKind.REPLAYED
    assert refused.system_title == TITLE


def test_a_replay_on_another_connection_is_refused_once_accepted() -> None:
    pair = Pair()
    octets = pair.sender.push(readings(), 1)
    received = pair.receive(octets)
    pair.received.accept(received.invocation_counter or 0)
    pair.reconnect()
    assert pair.refuse(octets).kind is RefusalKind.REPLAYED


def test_a_counter_rolled_back_by_the_device_is_refused() -> None:
    pair = Pair()
    pair.sent = SendCounter(100)
    pair.reconnect()
    pair.received.accept(100)
    assert pair.refuse(pair.sender.push(readings(), 1)).kind is RefusalKind.REPLAYED
    assert pair.receive(pair.sender.push(readings(), 1)).invocation_counter == 101


def test_pushes_out_of_order_in_flight_are_refused() -> None:
    pair = Pair()
    first, second = (pair.sender.push(readings(), number) for number in (1, 2))
    assert pair.receive(second).invocation_counter == 1
    assert pair.refuse(first).kind is RefusalKind.REPLAYED


def test_a_forged_counter_does_not_shut_the_real_one_out() -> None:
    pair = Pair()
    octets = pair.sender.push(readings(), 1)
    forged = bytearray(octets)
    forged[HEADER_SIZE + 14 : HEADER_SIZE + 18] = b"\xff\xff\xff\xfe"
    assert pair.refuse(bytes(forged)).kind is RefusalKind.WRONG_MAC
    pair.receive(octets)


def test_another_key_is_a_wrong_mac() -> None:
    pair = Pair(keys=OTHER_KEYS)
    refused = pair.refuse(pair.sender.push(readings(), 1))
    assert (refused.kind, refused.system_title) == (RefusalKind.WRONG_MAC, TITLE)


def test_a_stranger_is_refused_by_system_title() -> None:
    pair = Pair()
    octets = bytearray(pair.sender.push(readings(), 1))
    octets[HEADER_SIZE + 2 : HEADER_SIZE + 10] = b"STRANGER"
    refused = pair.refuse(bytes(octets))
    assert (refused.kind, refused.system_title) == (RefusalKind.UNKNOWN_SYSTEM_TITLE, b"STRANGER")


@pytest.mark.parametrize("title", [b"", b"MSC", b"MSC0000000000001"])
def test_a_title_of_another_length_is_a_strangers(title: bytes) -> None:
    wire = Wpdu(1, 1, encode_apdu(GeneralGloCiphering(title, bytes(40)))).encode()
    assert Pair().refuse(wire).kind in (
        RefusalKind.UNKNOWN_SYSTEM_TITLE,
        RefusalKind.MALFORMED,
    )


def sealed(
    inner: bytes, counter: int = 0, control: SecurityControl = AUTHENTICATED_AND_ENCRYPTED
) -> bytes:
    content = protect(KEYS.unicast_encryption, KEYS.authentication, TITLE, counter, control, inner)
    return Wpdu(1, 1, encode_apdu(GeneralGloCiphering(TITLE, content))).encode()


def clear_push() -> bytes:
    return Wpdu.decode(Pair(None).sender.push(readings(), 1)).apdu


def glo(content: bytes) -> bytes:
    return Wpdu(1, 1, encode_apdu(GeneralGloCiphering(TITLE, content))).encode()


@pytest.mark.parametrize(
    ("wire", "kind"),
    [
        pytest.param(Wpdu(1, 1, b"").encode(), RefusalKind.TRUNCATED, id="empty PDU"),
        pytest.param(glo(b""), RefusalKind.TRUNCATED, id="no security header"),
        pytest.param(glo(b"\x30\x00\x00\x00\x00abc"), RefusalKind.TRUNCATED, id="no room for MAC"),
        pytest.param(glo(b"\x31" + bytes(40)), RefusalKind.UNSUPPORTED_SUITE, id="suite 1"),
        pytest.param(glo(b"\x00" + bytes(40)), RefusalKind.NOT_CIPHERED, id="no protection"),
        pytest.param(
            sealed(clear_push(), control=AUTHENTICATED),
            RefusalKind.NOT_CIPHERED,
            id="authenticated only",
        ),
        pytest.param(
            sealed(clear_push(), control=ENCRYPTED), RefusalKind.NOT_CIPHERED, id="encrypted only"
        ),
        pytest.param(Wpdu(1, 1, clear_push()).encode(), RefusalKind.NOT_CIPHERED, id="clear"),
        pytest.param(sealed(b""), RefusalKind.WRONGLY_TAGGED, id="nothing sealed"),
        pytest.param(sealed(b"\xc2\x00"), RefusalKind.WRONGLY_TAGGED, id="event notification"),
        pytest.param(sealed(glo(b"")[HEADER_SIZE:]), RefusalKind.WRONGLY_TAGGED, id="sealed twice"),
        pytest.param(Wpdu(1, 1, b"\xc8\x00").encode(), RefusalKind.WRONGLY_TAGGED, id="glo-get"),
        pytest.param(Wpdu(1, 1, b"\xff").encode(), RefusalKind.WRONGLY_TAGGED, id="unknown tag"),
        pytest.param(Wpdu(1, 1, b"\xdb\x08").encode(), RefusalKind.MALFORMED, id="cut envelope"),
        pytest.param(sealed(clear_push()[:-1]), RefusalKind.MALFORMED, id="cut inside"),
        pytest.param(sealed(clear_push() + b"\x00"), RefusalKind.MALFORMED, id="more inside"),
        pytest.param(sealed(b"\x0f"), RefusalKind.MALFORMED, id="only a tag"),
    ],
)
def test_a_bad_pdu_is_refused_and_the_next_one_received(wire: bytes, kind: RefusalKind) -> None:
    pair = Pair()
    pair.sent.take()
    refused, received = pair.receiver.receive_data(wire + pair.sender.push(readings(), 1))
    assert isinstance(refused, PushRefused)
    assert refused.kind is kind
    assert refused.detail
    assert isinstance(received, PushReceived)


@pytest.mark.parametrize(
    ("wire", "kind"),
    [
        (b"\x00\x02\x00\x01\x00\x01\x00\x00", RefusalKind.BAD_FRAME),
        (b"GET / HTTP/1.1\r\n\r\n", RefusalKind.BAD_FRAME),
        (b"\x00\x01\x00\x01\x00\x01\xff\xff", RefusalKind.OVERSIZED),
    ],
)
def test_lost_framing_ends_the_stream(wire: bytes, kind: RefusalKind) -> None:
    pair = Pair()
    receiver = PushReceiver(
        peers={TITLE: PushPeer(KEYS, pair.received)}.get,
        system_title=HEAD_END_TITLE,
        counter=SendCounter(),
        required=AUTHENTICATED_AND_ENCRYPTED,
        max_apdu_size=4096,
    )
    received, refused = receiver.receive_data(pair.sender.push(readings(), 1) + wire)
    assert isinstance(received, PushReceived)
    assert isinstance(refused, PushRefused)
    assert refused.kind is kind
    with pytest.raises(CodecError):
        receiver.receive_data(b"")
    assert receiver.receive_eof() == []


def test_a_stream_that_ends_inside_a_pdu_was_truncated() -> None:
    pair = Pair()
    octets = pair.sender.push(readings(), 1)
    assert pair.receiver.receive_data(octets[:-1]) == []
    assert [refused.kind for refused in pair.receiver.receive_eof()] == [RefusalKind.TRUNCATED]
    pair.reconnect()
    pair.receive(octets)
    assert pair.receiver.receive_eof() == []


@given(st.data())
def test_any_split_of_the_stream_gives_the_same_events(data: st.DataObject) -> None:
    pair = Pair()
    stream = b"".join(pair.sender.push(readings(), number) for number in (1, 2))
    stream += sealed(b"\xc2", 9) + pair.sender.push(readings(), 3)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    events = [
        event
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)
        for event in pair.receiver.receive_data(stream[start:end])
    ]
    seen = [event.number if isinstance(event, PushReceived) else event.kind for event in events]
    assert seen == [1, 2, RefusalKind.WRONGLY_TAGGED, RefusalKind.REPLAYED]


@given(st.binary(max_size=120), st.booleans())
def test_garbage_raises_only_protocol_errors(garbage: bytes, framed: bool) -> None:
    for protection in POLICIES:
        pair = Pair(protection)
        wire = Wpdu(1, 1, garbage).encode() if framed else garbage
        for receive in (pair.receiver.receive_data, pair.sender.receive_data):
            with contextlib.suppress(ProtocolError):
                receive(wire)


@given(st.data())
def test_no_changed_bit_of_a_sealed_push_passes(data: st.DataObject) -> None:
    pair = Pair()
    octets = bytearray(pair.sender.push(readings(), 1))
    bit = data.draw(st.integers(HEADER_SIZE * 8, len(octets) * 8 - 1))
    octets[bit // 8] ^= 1 << bit % 8
    assert isinstance(pair.refuse(bytes(octets)), PushRefused)


def confirmation(
    pair: Pair, number: int, *, counter: int | None = None, keys: SecurityKeys = KEYS
) -> bytes:
    """A confirmation by hand, as a wrong or wicked head-end may make it."""
    content = protect(
        keys.unicast_encryption,
        keys.authentication,
        HEAD_END_TITLE,
        pair.head_end_sent.take() if counter is None else counter,
        AUTHENTICATED_AND_ENCRYPTED,
        encode_apdu(DataNotificationConfirm(0x4000_0000 | number, b"")),
    )
    return Wpdu(103, 1, encode_apdu(GeneralGloCiphering(HEAD_END_TITLE, content))).encode()


def kinds(events: list[PushConfirmed | PushRefused]) -> list[RefusalKind | int]:
    return [event.number if isinstance(event, PushConfirmed) else event.kind for event in events]


def test_a_confirmation_with_a_date_time_is_understood() -> None:
    pair = Pair(None)
    pair.sender.push(readings(), 5)
    date_time = encode_date_time(1_700_000_000)
    apdu = encode_apdu(DataNotificationConfirm(5, date_time))
    assert kinds(pair.sender.receive_data(Wpdu(103, 1, apdu).encode())) == [5]


def test_what_is_wrong_with_a_confirmation_is_told() -> None:
    pair = Pair()
    pair.sender.push(readings(), 5)
    good = confirmation(pair, 5)
    stranger = bytearray(good)
    stranger[HEADER_SIZE + 2] ^= 1
    receive = pair.sender.receive_data
    assert kinds(receive(confirmation(pair, 5, keys=OTHER_KEYS))) == [RefusalKind.WRONG_MAC]
    assert kinds(receive(bytes(stranger))) == [RefusalKind.UNKNOWN_SYSTEM_TITLE]
    clear = encode_apdu(DataNotificationConfirm(5, b""))
    assert kinds(receive(Wpdu(103, 1, clear).encode())) == [RefusalKind.NOT_CIPHERED]
    assert kinds(receive(good)) == [5]
    assert kinds(receive(good)) == [RefusalKind.REPLAYED]
    assert kinds(receive(confirmation(pair, 5))) == [RefusalKind.UNASKED]
    assert pair.head_end_received.last_accepted == 0


def test_a_malformed_confirmation_is_refused() -> None:
    pair = Pair(None)
    pair.sender.push(readings(), 5)
    assert kinds(pair.sender.receive_data(Wpdu(103, 1, b"\x10\x40").encode())) == [
        RefusalKind.MALFORMED
    ]


def test_a_head_ends_counter_is_remembered_across_connections() -> None:
    pair = Pair()
    pair.sender.push(readings(), 5)
    first = confirmation(pair, 5)
    assert kinds(pair.sender.receive_data(first)) == [5]
    pair.reconnect()
    pair.sender.push(readings(), 5)
    assert kinds(pair.sender.receive_data(first)) == [RefusalKind.REPLAYED]


def test_a_confirmation_is_not_buffered_beyond_its_size() -> None:
    pair = Pair()
    header = b"\x00\x01\x00\x67\x00\x01\x10\x00"
    assert kinds(pair.sender.receive_data(header)) == [RefusalKind.OVERSIZED]
    with pytest.raises(CodecError):
        pair.sender.receive_data(b"")


def test_our_own_mistakes_are_local() -> None:
    pair = Pair()
    with pytest.raises(LocalProtocolError, match="24 bits"):
        pair.sender.push(readings(), 1 << 24)
    with pytest.raises(LocalProtocolError, match="without readings"):
        pair.sender.push(readings(0), 1)
    used_up = Pair()
    used_up.sent = SendCounter(0xFFFF_FFFF)
    used_up.reconnect()
    with pytest.raises(LocalProtocolError, match="used up"):
        used_up.sender.push(readings(), 1)
    received = pair.receive(pair.sender.push(readings(), 1))
    forgetful = PushReceiver(
        peers=lambda title: None,
        system_title=HEAD_END_TITLE,
        counter=SendCounter(),
        required=None,
    )
    with pytest.raises(LocalProtocolError, match="no longer known"):
        forgetful.confirm(received)


def test_where_clear_pushes_pass_ciphered_ones_must_still_be_authenticated() -> None:
    pair = Pair(None)
    assert pair.refuse(sealed(clear_push(), control=ENCRYPTED)).kind is RefusalKind.NOT_CIPHERED
    assert pair.receive(sealed(clear_push(), control=AUTHENTICATED)).system_title == TITLE


def test_accepting_the_same_counter_twice_is_an_error_of_the_caller() -> None:
    pair = Pair()
    received = pair.receive(pair.sender.push(readings(), 1))
    assert received.invocation_counter is not None
    pair.received.accept(received.invocation_counter)
    with pytest.raises(ReplayError):
        pair.received.accept(received.invocation_counter)


needs_gurux = pytest.mark.skipif(not gurux_is_installed(), reason="gurux-dlms is not installed")


@needs_gurux
@pytest.mark.parametrize("confirmed", [False, True])
def test_gurux_reads_our_clear_push(confirmed: bool) -> None:
    apdu = Wpdu.decode(Pair(None, confirmed).sender.push(readings(1, 77), 9)).apdu
    xml = ask("xml", apdu)["xml"]
    assert f'<LongInvokeIdAndPriority Value="{"40000009" if confirmed else "00000009"}" />' in xml
    assert '<DateTime Value="07E70B0E02160D1400000000" />' in xml
    for value in (
        '<OctetString Value="4D534330303030303030303030303031" />',
        '<OctetString Value="0007190900FF" />',
        '<OctetString Value="4D535430303030303030303030303031" />',
        '<UInt32 Value="0000004D" />',
        '<UInt32 Value="00000050" />',
    ):
        assert value in xml


@needs_gurux
@pytest.mark.parametrize("protection", [AUTHENTICATED_AND_ENCRYPTED, AUTHENTICATED])
def test_gurux_reads_our_sealed_push(protection: SecurityControl) -> None:
    pair = Pair(protection)
    pair.sent.take()
    apdu = Wpdu.decode(pair.sender.push(readings(1, 77), 9)).apdu
    assert isinstance(decode_apdu(apdu), GeneralGloCiphering)
    xml, wrong_key = (
        ask(
            "xml",
            apdu,
            system_title=TITLE,
            block_key=keys.unicast_encryption,
            auth_key=keys.authentication,
        )["xml"]
        for keys in (KEYS, OTHER_KEYS)
    )
    assert "Decrypt data: 0F 40 00 00 09 0C 07 E7" in xml
    assert "Decrypt failed" not in xml
    assert '<UInt32 Value="0000004D" />' in xml
    # The judge can tell: under another key it does not get that far.
    assert "Decrypt failed" in wrong_key or "UInt32" not in wrong_key
