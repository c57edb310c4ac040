"""What the dialects share: names, currents."""

import pytest

from protocols.batteries.dialect import check_current, decode_name, encode_name
from protocols.errors import CodecError


@pytest.mark.parametrize("name", ["x", "x" * 255, "Ä battery"])
def test_names_round_trip(name: str) -> None:
    assert decode_name(encode_name(name, "x"), "x") == name


@pytest.mark.parametrize("octets", [b"", b"x" * 256, b"a\0", b"\xff"])
def test_what_is_no_name_is_refused(octets: bytes) -> None:
    with pytest.raises(CodecError, match="name"):
        decode_name(octets, "x")


def test_a_megaampere_is_the_most_there_is() -> None:
    check_current(10**9, "x")
    check_current(-(10**9), "x")
    for current_ma in (10**9 + 1, -(10**9) - 1):
        with pytest.raises(CodecError, match="current"):
            check_current(current_ma, "x")
