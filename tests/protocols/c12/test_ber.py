"""The BER of C12.22: nothing leaves its container."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.c12 import ber
from protocols.errors import CodecError


@given(st.integers(0, 0x1E), st.binary(max_size=300))
def test_elements_round_trip(tag: int, content: bytes) -> None:
    assert ber.read_only(tag, ber.element(tag, content), "x") == content


@given(st.integers(0, 0xFFFF_FFFF))
def test_integers_are_unsigned_and_short(value: int) -> None:
    octets = ber.unsigned(value, "x")
    assert ber.read_unsigned(octets, "x") == value
    assert len(octets) == 1 or octets[0]


@pytest.mark.parametrize(("value", "octets"), [(0, "00"), (0x80, "80"), (0x100, "0100")])
def test_integers_carry_no_sign(value: int, octets: str) -> None:
    assert ber.unsigned(value, "x") == bytes.fromhex(octets)


@pytest.mark.parametrize("octets", ["", "0000000001"])
def test_integers_of_other_sizes_are_refused(octets: str) -> None:
    with pytest.raises(CodecError):
        ber.read_unsigned(bytes.fromhex(octets), "x")


@pytest.mark.parametrize("value", [-1, 1 << 32])
def test_integers_that_do_not_fit(value: int) -> None:
    with pytest.raises(CodecError):
        ber.unsigned(value, "x")


@pytest.mark.parametrize(
    "wire",
    [
        "04",  # no length
        "0480",  # indefinite
        "0402aa",  # more announced than there is
        "1f810000",  # a tag of several octets
        "04855500000000",  # a length of five octets
        "0401aabb",  # something behind
        "0501aa",  # another tag
    ],
)
def test_what_is_refused(wire: str) -> None:
    with pytest.raises(CodecError, match="at x"):
        ber.read_only(0x04, bytes.fromhex(wire), "x")
