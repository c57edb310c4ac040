from __future__ import annotations

import pytest

from netem.packet.frames import connection_of, is_ipv4, is_tcp
from tests.netem.packet.building import ICMP, TCP, UDP, frame


def test_a_connection_is_the_addresses_and_ports() -> None:
    one = frame("10.1.0.1", "172.31.255.1", protocol=TCP, ports=(1, 2), mark=1)
    again = frame("10.1.0.1", "172.31.255.1", protocol=TCP, ports=(1, 2), mark=2)
    other = frame("10.1.0.1", "172.31.255.1", protocol=TCP, ports=(1, 3))
    assert connection_of(one) == connection_of(again)
    assert connection_of(one) != connection_of(other)
    assert is_tcp(one)
    assert not is_tcp(frame("10.1.0.1", "172.31.255.1", protocol=UDP))


def test_what_has_no_ports_at_hand_goes_by_protocol_and_addresses() -> None:
    echo = frame("10.1.0.1", "172.31.255.1", protocol=ICMP, ports=(8, 1))
    next_echo = frame("10.1.0.1", "172.31.255.1", protocol=ICMP, ports=(8, 2))
    assert connection_of(echo) == connection_of(next_echo)
    first = frame("10.1.0.1", "172.31.255.1", ports=(7, 8), fragment=0x2000)
    second = frame("10.1.0.1", "172.31.255.1", ports=(0, 9), fragment=0x0005)
    assert connection_of(first) == connection_of(second) != connection_of(echo)
    with_options = b"".join((echo[:14], b"\x46", echo[15:23], b"\x06", echo[24:]))
    assert len(connection_of(with_options)) == 9


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\xff" * 13,
        b"\xff" * 12 + b"\x08\x00",
        b"\xff" * 12 + b"\x08\x00" + b"\x45" * 19,
        b"\xff" * 12 + b"\x08\x06" + b"\x00" * 28,  # ARP
        b"\xff" * 12 + b"\x86\xdd" + b"\x60" * 60,  # IPv6
        b"\xff" * 12 + b"\x81\x00\x00\x01\x08\x00" + b"\x45" * 40,  # VLAN tag
    ],
)
def test_what_is_no_ipv4_packet_is_told_apart(octets: bytes) -> None:
    assert not is_ipv4(octets)
