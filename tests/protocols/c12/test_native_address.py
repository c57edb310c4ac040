"""Native addresses and connection flags of RFC 6142."""

from __future__ import annotations

import contextlib
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.c12.native_address import (
    ALLOWED_MODES,
    ConnectionType,
    NativeAddress,
    Transport,
    TransportMode,
    allowed_modes,
    multicast_ipv6,
)
from protocols.errors import CodecError

hosts = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))
addresses = st.one_of(
    st.builds(NativeAddress, hosts),
    st.builds(NativeAddress, hosts, st.integers(1, 65535)),
    st.builds(NativeAddress, hosts, st.integers(1, 65535), st.sampled_from(Transport)),
)

WIRES = [
    (NativeAddress.parse("127.1.0.1"), "7f010001"),
    (NativeAddress.parse("127.1.0.1", 1153), "7f010001 0481"),
    (NativeAddress.parse("127.1.0.1", 1153, Transport.UDP), "7f010001 0481 11"),
    (NativeAddress.parse("fe80::1"), "fe80000000000000 0000000000000001"),
    (NativeAddress.parse("fe80::1", 1153), "fe80000000000000 0000000000000001 0481"),
    (
        NativeAddress.parse("fe80::1", 1153, Transport.TCP),
        "fe80000000000000 0000000000000001 0481 06",
    ),
]


@pytest.mark.parametrize(("address", "wire"), WIRES)
def test_wire_form(address: NativeAddress, wire: str) -> None:
    assert address.encode() == bytes.fromhex(wire)
    assert NativeAddress.decode(bytes.fromhex(wire)) == address


@given(addresses)
def test_round_trips(address: NativeAddress) -> None:
    assert NativeAddress.decode(address.encode()) == address


@given(addresses)
def test_padded_round_trips(address: NativeAddress) -> None:
    padded = address.encode(20)
    assert len(padded) == 20
    if isinstance(address.host, IPv4Address) or any(address.host.packed[7:]):
        assert NativeAddress.decode_padded(padded) == address


def test_the_port_is_1153_unless_said() -> None:
    assert NativeAddress.parse("::1").port_or_default == 1153
    assert NativeAddress.parse("::1", 99).port_or_default == 99


def test_multicast() -> None:
    assert multicast_ipv6(5) == IPv6Address("ff05::204")
    with pytest.raises(CodecError):
        multicast_ipv6(16)


@pytest.mark.parametrize("wire", ["", "7f0001", "7f00000104", "7f000001 0481 07", bytes(17).hex()])
def test_what_is_no_address(wire: str) -> None:
    with pytest.raises(CodecError):
        NativeAddress.decode(bytes.fromhex(wire))


@pytest.mark.parametrize("wire", ["7f0001", "7f000001 0000 06", bytes(19).hex() + "01"])
def test_what_is_no_address_in_a_table(wire: str) -> None:
    with pytest.raises(CodecError):
        NativeAddress.decode_padded(bytes.fromhex(wire))


@pytest.mark.parametrize(
    ("address", "size"),
    [
        (NativeAddress.parse("::1"), 7),
        (NativeAddress.parse("::1", 65536), None),
        (NativeAddress.parse("::1", None, Transport.TCP), None),
    ],
)
def test_what_cannot_be_written(address: NativeAddress, size: int | None) -> None:
    with pytest.raises(CodecError):
        address.encode(size)


def test_a_host_that_is_none() -> None:
    with pytest.raises(CodecError, match="host"):
        NativeAddress.parse("example.org")


@given(st.binary(max_size=24))
def test_garbage_raises_only_codec_errors(garbage: bytes) -> None:
    for decode in (NativeAddress.decode, NativeAddress.decode_padded):
        with contextlib.suppress(CodecError):
            decode(garbage)


@pytest.mark.parametrize("flags", range(16))
def test_every_combination_of_flags(flags: int) -> None:
    kind = ConnectionType(flags << 4)
    orphaned = (
        ConnectionType.ACCEPTS_CONNECTIONLESS in kind and ConnectionType.CONNECTIONLESS not in kind
    ) or (ConnectionType.ACCEPTS_CONNECTIONS in kind and ConnectionType.CONNECTIONS not in kind)
    if orphaned or not kind:
        with pytest.raises(CodecError):
            allowed_modes(kind)
        return
    modes = allowed_modes(kind | ConnectionType.PLAYBACK_REJECTION)
    assert (TransportMode.LISTENS in modes) == (ConnectionType.ACCEPTS_CONNECTIONS in kind)
    assert (TransportMode.TAKES_DATAGRAMS in modes) == (
        ConnectionType.ACCEPTS_CONNECTIONLESS in kind
    )
    assert (TransportMode.OPENS_CONNECTIONS in modes) == (ConnectionType.CONNECTIONS in kind)
    assert (TransportMode.SENDS_DATAGRAMS in modes) == (ConnectionType.CONNECTIONLESS in kind)


def test_there_are_eight_valid_combinations() -> None:
    assert len(ALLOWED_MODES) == 8
