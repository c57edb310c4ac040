"""Wrapper PDUs: the published layout, both directions, and every split."""

from __future__ import annotations

import pytest
from construct import ConstructError, Struct, Terminated
from hypothesis import given
from hypothesis import strategies as st

from protocols.dlms.wrapper import HEADER_SIZE, WPDU, Wpdu, WpduReader
from protocols.errors import CodecError, ProtocolError

VECTORS = [
    pytest.param(
        Wpdu(source=1, destination=16, apdu=b"\x60\x00"),
        # version source dest  length apdu
        "0001     0001   0010  0002   6000",
        id="two-byte-apdu",
    ),
    pytest.param(Wpdu(1, 1, b""), "0001 0001 0001 0000", id="empty-apdu"),
]

wpdus = st.builds(Wpdu, st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.binary(max_size=64))


@pytest.mark.parametrize(("pdu", "wire"), VECTORS)
def test_vector(pdu: Wpdu, wire: str) -> None:
    assert pdu.encode() == bytes.fromhex(wire)
    assert Wpdu.decode(bytes.fromhex(wire)) == pdu


@given(wpdus)
def test_the_declaration_encodes_the_same(pdu: Wpdu) -> None:
    fields = {"source": pdu.source, "destination": pdu.destination, "apdu": pdu.apdu}
    assert pdu.encode() == WPDU.build(fields)


@given(st.one_of(st.binary(max_size=24), wpdus.map(Wpdu.encode)), st.binary(max_size=1))
def test_the_declaration_decodes_the_same(wire: bytes, tail: bytes) -> None:
    whole = WPDU + Struct(Terminated)
    try:
        parsed = whole.parse(wire + tail)
    except ConstructError:
        with pytest.raises(CodecError):
            Wpdu.decode(wire + tail)
    else:
        pdu = Wpdu(parsed.source, parsed.destination, parsed.apdu)
        assert Wpdu.decode(wire + tail) == pdu


@given(wpdus)
def test_roundtrip(pdu: Wpdu) -> None:
    assert Wpdu.decode(pdu.encode()) == pdu


@given(st.lists(wpdus, max_size=4), st.data())
def test_any_split_gives_the_same_pdus(pdus: list[Wpdu], data: st.DataObject) -> None:
    stream = b"".join(pdu.encode() for pdu in pdus)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    reader, seen = WpduReader(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        reader.feed(stream[start:end])
        while (pdu := reader.next_pdu()) is not None:
            seen.append(pdu)
    assert seen == pdus
    assert reader.buffered == 0


@given(st.binary(max_size=64))
def test_garbage_raises_only_protocol_errors(garbage: bytes) -> None:
    reader = WpduReader(max_apdu_size=32)
    reader.feed(garbage)
    try:
        while reader.next_pdu() is not None:
            pass
    except ProtocolError:
        pass


def test_a_cut_pdu_stays_buffered() -> None:
    reader = WpduReader()
    reader.feed(Wpdu(1, 2, b"abc").encode()[:-1])
    assert reader.next_pdu() is None
    assert reader.buffered == HEADER_SIZE + 2


def test_too_long_an_announcement_is_refused_from_the_header() -> None:
    reader = WpduReader(max_apdu_size=32)
    reader.feed(bytes.fromhex("0001 0001 0010 0021"))
    with pytest.raises(CodecError) as caught:
        reader.next_pdu()
    assert caught.value.path == "length"


def test_a_wrong_version_is_refused_from_the_header() -> None:
    reader = WpduReader()
    reader.feed(bytes.fromhex("0002 0001 0010 ffff"))
    with pytest.raises(CodecError) as caught:
        reader.next_pdu()
    assert caught.value.path == "version"


@pytest.mark.parametrize(
    ("wire", "path"),
    [
        ("0002 0001 0010 0000", "version"),
        ("0001 0001 0010", "header"),
        ("0001 0001 0010 0002 60", "apdu"),
        ("0001 0001 0010 0000 60", "apdu"),
    ],
)
def test_decoding_errors_name_the_field(wire: str, path: str) -> None:
    with pytest.raises(CodecError) as caught:
        Wpdu.decode(bytes.fromhex(wire))
    assert (caught.value.codec, caught.value.path) == ("WPDU", path)


@pytest.mark.parametrize(
    ("pdu", "path"),
    [
        (Wpdu(-1, 1, b""), "source"),
        (Wpdu(1, 65536, b""), "destination"),
        (Wpdu(1, 1, bytes(65536)), "length"),
    ],
)
def test_encoding_errors_name_the_field(pdu: Wpdu, path: str) -> None:
    with pytest.raises(CodecError) as caught:
        pdu.encode()
    assert caught.value.path == path


def test_many_pdus_in_one_feed_are_not_moved_one_by_one() -> None:
    # Time must grow with their number, not with its square.
    wire = Wpdu(1, 2, b"\xd8\x01\x01").encode()
    reader, count = WpduReader(), 80_000
    reader.feed(wire * count)
    seen = 0
    while reader.next_pdu() is not None:
        seen += 1
    assert seen == count
