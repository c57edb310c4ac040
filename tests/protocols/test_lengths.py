"""Bodies behind their length: any split, and a bound before anything is buffered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import CodecError
from protocols.lengths import Byteorder, LengthReader, behind_length

byteorders: list[Byteorder] = ["little", "big"]


@pytest.mark.parametrize("byteorder", byteorders)
@given(sent=st.lists(st.binary(max_size=9), max_size=4), data=st.data())
def test_any_split_gives_the_same_bodies(
    byteorder: Byteorder, sent: list[bytes], data: st.DataObject
) -> None:
    stream = b"".join(behind_length(body, byteorder) for body in sent)
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


def test_the_length_has_four_octets_in_its_order() -> None:
    assert behind_length(b"xyz", "big") == b"\x00\x00\x00\x03xyz"
    assert behind_length(b"xyz", "little") == b"\x03\x00\x00\x00xyz"
