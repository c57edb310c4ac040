"""APDUs in a stream and in datagrams: any split, bounded, and going on behind a long one."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.c12.ber import element
from protocols.c12.framing import HEAD_SIZE, MAX_SKIPPED, ApduReader, Oversized, read_datagram
from protocols.errors import CodecError, ProtocolError

apdus = st.binary(max_size=400).map(lambda content: element(0x60, content))


def _read(reader: ApduReader) -> list[bytes | Oversized]:
    seen = []
    while (apdu := reader.next_apdu()) is not None:
        seen.append(apdu)
    return seen


@given(st.lists(apdus, max_size=4), st.data())
def test_any_split_gives_the_same_apdus(expected: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(expected)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    reader = ApduReader()
    seen: list[bytes | Oversized] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        reader.feed(stream[start:end])
        seen += _read(reader)
    assert seen == expected
    assert not reader.is_cut


@given(st.lists(apdus, max_size=4), st.data())
def test_a_long_apdu_is_skipped_and_the_stream_goes_on(
    expected: list[bytes], data: st.DataObject
) -> None:
    limit = 150
    stream = b"".join(expected)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    reader = ApduReader(max_apdu_size=limit)
    seen: list[bytes | Oversized] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        reader.feed(stream[start:end])
        seen += _read(reader)
        assert reader.buffered <= HEAD_SIZE
    assert seen == [
        apdu if len(apdu) <= limit else Oversized(len(apdu), apdu[:HEAD_SIZE]) for apdu in expected
    ]
    assert not reader.is_cut


def test_a_long_apdu_is_never_kept() -> None:
    reader = ApduReader(max_apdu_size=64)
    reader.feed(bytes.fromhex("6082ffff") + bytes(HEAD_SIZE))
    assert reader.next_apdu() == Oversized(
        0xFFFF + 4, bytes.fromhex("6082ffff") + bytes(HEAD_SIZE - 4)
    )
    for _ in range(10):
        reader.feed(bytes(1000))
        assert reader.next_apdu() is None
        assert reader.buffered == 0
        assert reader.is_cut


@pytest.mark.parametrize(
    "stream",
    ["61", "00", "6080", "6085", "60ff", f"6084{MAX_SKIPPED:08x}"],
)
def test_what_ends_a_stream(stream: str) -> None:
    reader = ApduReader()
    reader.feed(bytes.fromhex(stream))
    for _ in range(2):
        with pytest.raises(CodecError):
            reader.next_apdu()


@pytest.mark.parametrize("stream", ["60", "6003aabb", "6082", "608200"])
def test_an_apdu_that_is_not_all_there_waits(stream: str) -> None:
    reader = ApduReader()
    reader.feed(bytes.fromhex(stream))
    assert reader.next_apdu() is None
    assert reader.is_cut


@given(st.binary(max_size=64))
def test_garbage_raises_only_protocol_errors(garbage: bytes) -> None:
    reader = ApduReader(max_apdu_size=32)
    reader.feed(garbage)
    with contextlib.suppress(ProtocolError):
        _read(reader)
    with contextlib.suppress(ProtocolError):
        read_datagram(garbage, max_apdu_size=32)


def test_a_datagram_is_one_apdu() -> None:
    apdu = element(0x60, bytes(10))
    assert read_datagram(apdu) == apdu
    assert read_datagram(apdu, max_apdu_size=11) == Oversized(12, apdu)
    for broken in (b"", b"\x60", apdu[:-1], apdu + b"\0", apdu + apdu):
        with pytest.raises(CodecError):
            read_datagram(broken)
