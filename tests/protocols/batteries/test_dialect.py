"""What the dialects share: bodies behind their length, names, currents."""

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.batteries.dialect import LengthReader, check_current, decode_name, encode_name
from protocols.errors import CodecError

byteorders: list[Literal["little", "big"]] = ["little", "big"]


@pytest.mark.parametrize("byteorder", byteorders)
@given(sent=st.lists(st.binary(max_size=9), max_size=4), data=st.data())
def test_any_split_gives_the_same_bodies(
    byteorder: Literal["little", "big"], sent: list[bytes], data: st.DataObject
) -> None:
    stream = b"".join(len(body).to_bytes(4, byteorder) + body for body in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    reader, seen = LengthReader(byteorder, 9, "x"), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        reader.feed(stream[start:end])
        while (body := reader.next_body()) is not None:
            seen.append(body)
    assert seen == sent
    assert reader.buffered == 0


def test_a_length_over_the_bound_is_refused_before_it_is_buffered() -> None:
    reader = LengthReader("big", 9, "x")
    reader.feed(b"\0\0\0\x0a")
    with pytest.raises(CodecError, match="10 octets announced"):
        reader.next_body()


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
