"""Measuring a lab from outside it: numbered datagrams through its links, timed by the kernel."""

from __future__ import annotations

import math
import os
import socket
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netem.lab import Direction, Lab
from netem.namespaces import Namespace

FloatArray = NDArray[np.float64]

_STAMP: Final = 35  # SO_TIMESTAMPNS, which the standard library does not name
_BUFFER_OCTETS: Final = 16 * 1024 * 1024
_SO_RCVBUFFORCE: Final = 33
_HEAD: Final = struct.Struct("!HIQ")
_STAMP_LAYOUT: Final = struct.Struct("@qq")


@dataclass(slots=True)
class Sample:
    """What became of the datagrams of one line: sent, and delay and arrival of those received."""

    sent: int = 0
    numbers: list[int] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)

    @property
    def delays_s(self) -> FloatArray:
        return np.array(self.delays)

    @property
    def lost(self) -> int:
        return self.sent - len(self.numbers)


class Fleet:
    """Opens sockets on the fleet side of a lab."""

    def __init__(self, lab: Lab) -> None:
        fd = os.open(lab.fleet_namespace, os.O_RDONLY | os.O_CLOEXEC)
        self.namespace = Namespace(fd)

    def udp(self, address: str) -> socket.socket:
        with self.namespace.entered():
            return udp(address)


def udp(address: str) -> socket.socket:
    """Return a socket on ``address`` that stamps what arrives."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with suppress(PermissionError):  # as root of a user namespace only
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_OCTETS)
    sock.setsockopt(socket.SOL_SOCKET, _STAMP, 1)
    sock.bind((address, 0))
    sock.setblocking(False)
    return sock


@dataclass(slots=True)
class Line:
    """One stream of datagrams: from a socket to a socket."""

    source: socket.socket
    sink: socket.socket
    sample: Sample = field(default_factory=Sample)


def lines(lab: Lab, numbers: Sequence[int], direction: Direction) -> list[Line]:
    """Return a line for each of these concentrators."""
    fleet = Fleet(lab)
    made = []
    for number in numbers:
        there = fleet.udp(lab.addresses.address(number))
        here = udp(lab.head_end_address)
        made.append(Line(there, here) if direction == "up" else Line(here, there))
    fleet.namespace.close()
    return made


def probe(
    lines_: Sequence[Line],
    *,
    count: int,
    interval_s: float,
    drain_s: float,
    octets: int = 64,
    at: Mapping[int, Callable[[], None]] | None = None,
) -> None:
    """Send ``count`` datagrams on every line, one each per interval, and take in what arrives.

    Args:
        lines_: where.
        count: how many on each.
        interval_s: time between two of one line.
        drain_s: how long to wait after the last.
        octets: size of the payload.
        at: what to do before sending a datagram of this number.
    """
    start = time.monotonic()
    for number in range(count):
        if at is not None and number in at:
            at[number]()
        for line in lines_:
            payload = _HEAD.pack(0, number, time.time_ns()).ljust(octets, b"\0")
            line.source.sendto(payload, line.sink.getsockname())
            line.sample.sent += 1
        _take_in(lines_)
        ahead = start + (number + 1) * interval_s - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
    end = time.monotonic() + drain_s
    while time.monotonic() < end:
        time.sleep(0.05)
        _take_in(lines_)
    for line in lines_:
        line.source.close()
        line.sink.close()


def _take_in(lines_: Sequence[Line]) -> None:
    for line in lines_:
        while True:
            try:
                payload, ancillary, _, _ = line.sink.recvmsg(2048, 64)
            except BlockingIOError:
                break
            seconds, nanoseconds = _STAMP_LAYOUT.unpack(ancillary[0][2][:16])
            _, number, sent_ns = _HEAD.unpack_from(payload)
            arrived_ns = seconds * 1_000_000_000 + nanoseconds
            line.sample.numbers.append(number)
            line.sample.delays.append((arrived_ns - sent_ns) / 1e9)
            line.sample.arrivals.append(arrived_ns / 1e9)


def clamped_normal(mean: float, sigma: float) -> tuple[float, float]:
    """Return mean and deviation of max(0, X) for a normal X, from the closed form."""
    unit = NormalDist()
    ratio = mean / sigma
    first = mean * unit.cdf(ratio) + sigma * unit.pdf(ratio)
    second = (mean**2 + sigma**2) * unit.cdf(ratio) + mean * sigma * unit.pdf(ratio)
    return first, math.sqrt(second - first**2)


def binomial_interval(trials: int, share: float, level: float = 0.99) -> tuple[int, int]:
    """Return the narrowest central interval of a binomial count with at least this probability."""
    tail = (1 - level) / 2
    cumulated = 0.0
    log_share, log_rest = math.log(share), math.log1p(-share)
    low = None
    for hits in range(trials + 1):
        choose = math.lgamma(trials + 1) - math.lgamma(hits + 1) - math.lgamma(trials - hits + 1)
        cumulated += math.exp(choose + hits * log_share + (trials - hits) * log_rest)
        if low is None and cumulated > tail:
            low = hits
        if cumulated >= 1 - tail:
            return low or 0, hits
    return low or 0, trials


def steady_rate(arrivals: Sequence[float], burst: int) -> float:
    """Return arrivals per second after the first ``burst``: the slope of a line through them.

    A line, because a machine that stalls for a moment moves the ends of a sample.
    """
    after = np.array(sorted(arrivals)[burst:])
    slope, _ = np.polyfit(after - after[0], np.arange(len(after)), 1)
    return float(slope)
