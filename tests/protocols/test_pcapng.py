from __future__ import annotations

import construct
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols import pcapng
from protocols.pcapng import Packet

NEAR, FAR = ("127.1.0.1", 40_000), ("127.0.0.1", 1153)
PACKET = Packet(0x0102_0304_0506_0708, NEAR, FAR, 1153, b"\x60\x01\xff", comment="so")

SECTION = bytes.fromhex(
    "0a0d0d0a"  # section header block
    "1c000000"  # its length
    "4d3c2b1a"  # byte order: little-endian
    "0100 0000"  # version 1.0
    "ffffffffffffffff"  # length of the section: not said
    "1c000000"
    "01000000"  # interface description block
    "20000000"
    "fc00"  # link type 252: upper PDU
    "0000"
    "00000400"  # snap length
    "0900 0100 09000000"  # if_tsresol: nanoseconds
    "0000 0000"  # end of options
    "20000000"
)
ENHANCED = bytes.fromhex(
    "06000000"  # enhanced packet block
    "70000000"
    "00000000"  # interface
    "04030201"  # time stamp, high word first
    "08070605"
    "43000000"  # captured length
    "43000000"  # original length
    "000e 0008 7463702e706f7274"  # dissector table: tcp.port
    "0020 0004 00000481"  # value there: 1153
    "0014 0004 7f010001"  # from 127.1.0.1
    "0015 0004 7f000001"  # to 127.0.0.1
    "0018 0004 00000002"  # port type: TCP
    "0019 0004 00009c40"  # from port 40000
    "001a 0004 00000481"  # to port 1153
    "0000 0000"  # end of tags
    "6001ff 00"  # the message, padded
    "0100 0200 736f 0000"  # comment
    "0000 0000"
    "70000000"
)


def test_a_capture_begins_with_its_section_and_interface() -> None:
    assert pcapng.section() == SECTION


def test_a_packet_names_its_ends_and_its_dissector() -> None:
    assert pcapng.packet(PACKET) == ENHANCED


@given(
    octets=st.lists(st.binary(min_size=1, max_size=40), max_size=4),
    at_ns=st.integers(0, 2**64 - 1),
    comment=st.text(max_size=10),
)
def test_what_was_written_is_read(octets: list[bytes], at_ns: int, comment: str) -> None:
    packets = [Packet(at_ns, FAR, NEAR, 4059, item, comment) for item in octets]
    written = pcapng.section() + b"".join(map(pcapng.packet, packets))
    assert pcapng.read(written) == packets


@pytest.mark.parametrize("cut", [1, 5, 60, len(ENHANCED) - 1])
def test_a_capture_that_is_cut_off_is_no_capture(cut: int) -> None:
    with pytest.raises(construct.ConstructError):
        pcapng.read(SECTION + ENHANCED[:-cut])
