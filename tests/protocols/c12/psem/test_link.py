"""The data link, octet by octet: acknowledgement, repetition, toggle bit, many packets."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.c12.psem import C12_18, C12_21, Acknowledgement, Control, Fault, LinkOptions, Packet
from protocols.c12.psem.assembly import Message, OversizedMessage
from protocols.c12.psem.link import Link, LinkEvent, LinkFailed
from protocols.errors import LocalProtocolError

ACK, NAK = b"\x06", b"\x15"
TOGGLED = Control(toggle=True)
ONE, TWO = Packet(b"one"), Packet(b"two", TOGGLED)


def link(options: LinkOptions = C12_18) -> tuple[Link, Counter[Fault]]:
    faults: Counter[Fault] = Counter()
    return Link(options, faults), faults


def events(it: Link) -> list[LinkEvent]:
    taken = []
    while (event := it.next_event()) is not None:
        taken.append(event)
    return taken


def due(it: Link) -> float | None:
    return it.deadline


def many(message: bytes, size: int) -> list[Packet]:
    """``message`` in packets of ``size`` octets of data, by hand."""
    chunks = [message[i : i + size] for i in range(0, len(message), size)]
    return [
        Packet(chunk, Control(multiple=True, first=n == 0, toggle=n % 2 == 1), len(chunks) - 1 - n)
        for n, chunk in enumerate(chunks)
    ]


# Sending.


def test_a_message_goes_out_and_waits_for_its_acknowledgement() -> None:
    it, faults = link()
    it.send(b"one", 0.0)
    assert it.data_to_send() == ONE.encode()
    assert due(it) == 2.0
    it.receive_data(ACK, 0.1)
    assert (due(it), it.sending, it.data_to_send()) == (None, False, b"")
    it.send(b"two", 1.0)
    assert it.data_to_send() == TWO.encode()
    assert not faults


def test_a_nak_brings_the_same_octets_again() -> None:
    it, faults = link()
    it.send(b"one", 0.0)
    it.data_to_send()
    it.receive_data(NAK, 0.1)
    assert it.data_to_send() == ONE.encode()
    assert faults == {Fault.NOT_ACKNOWLEDGED: 1}


def test_silence_brings_the_same_octets_three_times_again_and_then_the_end() -> None:
    it, faults = link()
    it.send(b"one", 0.0)
    for second in (2.0, 4.0, 6.0):
        assert it.data_to_send() == ONE.encode()
        it.handle_deadline(second - 0.01)
        assert it.data_to_send() == b""
        it.handle_deadline(second)
    assert it.data_to_send() == ONE.encode()
    it.handle_deadline(8.0)
    assert (it.data_to_send(), due(it)) == (b"", None)
    assert events(it) == [LinkFailed()]
    assert faults == {Fault.ACKNOWLEDGEMENT_TIMEOUT: 4, Fault.LINK_FAILED: 1}


def test_without_retries_the_first_nak_ends_it() -> None:
    it, _ = link(replace(C12_18, timing=replace(C12_18.timing, retries=0)))
    it.send(b"one", 0.0)
    it.receive_data(NAK, 0.1)
    assert events(it) == [LinkFailed()]


def test_a_large_message_goes_packet_by_packet_counting_down() -> None:
    it, _ = link()
    it.negotiated(64, 3)
    message = bytes(range(150))
    it.send(message, 0.0)
    for packet in many(message, 56):
        assert it.data_to_send() == packet.encode()
        it.receive_data(ACK, 0.0)
    assert not it.sending


@pytest.mark.parametrize(("size", "fits"), [(56, True), (57, False)])
def test_before_negotiate_a_message_has_one_packet_of_64_octets(size: int, fits: bool) -> None:
    it, _ = link()
    if fits:
        it.send(bytes(size), 0.0)
        assert len(it.data_to_send()) == 64
    else:
        with pytest.raises(LocalProtocolError):
            it.send(bytes(size), 0.0)


def test_one_message_at_a_time() -> None:
    it, _ = link()
    it.send(b"one", 0.0)
    with pytest.raises(LocalProtocolError):
        it.send(b"two", 0.0)


def test_an_acknowledgement_of_nothing_is_counted() -> None:
    it, faults = link()
    it.receive_data(ACK + NAK, 0.0)
    assert faults == {Fault.STRAY_ACKNOWLEDGEMENT: 2}
    assert it.data_to_send() == b""


def test_a_new_message_stands_for_the_acknowledgement_that_was_lost() -> None:
    it, _ = link()
    it.send(b"one", 0.0)
    it.data_to_send()
    it.receive_data(Packet(b"answer").encode(), 0.5)
    assert (it.sending, due(it), it.data_to_send()) == (False, None, ACK)
    assert events(it) == [Message(b"answer")]


# Receiving.


def test_a_packet_is_acknowledged_and_given_up_once() -> None:
    it, faults = link()
    it.receive_data(ONE.encode(), 0.0)
    assert (it.data_to_send(), events(it)) == (ACK, [Message(b"one")])
    it.receive_data(ONE.encode(), 0.1)
    assert (it.data_to_send(), events(it)) == (ACK, [])
    assert faults == {Fault.DUPLICATE: 1}


def test_the_same_under_the_other_toggle_bit_is_another_message() -> None:
    it, faults = link()
    it.receive_data(ONE.encode(), 0.0)
    it.receive_data(Packet(b"one", TOGGLED).encode(), 0.1)
    it.receive_data(ONE.encode(), 0.2)
    assert events(it) == [Message(b"one")] * 3
    assert it.data_to_send() == ACK * 3
    assert not faults


@pytest.mark.parametrize("taken", [True, False])
def test_another_packet_under_the_same_toggle_bit(taken: bool) -> None:
    it, faults = link(replace(C12_18, take_wrong_toggle=taken))
    it.receive_data(ONE.encode() + Packet(b"two").encode(), 0.0)
    assert events(it) == [Message(b"one")] + [Message(b"two")] * taken
    assert it.data_to_send() == ACK + ACK * taken
    assert faults == {Fault.WRONG_TOGGLE: 1}


def test_after_a_silence_any_toggle_bit_may_come() -> None:
    it, faults = link()
    it.receive_data(ONE.encode(), 0.0)
    it.forget()
    it.receive_data(ONE.encode(), 10.0)
    assert events(it) == [Message(b"one")] * 2
    assert not faults


def test_a_wrong_crc_gets_a_nak_and_the_packet_again_is_taken() -> None:
    it, faults = link()
    broken = bytearray(ONE.encode())
    broken[7] ^= 0x01
    it.receive_data(bytes(broken), 0.0)
    assert (it.data_to_send(), events(it)) == (NAK, [])
    assert faults[Fault.BAD_CRC] == 1
    it.receive_data(ONE.encode(), 0.1)
    assert (it.data_to_send(), events(it)) == (ACK, [Message(b"one")])


def test_half_a_packet_gets_a_nak_when_the_rest_does_not_come() -> None:
    it, faults = link()
    it.receive_data(ONE.encode()[:5], 0.0)
    assert due(it) == 0.5
    it.receive_data(ONE.encode()[5:6], 0.4)
    assert due(it) == 0.9
    it.handle_deadline(0.9)
    assert (it.data_to_send(), due(it)) == (NAK, None)
    assert faults[Fault.TRUNCATED] == 1
    it.receive_data(ONE.encode(), 1.0)
    assert events(it) == [Message(b"one")]


def test_a_packet_larger_than_offered_gets_a_nak() -> None:
    it, faults = link(replace(C12_18, packet_size=64))
    it.receive_data(Packet(bytes(57)).encode(), 0.0)
    assert it.data_to_send() == NAK
    assert faults[Fault.OVERSIZED_PACKET] == 1


def test_noise_is_counted_and_gets_no_answer() -> None:
    it, faults = link()
    it.receive_data(b"\x55\x55", 0.0)
    assert it.data_to_send() == b""
    assert faults == {Fault.GARBAGE: 2}
    it.handle_deadline(0.5)
    it.receive_data(ONE.encode(), 1.0)
    assert events(it) == [Message(b"one")]


def test_what_is_broken_behind_noise_gets_no_answer() -> None:
    it, faults = link()
    broken = bytearray(ONE.encode())
    broken[7] ^= 0x01
    it.receive_data(b"\x55" + bytes(broken), 0.0)
    assert it.data_to_send() == b""
    assert faults[Fault.BAD_CRC] == 1


def test_a_broken_packet_full_of_starts_gets_one_nak() -> None:
    it, _ = link()
    broken = bytearray(Packet(bytes.fromhex("ee00000000000000") * 5).encode())
    broken[-1] ^= 0x01
    it.receive_data(bytes(broken), 0.0)
    it.handle_deadline(0.5)
    assert it.data_to_send() == NAK


def test_packets_of_one_message_come_together() -> None:
    it, faults = link()
    message = bytes(range(200))
    for packet in many(message, 30):
        it.receive_data(packet.encode(), 0.0)
        assert it.data_to_send() == ACK
    assert events(it) == [Message(message)]
    assert not faults


def test_a_packet_of_a_message_twice_is_taken_once() -> None:
    it, faults = link()
    for packet in many(b"abcdef", 2):
        it.receive_data(packet.encode() * 2, 0.0)
    assert events(it) == [Message(b"abcdef")]
    assert faults == {Fault.DUPLICATE: 3}


def test_a_packet_left_out_gets_a_nak_and_may_still_come() -> None:
    it, faults = link()
    first, second, third = many(b"abcdef", 2)
    it.receive_data(first.encode() + third.encode(), 0.0)
    assert it.data_to_send() == ACK + NAK
    assert faults.pop(Fault.WRONG_TOGGLE) == 1
    assert faults == {Fault.WRONG_SEQUENCE: 1}
    it.receive_data(second.encode() + third.encode(), 0.0)
    assert (it.data_to_send(), events(it)) == (ACK * 2, [Message(b"abcdef")])


@pytest.mark.parametrize(
    "packet", [Packet(b"x", sequence=1), Packet(b"x", Control(multiple=True), 0)]
)
def test_what_continues_nothing_gets_a_nak(packet: Packet) -> None:
    it, faults = link()
    it.receive_data(packet.encode(), 0.0)
    assert (it.data_to_send(), events(it)) == (NAK, [])
    assert faults == {Fault.WRONG_SEQUENCE: 1}


def test_a_new_message_ends_a_half_one() -> None:
    it, faults = link()
    it.receive_data(many(b"abcdef", 2)[0].encode() + TWO.encode(), 0.0)
    assert events(it) == [Message(b"two")]
    assert faults == {Fault.INTERRUPTED_MESSAGE: 1}


def test_more_packets_than_offered_are_taken_and_thrown_away() -> None:
    it, faults = link(replace(C12_18, packets=2))
    for packet in many(b"abcdef", 2):
        it.receive_data(packet.encode(), 0.0)
    assert (it.data_to_send(), events(it)) == (ACK * 3, [OversizedMessage()])
    assert faults == {Fault.OVERSIZED_MESSAGE: 1}
    it.receive_data(b"".join(packet.encode() for packet in many(b"abcd", 2)), 0.0)
    assert events(it) == [Message(b"abcd")]


def test_an_empty_packet_is_acknowledged_and_says_nothing() -> None:
    it, faults = link()
    it.receive_data(Packet(b"").encode(), 0.0)
    assert (it.data_to_send(), events(it)) == (ACK, [])
    assert not faults


def test_what_wants_no_acknowledgement_gets_none() -> None:
    it, _ = link()
    control = Control(acknowledgement=Acknowledgement.UNACKNOWLEDGED)
    it.receive_data(Packet(b"blurt", control).encode(), 0.0)
    assert (it.data_to_send(), events(it)) == (b"", [Message(b"blurt")])


def test_the_other_data_format_gets_a_nak() -> None:
    it, faults = link()
    it.receive_data(Packet(b"one", Control(data_format=1)).encode(), 0.0)
    assert (it.data_to_send(), events(it)) == (NAK, [])
    assert faults == {Fault.WRONG_FORMAT: 1}


def test_c12_21_listens_to_its_own_identity_and_c12_18_to_any() -> None:
    foreign = Packet(b"one", identity=7).encode()
    it, faults = link(C12_21)
    it.receive_data(foreign, 0.0)
    assert (it.data_to_send(), events(it)) == (b"", [])
    assert faults == {Fault.FOREIGN_IDENTITY: 1}
    it, _ = link(C12_18)
    it.receive_data(foreign, 0.0)
    assert (it.data_to_send(), events(it)) == (ACK, [Message(b"one")])


# Transparency: acknowledgements travel inside packets.

TRANSPARENT = replace(C12_18, transparency=True, data_format=1)


def test_transparent_packets_acknowledge_inside_packets() -> None:
    one, _ = link(TRANSPARENT)
    two, faults = link(TRANSPARENT)
    one.send(b"\xee\x1b", 0.0)
    sent = one.data_to_send()
    # start, identity, control (transparent, C12.22) | 0, 0002 | EE 1B escaped | CRC
    assert sent[:10].hex(" ") == "ee 00 11 00 00 02 1b ce 1b 3b"
    two.receive_data(sent, 0.0)
    assert events(two) == [Message(b"\xee\x1b")]
    answer = two.data_to_send()
    assert answer[:6].hex(" ") == "ee 00 15 00 00 00"
    one.receive_data(answer, 0.0)
    assert not one.sending
    assert one.data_to_send() == b""
    assert not faults


def test_a_transparent_nak_brings_the_packet_again() -> None:
    one, faults = link(TRANSPARENT)
    one.send(b"one", 0.0)
    sent = one.data_to_send()
    nak = Packet(
        b"", Control(transparent=True, acknowledgement=Acknowledgement.NEGATIVE, data_format=1)
    )
    one.receive_data(nak.encode(), 0.0)
    assert one.data_to_send() == sent
    assert faults == {Fault.NOT_ACKNOWLEDGED: 1}


# Anything at all.


@given(st.lists(st.binary(max_size=30) | st.just(b"\xee"), max_size=12), st.booleans())
def test_garbage_never_raises_and_the_link_recovers(pieces: list[bytes], escapes: bool) -> None:
    it, _ = link(replace(C12_18, transparency=escapes))
    now = 0.0
    for piece in pieces:
        it.receive_data(piece, now)
        now += 0.1
    while it.deadline is not None:
        now = it.deadline
        it.handle_deadline(now)
        assert it.deadline is None or it.deadline > now
    events(it)
    it.receive_data(Packet(b"fresh", Control(toggle=True)).encode(), now)
    assert events(it) == [Message(b"fresh")]


@given(st.binary(min_size=1, max_size=600), st.integers(64, 200), st.data())
def test_a_message_arrives_whatever_the_split(
    message: bytes, size: int, data: st.DataObject
) -> None:
    one, _ = link()
    two, faults = link()
    one.negotiated(size, 255)
    one.send(message, 0.0)
    while octets := one.data_to_send():
        cut = data.draw(st.integers(0, len(octets)))
        two.receive_data(octets[:cut], 0.0)
        two.receive_data(octets[cut:], 0.0)
        one.receive_data(two.data_to_send(), 0.0)
    assert events(two) == [Message(message)]
    assert not faults


@pytest.mark.parametrize(
    "wrong", [{"packet_size": 63}, {"packet_size": 8192}, {"packets": 0}, {"packets": 256}]
)
def test_options_that_no_packet_can_have(wrong: dict[str, int]) -> None:
    with pytest.raises(LocalProtocolError):
        replace(C12_18, **wrong)  # type: ignore[arg-type]
