"""Real TCP exchanges through a lab: ``python -m tests.calibration.exchanging JOB OUTCOME``.

Run by `running` in a network namespace of its own, or in a virtual machine: it opens a lab, and
sets TCP's switches on both its sides.

Clients begin one after the other, each from its own address. All of them send 300 octets first,
then all 3,000, then all 20,000, each time over a new connection.
"""

from __future__ import annotations

import os
import resource
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import numpy as np
import trio

from emulator import congestion
from netem.kernel import open_kernel_lab
from netem.lab import Lab, LabPlan
from netem.namespaces import Namespace
from netem.packet import open_packet_lab
from tests.calibration.job import ANSWER_OCTETS, SIZES, Job, Outcome, Sample

CONGESTION: Final = "cubic"
EXCHANGE_S: Final = 100.0
"""How long a connect and its exchange may take together."""
_SWITCHES: Final = {
    # A sender makes no bundles of segments, which a link would delay and lose as one packet.
    "tcp_min_tso_segs": "1",
    # A connection knows nothing of the one before it.
    "tcp_no_metrics_save": "1",
}
_HEAD: Final = struct.Struct("!I")
_TOTAL_RETRANSMISSIONS: Final = 100
"""Offset of tcpi_total_retrans in struct tcp_info."""
_FIRST_S: Final = 0.5


class Clients:
    """The clients of a lab and their server.

    Args:
        job: what to measure.
        lab: through which links.
        fleet: the namespace at ``lab``'s fleet side.
    """

    def __init__(self, job: Job, lab: Lab, fleet: Namespace) -> None:
        self._job = job
        self._lab = lab
        self._fleet = fleet
        self.samples = [Sample() for _ in job.profiles]

    async def run(self) -> None:
        """Make all exchanges; those that take too long are counted and given up."""
        listener = trio.socket.socket()
        await listener.bind((self._lab.head_end_address, 0))
        congestion.use(listener, CONGESTION)
        listener.listen(4_000)
        target = listener.getsockname()
        async with trio.open_nursery() as service:
            service.start_soon(trio.serve_listeners, _serve, [trio.SocketListener(listener)])
            start = trio.current_time() + _FIRST_S
            async with trio.open_nursery() as clients:
                for number in range(self._job.clients * len(self._job.profiles)):
                    clients.start_soon(self._client, number, start, target)
            service.cancel_scope.cancel()

    async def _client(self, number: int, start: float, target: tuple[str, int]) -> None:
        job = self._job
        which, turn = divmod(number, job.clients)
        # The classes take turns, too.
        first = start + (turn + which / len(job.profiles)) * job.interval_s
        for at, octets in enumerate(SIZES):
            await trio.sleep_until(first + at * job.clients * job.interval_s)
            with trio.move_on_after(EXCHANGE_S) as patience:
                await self._exchange(number, octets, target, self.samples[which])
            self.samples[which].unfinished += patience.cancelled_caught

    async def _exchange(
        self, number: int, octets: int, target: tuple[str, int], sample: Sample
    ) -> None:
        with self._fleet.entered():
            made = socket.socket()
        with trio.socket.from_stdlib_socket(made) as client:
            congestion.use(client, CONGESTION)
            await client.bind((self._lab.addresses.address(number), 0))
            begun = time.perf_counter()
            try:
                await client.connect(target)
                connected = time.perf_counter()
                syns_again = _sent_again(client)
                stream = trio.SocketStream(client)
                await stream.send_all(_HEAD.pack(octets).ljust(octets, b"\0"))
                await _receive(stream, ANSWER_OCTETS)
            except (OSError, trio.BrokenResourceError):
                sample.unfinished += 1
                return
            done = time.perf_counter()
            again = _sent_again(client) - syns_again
            sample.add(octets, connected - begun, done - connected, again)


def _sent_again(client: trio.socket.SocketType) -> int:
    info = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
    (total,) = struct.unpack_from("=I", info, _TOTAL_RETRANSMISSIONS)
    return int(total)


async def _serve(stream: trio.SocketStream) -> None:
    """Take one request, which says its size at its begin, and answer it."""
    try:
        head = await _receive(stream, _HEAD.size)
        (octets,) = _HEAD.unpack_from(head)
        await _receive(stream, octets - len(head))
        await stream.send_all(bytes(ANSWER_OCTETS))
        await stream.receive_some(1)
    except trio.BrokenResourceError:
        pass
    finally:
        await trio.aclose_forcefully(stream)


async def _receive(stream: trio.SocketStream, octets: int) -> bytes:
    """Return at least so many octets."""
    received = b""
    while len(received) < octets:
        more = await stream.receive_some(65_536)
        if not more:
            raise trio.BrokenResourceError("the other end closed early")
        received += bytes(more)
    return received


@asynccontextmanager
async def open_lab(job: Job) -> AsyncIterator[Lab]:
    """Give a lab with ``job``'s clients."""
    category = np.repeat(np.arange(len(job.profiles), dtype=np.uint8), job.clients)
    plan = LabPlan(job.links(), category, job.options, job.seed, individually=False)
    opened = open_packet_lab(plan) if job.tier == "packet" else open_kernel_lab(plan)
    async with opened as lab:
        yield lab


async def measure(job: Job) -> Outcome:
    """Do ``job`` in a lab of its own."""
    async with open_lab(job) as lab:
        with Namespace.current() as here, _fleet_of(lab) as fleet:
            for side in (here, fleet):
                with side.entered():
                    _set_switches()
            clients = Clients(job, lab, fleet)
            await clients.run()
        counters = await lab.counters()
        notes = list(lab.notes)
    if counters.unclassified:
        notes.append(f"{counters.unclassified:,} packets were of no client")
    full = sum(one.overflowed or 0 for one in counters.links.values())
    if full:
        notes.append(f"{full:,} packets found a queue full")
    for name, listening in counters.listening.items():
        if listening.overflows or listening.drops:
            notes.append(f"the {name} side refused {listening.drops:,} connections")
    return Outcome(dict(zip(job.profiles, clients.samples, strict=True)), notes)


def _fleet_of(lab: Lab) -> Namespace:
    return Namespace(os.open(lab.fleet_namespace, os.O_RDONLY | os.O_CLOEXEC))


def _set_switches() -> None:
    for name, value in _SWITCHES.items():
        Path("/proc/sys/net/ipv4", name).write_text(value, encoding="ascii")


def main(arguments: list[str]) -> None:
    """Do the job in the first file, and write what came of it to the second."""
    job_path, outcome_path = map(Path, arguments)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    trio.run(measure, Job.read(job_path)).write(outcome_path)


if __name__ == "__main__":
    main(sys.argv[1:])
