"""Columns of date-times: the same answers as the one-by-one codec, in integers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.dlms.clock import decode_date_time, encode_date_time
from protocols.dlms.date_time_columns import (
    EARLIEST_S,
    LATEST_S,
    decode_date_times,
    encode_date_times,
)
from protocols.errors import CodecError

seconds = st.integers(EARLIEST_S, LATEST_S)
# Octets near enough to a date-time that every field is both right and wrong now and then.
nearly = st.builds(
    bytes,
    st.tuples(
        st.sampled_from([0, 7, 0x27, 0xFF]),
        st.sampled_from([0, 0x0F, 0x10, 0xE8, 0xFF]),
        st.integers(0, 13),
        st.integers(0, 32),
        st.integers(0, 255),
        st.integers(0, 25),
        st.integers(0, 61),
        st.integers(0, 61),
        st.sampled_from([0, 99, 100, 255]),
        st.sampled_from([0, 3, 0x80, 0xFC, 0xFF]),
        st.integers(0, 255),
        st.integers(0, 255),
    ),
)


def test_a_known_date() -> None:
    # 29 February 2024, a Thursday (4), 23:59:59 UTC
    wire = bytes.fromhex("07e8 02 1d 04 17 3b 3b 00 0000 00")
    assert encode_date_times(1_709_251_199).tobytes() == wire
    assert decode_date_times(wire) == [1_709_251_199]


@given(st.lists(seconds, min_size=1, max_size=4))
def test_encoding_equals_the_scalar_codec(times: list[int]) -> None:
    encoded = encode_date_times(np.array(times, np.int64))
    assert encoded.dtype == np.dtype("V12")
    assert encoded.tobytes() == b"".join(encode_date_time(time) for time in times)
    assert decode_date_times(encoded.tobytes()).tolist() == times  # type: ignore[union-attr]


@given(nearly)
def test_decoding_equals_the_scalar_codec(octets: bytes) -> None:
    decoded = decode_date_times(octets)
    try:
        expected = math.floor(decode_date_time(octets))
    except CodecError:
        assert decoded is None
    else:
        assert decoded is not None
        assert decoded.tolist() == [expected]


@pytest.mark.parametrize("posix_s", [EARLIEST_S - 1, LATEST_S + 1])
def test_other_years_are_refused(posix_s: int) -> None:
    with pytest.raises(CodecError, match="years"):
        encode_date_times(posix_s)


def test_one_bad_date_time_spoils_the_column() -> None:
    good = encode_date_time(0)
    assert decode_date_times(good + b"\xff" * 12) is None
    assert decode_date_times(good + good) is not None
