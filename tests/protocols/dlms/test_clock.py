"""COSEM date-time against octets written out by hand."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.dlms.clock import (
    ClockStatus,
    decode_date_time,
    decode_status,
    encode_date_time,
)
from protocols.errors import CodecError

# 2023-11-14 22:15:00 UTC, a Tuesday:
#   year mo dy wd hh mm ss hu devi st
UTC_OCTETS = bytes.fromhex("07e7 0b 0e 02 16 0f 00 00 0000 00")
# The same instant on a clock at UTC+2 (deviation -120 minutes), daylight saving active.
LOCAL_OCTETS = bytes.fromhex("07e7 0b 0f 03 00 0f 00 00 ff88 80")
INSTANT_S = 1_700_000_100


def test_an_instant_in_utc() -> None:
    assert encode_date_time(INSTANT_S) == UTC_OCTETS
    assert decode_date_time(UTC_OCTETS) == INSTANT_S


def test_deviation_is_minutes_from_local_time_to_utc() -> None:
    status = ClockStatus.DAYLIGHT_SAVING_ACTIVE
    assert encode_date_time(INSTANT_S, deviation_min=-120, status=status) == LOCAL_OCTETS
    assert decode_date_time(LOCAL_OCTETS) == INSTANT_S
    assert decode_status(LOCAL_OCTETS) is status


def test_hundredths() -> None:
    octets = encode_date_time(INSTANT_S + 0.25)
    assert octets[8] == 25
    assert decode_date_time(octets) == INSTANT_S + 0.25


def test_unspecified_deviation_and_hundredths_are_utc_and_zero() -> None:
    octets = bytes.fromhex("07e7 0b 0e ff 16 0f 00 ff 8000 ff")
    assert decode_date_time(octets) == INSTANT_S


@given(posix_s=st.integers(0, 10**10), deviation_min=st.integers(-720, 840))
def test_any_instant_comes_back(posix_s: int, deviation_min: int) -> None:
    assert decode_date_time(encode_date_time(posix_s, deviation_min=deviation_min)) == posix_s


@pytest.mark.parametrize(
    ("octets", "path"),
    [
        ("07e7 0b 0e 02 16 0f 00 00 0000", ""),
        ("ffff 0b 0e 02 16 0f 00 00 0000 00", "date"),
        ("07e7 ff 0e 02 16 0f 00 00 0000 00", "date"),
        ("07e7 02 1e 02 16 0f 00 00 0000 00", "date"),
        ("07e7 0b 0e 02 18 0f 00 00 0000 00", "date"),
        ("07e7 0b 0e 02 16 0f 00 64 0000 00", "hundredths"),
        ("07e7 0b 0e 02 16 0f 00 00 7000 00", "deviation"),
    ],
)
def test_what_is_no_instant_is_refused(octets: str, path: str) -> None:
    with pytest.raises(CodecError) as caught:
        decode_date_time(bytes.fromhex(octets))
    assert caught.value.path == path


@given(st.binary(max_size=16))
def test_garbage_raises_codec_errors_only(octets: bytes) -> None:
    with suppress(CodecError):
        decode_date_time(octets)


def test_instants_outside_of_the_calendar_are_refused() -> None:
    with pytest.raises(CodecError):
        encode_date_time(1e15)
    with pytest.raises(CodecError):
        decode_status(b"")
