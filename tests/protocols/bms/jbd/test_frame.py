"""JBD frames: published octets, the declaration as judge, round trip, typed errors."""

import pytest
from construct import Container
from hypothesis import given
from hypothesis import strategies as st

from protocols.bms.jbd.frame import REPLY, REQUEST, Reply, Request
from protocols.errors import CodecError, ProtocolError

REQUESTS = [
    pytest.param(Request(0x03), "dda50300fffd77", id="read-basic-information"),
    pytest.param(Request(0x04), "dda50400fffc77", id="read-cell-voltages"),
    pytest.param(Request(0x05), "dda50500fffb77", id="read-device-name"),
    pytest.param(Request(0xE1, True, b"\x00\x01"), "dd5ae1020001ff1c77", id="discharge-only"),
    pytest.param(Request(0xE1, True, b"\x00\x02"), "dd5ae1020002ff1b77", id="charge-only"),
    pytest.param(Request(0xE1, True, b"\x00\x03"), "dd5ae1020003ff1a77", id="both-off"),
]
# The manufacturer's own example of an answer to register 05.
NAME = "dd05000a30313233343536373839fde977"

requests = st.builds(Request, st.integers(0, 255), st.booleans(), st.binary(max_size=255))
replies = st.builds(Reply, st.integers(0, 255), st.binary(max_size=255), st.booleans())


@pytest.mark.parametrize(("request_", "octets"), REQUESTS)
def test_a_request_has_the_published_octets(request_: Request, octets: str) -> None:
    assert request_.encode().hex() == octets
    assert Request.decode(bytes.fromhex(octets)) == request_


def test_a_reply_has_the_published_octets() -> None:
    assert Reply(0x05, b"0123456789").encode().hex() == NAME
    assert Reply.decode(bytes.fromhex(NAME)) == Reply(0x05, b"0123456789")


def test_a_refusal_is_status_80_and_counts_in_the_checksum() -> None:
    #                                                   reg status len   checksum
    assert Reply(0xE1, ok=False).encode().hex() == "dde18000ff8077"


@given(requests)
def test_requests_round_trip_and_the_declaration_agrees(request_: Request) -> None:
    octets = request_.encode()
    assert Request.decode(octets) == request_
    fields = Container(first=octets[1], second=request_.register, data=request_.data)
    assert REQUEST.build(fields) == octets


@given(replies)
def test_replies_round_trip_and_the_declaration_agrees(reply: Reply) -> None:
    octets = reply.encode()
    assert Reply.decode(octets) == reply
    fields = Container(first=reply.register, second=octets[2], data=reply.data)
    assert REPLY.build(fields) == octets


@pytest.mark.parametrize(
    ("octets", "path"),
    [
        pytest.param("dd0500", "header", id="truncated-header"),
        pytest.param("aa05000a30313233343536373839fde977", "header", id="wrong-start"),
        pytest.param("dd05010a30313233343536373839fde977", "header", id="unknown-status"),
        pytest.param("dd05000a303132333435363738fde977", "data", id="truncated-data"),
        pytest.param("dd05000a3031323334353637383939fde977", "data", id="an-octet-too-many"),
        pytest.param("dd05000a30313233343536373839fde877", "checksum", id="wrong-checksum"),
        pytest.param("dd05000a30313233343536373839fde978", "end", id="wrong-end"),
    ],
)
def test_a_damaged_reply_names_what_is_wrong(octets: str, path: str) -> None:
    with pytest.raises(CodecError) as caught:
        Reply.decode(bytes.fromhex(octets))
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("frame", "path"),
    [(Request(256), "second"), (Reply(-1), "first"), (Reply(3, bytes(256)), "length")],
)
def test_what_does_not_fit_is_our_error(frame: Request | Reply, path: str) -> None:
    with pytest.raises(CodecError) as caught:
        frame.encode()
    assert caught.value.path == path


@given(st.binary(max_size=40))
def test_garbage_raises_only_protocol_errors(octets: bytes) -> None:
    for kind in (Request, Reply):
        try:
            kind.decode(octets)
        except ProtocolError:
            continue
