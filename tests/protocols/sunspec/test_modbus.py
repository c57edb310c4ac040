"""Modbus TCP frames: published octets, the declaration as judge, any split, bounds."""

import pytest
from construct import Container
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import CodecError, ProtocolError
from protocols.sunspec.modbus import ADU, Adu, AduReader

# The example of the Modbus messaging guide: read holding register 5 of unit 9.
EXAMPLE = bytes.fromhex("1501 0000 0006 09 03 0004 0001")
adus = st.builds(
    Adu, st.integers(0, 0xFFFF), st.integers(0, 0xFF), st.binary(min_size=1, max_size=253)
)


def test_the_published_frame() -> None:
    adu = Adu(0x1501, 9, bytes.fromhex("0300040001"))
    assert adu.encode() == EXAMPLE
    reader = AduReader()
    reader.feed(EXAMPLE)
    assert reader.next_adu() == adu


@given(adus)
def test_the_declaration_agrees(adu: Adu) -> None:
    fields = Container(transaction=adu.transaction, unit=adu.unit, pdu=adu.pdu)
    assert ADU.build(fields) == adu.encode()


@given(st.lists(adus, max_size=4), st.data())
def test_any_split_gives_the_same_frames(sent: list[Adu], data: st.DataObject) -> None:
    stream = b"".join(adu.encode() for adu in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    reader, seen = AduReader(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        reader.feed(stream[start:end])
        while (adu := reader.next_adu()) is not None:
            seen.append(adu)
    assert seen == sent
    assert reader.buffered == 0


@pytest.mark.parametrize(
    ("header", "path"),
    [
        ("0001 0001 0006 01", "protocol"),
        ("0001 0000 0001 01", "length"),
        ("0001 0000 00ff 01", "length"),
        ("0001 0000 ffff 01", "length"),
    ],
)
def test_a_header_that_is_none_is_refused_before_anything_is_buffered(
    header: str, path: str
) -> None:
    reader = AduReader()
    reader.feed(bytes.fromhex(header))
    with pytest.raises(CodecError) as caught:
        reader.next_adu()
    assert caught.value.path == path


@pytest.mark.parametrize("adu", [Adu(0x10000, 1, b"x"), Adu(1, 256, b"x"), Adu(1, 1, b"")])
def test_what_does_not_fit_is_our_error(adu: Adu) -> None:
    with pytest.raises(CodecError):
        adu.encode()


def test_a_pdu_has_253_octets_at_most() -> None:
    assert len(Adu(1, 1, bytes(253)).encode()) == 260
    with pytest.raises(CodecError):
        Adu(1, 1, bytes(254)).encode()


@given(st.binary(max_size=60))
def test_garbage_raises_only_protocol_errors(octets: bytes) -> None:
    reader = AduReader()
    reader.feed(octets)
    try:
        while reader.next_adu() is not None:
            pass
    except ProtocolError:
        pass
