"""Segments: any order, doubles, losses, lies, and bounds on all of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.c12.acse import Header, SegmentPosition, decode_apdu, encode_apdu
from protocols.c12.acse.header import AeQualifier, AuthenticationValue
from protocols.c12.segmentation import (
    MAX_PIECES,
    CannotSegmentError,
    Fate,
    Lost,
    Reassembly,
    segment,
)
from protocols.c12.titles import ApTitle
from protocols.errors import CodecError
from tests.support.c12_messages import headers

HEADER = Header(
    ApTitle.parse(".3.1"),
    ApTitle.parse(".2.1"),
    b"\x07",
    b"\x09",
    AeQualifier.NOTIFICATION,
    AuthenticationValue(7, 1),
    b"\x2a",
)
APDU = encode_apdu(HEADER, bytes(range(256)) * 4)


def _add(reassembly: Reassembly, octets: bytes, now: float = 0.0) -> bytes | Fate:
    return reassembly.add(decode_apdu(octets), now=now)


def _piece(offset: int, octets: bytes, total: int, invocation: bytes = b"\x07") -> bytes:
    header = Header(ApTitle.parse(".3.1"), ApTitle.parse(".2.1"), invocation)
    return encode_apdu(header, octets, SegmentPosition(total, offset))


def test_what_fits_is_not_cut() -> None:
    assert segment(APDU, len(APDU)) == [APDU]


def test_segments_say_whose_they_are_and_no_more() -> None:
    first, second = (decode_apdu(octets) for octets in segment(APDU, len(APDU) - 1))
    assert first.header == Header(
        HEADER.called, HEADER.calling, b"\x07", None, AeQualifier.NOTIFICATION
    )
    assert first.segment == SegmentPosition(len(APDU), 0)
    assert second.segment == SegmentPosition(len(APDU), len(first.information))
    # What is cut is the APDU from its tag on.
    assert first.information + second.information == APDU


def test_a_segment_octet_by_octet() -> None:
    apdu = encode_apdu(Header(None, None, b"\x01"), bytes(20))
    assert segment(apdu, 30)[0] == bytes.fromhex(
        "601c a3 03 02 01 21 a8 03 02 01 01 be 10 28 0e 02 01 00 81 09 601f a803020101 be18"
    )


@given(headers, st.integers(1, 1500), st.integers(150, 400), st.randoms(use_true_random=False))
def test_any_order_gives_the_apdu(header: Header, size: int, limit: int, random: object) -> None:
    apdu = encode_apdu(header, bytes(size))
    try:
        segments = segment(apdu, limit)
    except CannotSegmentError:
        return
    assert all(len(octets) <= limit for octets in segments)
    if len(segments) == 1:
        return
    random.shuffle(segments)  # type: ignore[attr-defined]
    reassembly = Reassembly()
    *early, last = segments
    assert all(_add(reassembly, octets) is Fate.KEPT for octets in early)
    assert _add(reassembly, last) == apdu
    assert reassembly.open == 0
    assert reassembly.deadline is None


def test_a_way_too_narrow() -> None:
    with pytest.raises(CannotSegmentError):
        segment(APDU, 40)
    with pytest.raises(CodecError):
        segment(bytes(100), 40)


def test_doubles_are_told_and_ignored() -> None:
    reassembly = Reassembly()
    segments = segment(APDU, 400)
    assert _add(reassembly, segments[0]) is Fate.KEPT
    assert _add(reassembly, segments[0]) is Fate.DOUBLED
    for octets in segments[1:-1]:
        _add(reassembly, octets)
    assert _add(reassembly, segments[-1]) == APDU
    # The double of the last one comes when nothing is open any more.
    assert _add(reassembly, segments[-1]) is Fate.DOUBLED
    assert reassembly.open == 0


def test_the_memory_of_doubles_ends() -> None:
    reassembly = Reassembly(timeout_s=10.0)
    segments = segment(APDU, 700)
    for octets in segments:
        _add(reassembly, octets)
    assert _add(reassembly, segments[0], now=9.9) is Fate.DOUBLED
    assert _add(reassembly, segments[0], now=10.0) is Fate.KEPT


def test_a_lost_segment_times_out() -> None:
    reassembly = Reassembly(timeout_s=10.0)
    segments = segment(APDU, 400)
    _add(reassembly, segments[0], now=1.0)
    _add(reassembly, segments[-1], now=5.0)
    assert reassembly.deadline == 11.0
    assert reassembly.expire(10.9) == []
    (lost,) = reassembly.expire(11.0)
    pieces = (decode_apdu(octets) for octets in (segments[0], segments[-1]))
    received = sum(len(piece.information) for piece in pieces)
    assert lost == Lost(decode_apdu(segments[0]).header, received, len(APDU))
    assert reassembly.deadline is None


@pytest.mark.parametrize(
    "second",
    [
        _piece(5, bytes(10), 100),  # overlaps
        _piece(0, b"\1" * 10, 100),  # the same place, other octets
        _piece(10, bytes(10), 101),  # another size
        _piece(95, bytes(6), 100),  # past the end
        _piece(10, b"", 100),  # nothing
    ],
)
def test_what_contradicts_ends_the_reassembly(second: bytes) -> None:
    reassembly = Reassembly()
    assert _add(reassembly, _piece(0, bytes(10), 100)) is Fate.KEPT
    assert _add(reassembly, second) is Fate.INCONSISTENT
    assert reassembly.open == 0


def test_senders_and_invocations_do_not_mix() -> None:
    reassembly = Reassembly()
    for invocation in (b"\x01", b"\x02"):
        assert _add(reassembly, _piece(0, b"ab", 4, invocation)) is Fate.KEPT
    assert _add(reassembly, _piece(2, b"cd", 4, b"\x02")) == b"abcd"
    assert reassembly.open == 1


def test_sizes_and_numbers_are_bounded() -> None:
    reassembly = Reassembly(max_apdu_size=100, max_open=2)
    assert _add(reassembly, _piece(0, b"a", 101)) is Fate.OVERSIZED
    assert _add(reassembly, _piece(0, b"a", 100, b"\x01")) is Fate.KEPT
    assert _add(reassembly, _piece(0, b"a", 100, b"\x02")) is Fate.KEPT
    assert _add(reassembly, _piece(0, b"a", 100, b"\x03")) is Fate.TOO_MANY
    assert _add(reassembly, _piece(1, b"a", 100, b"\x01")) is Fate.KEPT


def test_crumbs_are_refused() -> None:
    reassembly = Reassembly()
    fates = [_add(reassembly, _piece(at, b"a", 2000)) for at in range(MAX_PIECES + 1)]
    assert fates == [Fate.KEPT] * MAX_PIECES + [Fate.INCONSISTENT]


@given(
    st.lists(st.tuples(st.integers(0, 40), st.binary(max_size=12), st.integers(0, 40)), max_size=12)
)
def test_whatever_comes_memory_stays_bounded(
    pieces: list[tuple[int, bytes, int]],
) -> None:
    reassembly = Reassembly(max_apdu_size=30, max_open=2)
    for at, octets, total in pieces:
        whole = _add(reassembly, _piece(at, octets, total))
        assert isinstance(whole, Fate) or len(whole) == total <= 30
        assert reassembly.open <= 2
