"""The stream: any split, resynchronisation, bounds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from protocols.c12.psem import Control, Fault, Packet
from protocols.c12.psem.reader import Flaw, Mark, PacketReader, Token

ACK, NAK = b"\x06", b"\x15"
REQUEST = bytes.fromhex("ee0000000001201310")
FIRST = Packet(b"\xee\x06\x15 first")
SECOND = Packet(b"second", Control(toggle=True))


def read(
    *pieces: bytes, silence: bool = False, size: int = 100, escapes: bool = False
) -> list[Token]:
    reader = PacketReader(max_packet_size=size, transparency=escapes)
    tokens: list[Token] = []
    for piece in pieces:
        reader.feed(piece)
        while (token := reader.next_token()) is not None:
            tokens.append(token)
    if silence:
        reader.silence()
        while (token := reader.next_token()) is not None:
            tokens.append(token)
        assert not reader.waiting
    return tokens


def test_packets_and_acknowledgements_in_a_row() -> None:
    assert read(ACK + FIRST.encode() + NAK + ACK + SECOND.encode()) == [
        Mark.ACK, FIRST, Mark.NAK, Mark.ACK, SECOND,
    ]  # fmt: skip


tokens = st.lists(
    st.sampled_from([ACK, NAK, FIRST.encode(), SECOND.encode(), REQUEST, b"\x00\x55", b"\xee"])
)


@given(tokens, st.booleans(), st.data())
def test_any_split_gives_the_same(parts: list[bytes], escapes: bool, data: st.DataObject) -> None:
    stream = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    whole = read(stream, silence=True, escapes=escapes)
    assert read(*pieces, silence=True, escapes=escapes) == whole


@given(st.binary(max_size=200), st.booleans())
def test_after_any_garbage_and_a_silence_the_next_packet_is_read(
    garbage: bytes, escapes: bool
) -> None:
    reader = PacketReader(max_packet_size=100, transparency=escapes)
    reader.feed(garbage)
    while reader.next_token() is not None:
        pass
    reader.silence()
    while reader.next_token() is not None:
        pass
    reader.feed(ACK + FIRST.encode())
    assert [reader.next_token() for _ in range(3)] == [Mark.ACK, FIRST, None]


@given(st.binary(max_size=20).filter(lambda octets: b"\xee" not in octets))
def test_a_packet_right_behind_garbage_is_read(garbage: bytes) -> None:
    assert read(b"\x00" + garbage + FIRST.encode())[-1] == FIRST


def test_while_it_hunts_an_acknowledgement_means_nothing() -> None:
    garbage = Flaw(Fault.GARBAGE, answerable=True)
    hunting = Flaw(Fault.GARBAGE, answerable=False)
    assert read(b"\x00" + ACK + NAK) == [garbage, hunting, hunting]


def test_a_wrong_crc_deserves_an_answer_and_its_inside_does_not() -> None:
    octets = bytearray(Packet(b"\x06\x15").encode())
    octets[-1] ^= 1
    flaws = read(bytes(octets))
    assert flaws[0] == Flaw(Fault.BAD_CRC, answerable=True)
    assert set(flaws[1:]) == {Flaw(Fault.GARBAGE, answerable=False)}
    assert len(flaws) == len(octets)


def test_a_packet_is_found_inside_one_that_lies_about_its_length() -> None:
    liar = bytes.fromhex("ee00000000") + bytes((len(FIRST.encode()) + 3,))
    taken = read(liar + FIRST.encode() + ACK + SECOND.encode())
    assert taken[0] == Flaw(Fault.BAD_CRC, answerable=True)
    assert [token for token in taken if not isinstance(token, Flaw)] == [FIRST, Mark.ACK, SECOND]


def test_too_much_announced_is_refused_from_the_header_alone() -> None:
    header = bytes.fromhex("ee0000000041")
    assert read(header, size=64)[0] == Flaw(Fault.OVERSIZED_PACKET, answerable=True)
    assert read(bytes.fromhex("ee0000000038"), size=64) == []


def test_half_a_packet_is_waited_for_until_a_silence() -> None:
    half = FIRST.encode()[:8]
    assert read(half) == []
    assert read(half, silence=True)[0] == Flaw(Fault.TRUNCATED, answerable=True)


def test_transparent_packets_one_after_the_other() -> None:
    packets = [Packet(bytes(range(n, 256, 7)), Control(transparent=True)) for n in range(40)]
    stream = b"".join(packet.encode() for packet in packets)
    assert read(stream, escapes=True) == packets
    assert [*map(type, read(*(bytes((o,)) for o in stream), escapes=True))] == [Packet] * 40


def test_without_transparency_its_bit_means_nothing() -> None:
    plain = Packet(b"\x01", Control(transparent=True))
    assert read(plain.encode()) == [plain]
