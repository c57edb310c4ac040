"""The framing between processes: round trip, any split, bounds, garbage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import CodecError, ProtocolError
from protocols.framing import Message, MessageReader, encode_message

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**255), 2**255 - 1), st.binary(max_size=9), st.text()
)
messages = st.dictionaries(st.text(max_size=5), scalars | st.lists(scalars, max_size=3), max_size=4)


@given(st.lists(messages, max_size=4), st.data())
def test_any_split_gives_the_same_messages(sent: list[Message], data: st.DataObject) -> None:
    stream = b"".join(map(encode_message, sent))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    reader, seen = MessageReader(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        reader.feed(stream[start:end])
        while (message := reader.next_message()) is not None:
            seen.append(message)
    assert seen == sent


@given(st.binary(max_size=64))
def test_garbage_raises_only_protocol_errors(garbage: bytes) -> None:
    reader = MessageReader(max_message_size=32)
    reader.feed(garbage)
    try:
        while reader.next_message() is not None:
            pass
    except ProtocolError:
        pass


def test_a_length_over_the_bound_is_refused_before_it_is_buffered() -> None:
    reader = MessageReader(max_message_size=10)
    reader.feed(b"\x00\x00\x00\x0b")
    with pytest.raises(CodecError, match="11 octets announced"):
        reader.next_message()


@pytest.mark.parametrize("body", [b"\x93\x01\x02\x03", b"\xc1", b"\x81"])
def test_a_body_that_is_no_map_is_refused(body: bytes) -> None:
    reader = MessageReader()
    reader.feed(len(body).to_bytes(4, "big") + body)
    with pytest.raises(CodecError, match="body"):
        reader.next_message()


def test_what_cannot_be_encoded_is_our_error() -> None:
    with pytest.raises(CodecError):
        encode_message({"big": 2**256})
    with pytest.raises(CodecError):
        encode_message({"thing": object()})


@pytest.mark.parametrize("extension", [b"\xc7\x01\x02\x00", b"\xc7\x21\x01" + bytes(33)])
def test_extensions_that_are_none_of_ours_are_refused(extension: bytes) -> None:
    body = b"\x81\xa1a" + extension
    reader = MessageReader()
    reader.feed(len(body).to_bytes(4, "big") + body)
    with pytest.raises(CodecError, match="body"):
        reader.next_message()
