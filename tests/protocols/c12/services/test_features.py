"""The features behind the answer to Identify."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.c12.services import (
    DES,
    AuthenticationService,
    AuthenticationTicket,
    DeviceClass,
    DeviceIdentity,
    Feature,
    IdentifyBody,
    SecurityMechanism,
    SessionControl,
    UnknownFeatures,
)
from protocols.errors import CodecError

MECHANISM = bytes.fromhex("06072a0304050607 08".replace(" ", ""))


@pytest.mark.parametrize(
    ("features", "octets"),
    [
        ((), "00"),
        ((AuthenticationService(1, DES),), "01 0100 00"),
        ((AuthenticationTicket(1, DES, bytes(8)),), "02 0100 08 0000000000000000 00"),
        ((SecurityMechanism(MECHANISM),), "04 06072a030405060708 00"),
        ((SessionControl(1, sessionless=True),), "05 81 00"),
        ((SessionControl(127, sessionless=False),), "05 7f 00"),
        ((DeviceClass(b"\x0d\x01\x05"),), "06 0d0105 00"),
        ((DeviceIdentity(0, b"abc"),), "07 04 00 616263 00"),
        ((AuthenticationService(1, 0xFF), SessionControl(0, sessionless=True)), "0101ff 0580 00"),
        ((SessionControl(1, sessionless=True), UnknownFeatures(b"\x63\x01\x00")), "0581 630100"),
    ],
)
def test_octets_of_every_feature(features: tuple[Feature, ...], octets: str) -> None:
    body = IdentifyBody(3, 1, 0, features)
    assert body.encode() == bytes.fromhex("030100" + octets)
    assert IdentifyBody.decode(body.encode()) == body


@pytest.mark.parametrize("octets", ["", "05", "0580", "000000", "0201000800", "04060500"])
def test_features_that_do_not_end_as_they_should(octets: str) -> None:
    with pytest.raises(CodecError):
        IdentifyBody.decode(bytes.fromhex("030100" + octets))


def test_features_are_bounded() -> None:
    with pytest.raises(CodecError):
        IdentifyBody.decode(bytes.fromhex("030100" + "0501" * 17 + "00"))
    with pytest.raises(CodecError):
        IdentifyBody(3, 1, 0, (SessionControl(1, sessionless=True),) * 17).encode()


def test_what_is_unknown_hides_whatever_is_behind_it() -> None:
    unknown = UnknownFeatures(b"\x63\x00")
    with pytest.raises(CodecError):
        IdentifyBody(3, 1, 0, (unknown, SessionControl(1, sessionless=True))).encode()


@given(st.binary(max_size=60))
def test_garbage(octets: bytes) -> None:
    try:
        body = IdentifyBody.decode(octets)
    except CodecError:
        return
    assert body.encode() == octets
