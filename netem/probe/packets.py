"""The datagrams of probes, built and taken apart with scapy.

scapy builds each link's datagram once; what differs from one to the next is patched into it, so
that sending costs microseconds. The UDP checksum is left out, as IPv4 allows.
"""

from __future__ import annotations

import logging
import struct
from dataclasses import astuple, dataclass
from typing import Final

# Silences scapy's remarks about interfaces without addresses, which labs have.
logging.getLogger("scapy.runtime").setLevel(logging.ERROR)

from scapy.layers.inet import IP, UDP  # noqa: E402
from scapy.packet import Raw  # noqa: E402

MAGIC: Final = b"MSprobe1"
_PAYLOAD: Final = struct.Struct("!8sQHIQQQ")
HEADERS: Final = 28
"""Octets of IPv4 and UDP header."""
LEAST_OCTETS: Final = HEADERS + _PAYLOAD.size


@dataclass(frozen=True, slots=True)
class Probe:
    """What one datagram says: run, place of its link in the configuration, number, when sent.

    ``span_ns`` is the moment it counts for, ``sent_ns`` when it left, both CLOCK_MONOTONIC;
    ``sent_posix_ns`` the latter by the clock that the kernel stamps arrivals with.
    """

    run: int
    link: int
    number: int
    span_ns: int
    sent_ns: int
    sent_posix_ns: int


class ProbeDatagram:
    """The datagrams of one link in one direction, ``octets`` long with their IP header."""

    def __init__(self, source: str, destination: str, port: int, octets: int) -> None:
        payload = bytes(max(octets, LEAST_OCTETS) - HEADERS)
        built = IP(src=source, dst=destination, ttl=8) / UDP(sport=port, dport=port, chksum=0)
        self._octets = bytes(built / Raw(payload))

    def build(self, probe: Probe) -> bytes:
        """Return the packet that carries ``probe``."""
        payload = _PAYLOAD.pack(MAGIC, *astuple(probe))
        return self._octets[:HEADERS] + payload + self._octets[LEAST_OCTETS:]


def read_probe(payload: bytes) -> Probe | None:
    """Return what the payload of a datagram says; ``None``: it is nobody's probe."""
    if len(payload) < _PAYLOAD.size or not payload.startswith(MAGIC):
        return None
    return Probe(*_PAYLOAD.unpack_from(payload)[1:])
