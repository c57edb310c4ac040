"""The probe process: sends what is due, notes what arrives, prints what is complete.

Standard input holds the configuration as one line and stays open; when it ends, so does the
probing: nothing more is sent, and what is still under way gets its patience. So a process whose
parent died ends by itself.
"""

from __future__ import annotations

import os
import random
import selectors
import socket
import struct
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final, TextIO

from netem.namespaces import Namespace
from netem.probe.config import ProbeConfig
from netem.probe.measurement import Bucket, Train, record_line
from netem.probe.packets import Probe, ProbeDatagram, read_probe
from netem.probe.schedule import DIRECTIONS, FOREVER_NS, Due, ProbeSchedule
from netem.profiles import Direction

_SO_TIMESTAMPNS: Final = 35
_ANCILLARY: Final = 64
_TIMESPEC: Final = struct.Struct("qq")
_RECEIVE_OCTETS: Final = 2_048
_RECEIVE_BUFFER: Final = 4 << 20
_AT_ONCE: Final = 256
_LONGEST_WAIT_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class _End:
    """The sockets of one side: ``raw`` to send what has any source, ``udp`` to hear."""

    raw: socket.socket
    udp: socket.socket


def run(config: ProbeConfig, stop_on: int, out: TextIO) -> None:
    """Probe until descriptor ``stop_on`` is at its end; write results to ``out``, a line each.

    Raises:
        OSError: a namespace is gone, or this process may not open raw sockets there.
    """
    with ExitStack() as stack:
        ends = _open_ends(config, stack)
        selector = stack.enter_context(selectors.DefaultSelector())
        selector.register(stop_on, selectors.EVENT_READ, None)
        for direction, end in ends.items():
            # What goes up is heard on the head-end side.
            other = ends[_other(direction)]
            selector.register(other.udp, selectors.EVENT_READ, direction)
            assert end.raw.family is socket.AF_INET
        _Prober(config, ends, selector, stop_on, out).run()


class _Prober:
    def __init__(
        self,
        config: ProbeConfig,
        ends: Mapping[Direction, _End],
        selector: selectors.BaseSelector,
        stop_on: int,
        out: TextIO,
    ) -> None:
        self._config = config
        self._ends = ends
        self._selector = selector
        self._stop_on = stop_on
        self._out = out
        # Tells our datagrams from those of an earlier probing of the same lab; no draw of a run.
        self._run = random.SystemRandom().getrandbits(63)
        self._schedule = ProbeSchedule(config, time.monotonic_ns())
        self._datagrams = {
            (number, direction): _datagram(config, number, direction, ends)
            for number in range(len(config.links))
            for direction in DIRECTIONS
        }

    def run(self) -> None:
        while not self._schedule.complete:
            for key, _ in self._selector.select(self._wait_s()):
                if key.data is None:
                    self._heard_the_parent()
                else:
                    self._receive(key.fileobj, key.data)  # type: ignore[arg-type]
            for due in self._schedule.due(time.monotonic_ns()):
                self._send(due)
            self._report(self._schedule.finished(time.monotonic_ns()))
            if self._schedule.all_arrived and self._schedule.next_at_ns is None:
                self._report(self._schedule.finished(FOREVER_NS))

    def _wait_s(self) -> float:
        next_at_ns = self._schedule.next_at_ns
        if next_at_ns is None:
            return _LONGEST_WAIT_S
        return min(_LONGEST_WAIT_S, max(0.0, (next_at_ns - time.monotonic_ns()) / 1e9))

    def _heard_the_parent(self) -> None:
        if not os.read(self._stop_on, _RECEIVE_OCTETS):
            self._selector.unregister(self._stop_on)
            self._schedule.stop()

    def _send(self, due: Due) -> None:
        datagram, end = self._datagrams[due.link, due.direction], self._ends[due.direction]
        to = self._config.head_end_address
        if due.direction == "down":
            to = self._config.links[due.link].address
        for number in range(due.first, due.first + due.count):
            probe = Probe(
                self._run, due.link, number, due.span_ns, time.monotonic_ns(), time.time_ns()
            )
            try:
                end.raw.sendto(datagram.build(probe), (to, 0))
            except OSError:
                # A full queue of this machine: the probe is lost, as it would be on the way.
                continue

    def _receive(self, udp: socket.socket, direction: Direction) -> None:
        for _ in range(_AT_ONCE):
            try:
                payload, ancillary, _, _ = udp.recvmsg(_RECEIVE_OCTETS, _ANCILLARY)
            except BlockingIOError:
                return
            except OSError:
                continue  # an error that the network reports on this socket
            probe = read_probe(payload)
            if probe is not None and probe.run == self._run:
                self._schedule.arrived(
                    probe.link,
                    direction,
                    probe.number,
                    span_ns=probe.span_ns,
                    sent_ns=probe.sent_ns,
                    delay_ns=_arrived_ns(ancillary) - probe.sent_posix_ns,
                )

    def _report(self, results: Iterable[Bucket | Train]) -> None:
        lines = [record_line(result) + "\n" for result in results]
        if lines:
            self._out.writelines(lines)
            self._out.flush()


def _other(direction: Direction) -> Direction:
    return "down" if direction == "up" else "up"


def _arrived_ns(ancillary: list[tuple[int, int, bytes]]) -> int:
    """Return when the kernel received a datagram, POSIX nanoseconds."""
    for level, kind, octets in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC.unpack_from(octets)
            return int(seconds) * 1_000_000_000 + int(nanoseconds)
    return time.time_ns()


def _open_ends(config: ProbeConfig, stack: ExitStack) -> dict[Direction, _End]:
    """Open the sockets of both sides, all on one port; by the direction that they send in."""
    fleet = _open_end(config.fleet_namespace, 0, stack)
    port = int(fleet.udp.getsockname()[1])
    return {"up": fleet, "down": _open_end(config.head_end_namespace, port, stack)}


def _open_end(path: str, port: int, stack: ExitStack) -> _End:
    with Namespace(os.open(path, os.O_RDONLY | os.O_CLOEXEC)) as namespace, namespace.entered():
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for each in (raw, udp):
        stack.enter_context(each)
        each.setblocking(False)
    udp.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
    # Every address of this side: those of the probe links are not configured one by one.
    udp.bind(("0.0.0.0", port))
    return _End(raw, udp)


def _datagram(
    config: ProbeConfig, number: int, direction: Direction, ends: Mapping[Direction, _End]
) -> ProbeDatagram:
    link = config.links[number]
    way = (link.address, config.head_end_address)
    source, destination = way if direction == "up" else way[::-1]
    port = int(ends[direction].udp.getsockname()[1])
    octets = config.train_octets if link.train else 0
    return ProbeDatagram(source, destination, port, octets)


def main() -> None:
    """Be a probe process, told what to do on standard input."""
    run(ProbeConfig.from_line(_first_line(sys.stdin.fileno())), sys.stdin.fileno(), sys.stdout)


def _first_line(descriptor: int) -> str:
    """Return the first line, and not an octet more: what follows is for the loop."""
    line = bytearray()
    while not line.endswith(b"\n"):
        octet = os.read(descriptor, 1)
        if not octet:
            break
        line += octet
    return line.decode()
