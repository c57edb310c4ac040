"""Measures a packet lab from inside a user namespace, and prints what it found as JSON.

Started by ``test_lab.py`` through `netem.namespaces`, as an ordinary user.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np
import psutil
import trio

from netem.addresses import HEAD_END_ADDRESS
from netem.cables import abandoned, netlink
from netem.lab import LabError, LabPlan
from netem.namespaces import Namespace
from netem.packet import PacketLab, open_packet_lab
from netem.packet.ring import RING_OCTETS
from netem.profiles import LinkOptions
from tests.netem.packet.building import frame, profile

SEED: Final = 4
ROUNDS: Final = 10
ROUND_S: Final = 0.9
SPREAD_S: Final = 0.4
OF_EACH: Final = 120
LOSSES: Final = 4_000
STREAM: Final = 150
LIMITED: Final = 50
UPLOAD: Final = 300_000
FLOOD: Final = 2 * RING_OCTETS // 2_048
"""Frames, twice as many as a ring has slots for frames of up to 1,500 octets."""

NEAR, FAR, LOSSY, SLOW, TCP_LOSSY, PERFECT = range(6)
PROFILES: Final = (
    profile(latency="200 ms", jitter="60 ms", distribution="normal"),
    profile(latency="400 ms", jitter="120 ms", distribution="normal"),
    profile(loss="10 %"),
    profile(packet_rate={"per_second": 15, "burst": 5, "burst_other": 1}),
    profile(latency="20 ms", loss="5 %"),
    profile(),
)
CATEGORY: Final = np.array(
    [NEAR] * OF_EACH + [FAR] * OF_EACH + [LOSSY, SLOW, TCP_LOSSY, PERFECT, PERFECT], dtype=np.uint8
)
LOSSY_ONE, SLOW_ONE, TCP_ONE, PERFECT_ONE, PERFECT_TWO = range(2 * OF_EACH, 2 * OF_EACH + 5)

_MARK: Final = struct.Struct("=Iq")
_TOTAL_RETRANSMISSIONS: Final = 100
"""Offset of tcpi_total_retrans in struct tcp_info."""
_TIMESTAMPS: Final = 35
"""SO_TIMESTAMPNS: the kernel notes when a packet arrived, on the real-time clock."""


class Sides:
    """Makes sockets on both sides of a lab."""

    def __init__(self, lab: PacketLab) -> None:
        self.lab = lab
        self._fleet = Namespace(os.open(lab.fleet_namespace, os.O_RDONLY))

    def fleet(self, number: int, kind: int = socket.SOCK_DGRAM) -> socket.socket:
        with self._fleet.entered():
            made = socket.socket(socket.AF_INET, kind)
        made.setblocking(False)
        made.bind((self.lab.addresses.address(number), 0))
        return made

    def raw(self) -> socket.socket:
        with self._fleet.entered():
            made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            made.bind(("lab", 0))
        return made

    def listen(self, kind: int = socket.SOCK_DGRAM) -> socket.socket:
        made = socket.socket(socket.AF_INET, kind)
        made.setblocking(False)
        made.bind((HEAD_END_ADDRESS, 0))
        if kind == socket.SOCK_STREAM:
            made.listen(500)
        else:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            made.setsockopt(socket.SOL_SOCKET, _TIMESTAMPS, 1)
        return made


class Received:
    """Packets of one listening socket: mark, when sent, when arrived, in order of arrival."""

    def __init__(self, sides: Sides) -> None:
        self._socket = trio.socket.from_stdlib_socket(sides.listen())
        self.target = self._socket.getsockname()
        self.packets: list[tuple[int, int, int]] = []

    async def run(self) -> None:
        while True:
            data, ancillary, _, _ = await self._socket.recvmsg(4096, 256)
            seconds, nanoseconds = struct.unpack("=qq", ancillary[0][2])
            arrived_ns = seconds * 1_000_000_000 + nanoseconds
            self.packets.append((*_MARK.unpack(data[: _MARK.size]), arrived_ns))

    async def quiet(self, seconds: float) -> None:
        """Wait until nothing has come for so long."""
        count = -1
        while count != len(self.packets):
            count = len(self.packets)
            await trio.sleep(seconds)


def send(source: socket.socket, target: tuple[str, int], mark: int, octets: int = 60) -> None:
    source.sendto(_MARK.pack(mark, time.time_ns()).ljust(octets, b"\x00"), target)


async def measure_delays(sides: Sides, received: Received) -> dict[str, Any]:
    """One packet of every concentrator at a time, so that none waits for another."""
    sources = [sides.fleet(number) for number in range(2 * OF_EACH)]
    begun = trio.current_time()
    for at in range(ROUNDS):
        for number, source in enumerate(sources):
            await trio.sleep_until(begun + at * ROUND_S + SPREAD_S * number / len(sources))
            send(source, received.target, number)
    await received.quiet(1.0)
    delays = [
        [(at - sent) / 1e9 for number, sent, at in received.packets if CATEGORY[number] == one]
        for one in (NEAR, FAR)
    ]
    return {"delays_s": delays}


async def measure_losses(sides: Sides, received: Received) -> dict[str, Any]:
    source = sides.fleet(LOSSY_ONE)
    for mark in range(LOSSES):
        send(source, received.target, mark)
        if mark % 20 == 0:
            await trio.sleep(0.004)
    await received.quiet(0.5)
    kept = {mark for mark, _, _ in received.packets}
    return {"sent": LOSSES, "lost": sorted(set(range(LOSSES)) - kept)}


async def measure_order(sides: Sides, received: Received) -> dict[str, Any]:
    """Packets closer to each other than their delays differ."""
    source = sides.fleet(0)
    for mark in range(STREAM):
        send(source, received.target, mark)
        await trio.sleep(0.01)
    await received.quiet(1.0)
    return {"marks": [mark for mark, _, _ in received.packets]}


async def measure_rate(sides: Sides, received: Received) -> dict[str, Any]:
    source = sides.fleet(SLOW_ONE)
    for mark in range(LIMITED):
        send(source, received.target, mark)
    while len(received.packets) < LIMITED:
        await received.quiet(0.5)
    return {"arrived_s": [at / 1e9 for _, _, at in received.packets]}


async def measure_tcp(sides: Sides, _: Received) -> dict[str, Any]:
    """Upload over a link that loses packets, and what TCP did about it."""
    listener = trio.socket.from_stdlib_socket(sides.listen(socket.SOCK_STREAM))
    dialler = trio.socket.from_stdlib_socket(sides.fleet(TCP_ONE, socket.SOCK_STREAM))
    sent = np.random.default_rng(1).bytes(UPLOAD)
    arrived = bytearray()

    async def receive() -> None:
        accepted, _ = await listener.accept()
        while octets := await accepted.recv(65_536):
            arrived.extend(octets)
        await accepted.send(b"!")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await dialler.connect(listener.getsockname())
        await trio.SocketStream(dialler).send_all(sent)
        dialler.shutdown(socket.SHUT_WR)
        await dialler.recv(1)
    info = dialler.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
    (retransmitted,) = struct.unpack_from("=I", info, _TOTAL_RETRANSMISSIONS)
    counters = await sides.lab.counters()
    lost = counters.links[TCP_LOSSY, "up"].lost
    return {"intact": bytes(arrived) == sent, "retransmitted": retransmitted, "lost": lost}


async def measure_changes(sides: Sides, received: Received) -> dict[str, Any]:
    """An outage of one of two concentrators, and back."""
    sources = [sides.fleet(number) for number in (PERFECT_ONE, PERFECT_TWO)]
    steps: tuple[tuple[str, Sequence[int] | None], ...] = (
        ("0 %", None),
        ("100 %", [PERFECT_TWO]),
        ("100 %", None),
        ("0 %", None),
    )
    for at, (loss, numbers) in enumerate(steps):
        await sides.lab.change(PERFECT, profile(loss=loss), numbers)
        for which, source in enumerate(sources):
            send(source, received.target, 10 * at + which)
        await received.quiet(0.1)
    refused = ""
    try:
        await sides.lab.change(len(PROFILES), profile())
    except LabError as error:
        refused = error.reason
    return {"marks": [mark for mark, _, _ in received.packets], "refused": refused}


async def measure_odd_frames(sides: Sides, received: Received) -> dict[str, Any]:
    """Fragments arrive whole; what is no IPv4 packet harms nobody."""
    source = sides.fleet(LOSSY_ONE + 3)
    raw = sides.raw()
    broken = frame(sides.lab.addresses.address(0), HEAD_END_ADDRESS)
    for octets in (
        b"\xff" * 12 + b"\x08\x06" + b"\x00" * 28,
        b"\xff" * 12 + b"\x86\xdd" + b"\x60" * 60,
        b"\xff" * 12 + b"\x08\x00" + b"\x45" * 6,
        broken[:40],
        broken[:14] + b"\x4f" + broken[15:],
        broken[:26] + b"\x0a\xfe\x00\x01" + broken[30:],
        b"\x00" * 14,
    ):
        raw.send(octets)
    send(source, received.target, 7, octets=3_000)
    await received.quiet(0.2)
    counters = await sides.lab.counters()
    return {
        "marks": [mark for mark, _, _ in received.packets],
        "unclassified": counters.unclassified,
    }


async def measure_many(sides: Sides, _: Received) -> dict[str, Any]:
    """Every concentrator of two classes at once: connect, send, have it back."""
    listener = trio.SocketListener(trio.socket.from_stdlib_socket(sides.listen(socket.SOCK_STREAM)))
    answered = 0

    async def echo(stream: trio.SocketStream) -> None:
        async for octets in stream:
            await stream.send_all(octets)

    async def ask(number: int) -> None:
        nonlocal answered
        dialler = trio.socket.from_stdlib_socket(sides.fleet(number, socket.SOCK_STREAM))
        await dialler.connect(listener.socket.getsockname())
        async with trio.SocketStream(dialler) as stream:
            await stream.send_all(struct.pack("=I", number) * 100)
            back = b""
            while len(back) < 400:
                back += await stream.receive_some()
            answered += back == struct.pack("=I", number) * 100

    async with trio.open_nursery() as service:
        service.start_soon(trio.serve_listeners, echo, [listener])
        async with trio.open_nursery() as nursery:
            for number in range(2 * OF_EACH):
                nursery.start_soon(ask, number)
        service.cancel_scope.cancel()
    return {"asked": 2 * OF_EACH, "answered": answered}


Measurement = Callable[[Sides, Received], Awaitable[dict[str, Any]]]


async def measure(order: str, *measurements: Measurement) -> dict[str, Any]:
    """Open a lab, do ``measurements`` at the same time, and return what each found."""
    found: dict[str, Any] = {}

    async def one(measurement: Measurement, sides: Sides) -> None:
        received = Received(sides)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(received.run)
            found[measurement.__name__] = await measurement(sides, received)
            nursery.cancel_scope.cancel()

    options = LinkOptions.model_validate({"order": order})
    async with open_packet_lab(LabPlan(PROFILES, CATEGORY, options, SEED)) as lab:
        sides = Sides(lab)
        async with trio.open_nursery() as nursery:
            for measurement in measurements:
                nursery.start_soon(one, measurement, sides)
        counters = await lab.counters()
        found["notes"] = list(lab.notes)
        found["faults"] = dict(counters.faults)
        found["listening"] = sorted(counters.listening)
        found["tracking"] = {side: one.dropped for side, one in counters.tracking.items()}
        found["lossy"] = asdict(counters.links[LOSSY, "up"])
    found["left"] = remains()
    return found


def remains() -> list[str]:
    """Return what a closed lab has left behind: interfaces and processes."""
    with Namespace.current() as here, netlink(here) as socket_:
        names = [str(link.get_attr("IFLA_IFNAME")) for link in socket_.get_links()]
        names += abandoned(here)
    return sorted(set(names) - {"lo"}) + [str(one) for one in psutil.Process().children()]


def tell(found: Any) -> None:
    """Print ``found`` as a line."""
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


async def measure_in_order() -> dict[str, Any]:
    return await measure(
        "link",
        measure_delays,
        measure_losses,
        measure_rate,
        measure_tcp,
        measure_changes,
        measure_odd_frames,
    )


async def measure_again() -> dict[str, Any]:
    """The same seed and the same packets in another lab, and every concentrator at once."""
    return await measure("link", measure_losses, measure_order, measure_many)


async def measure_netem() -> dict[str, Any]:
    return await measure("netem", measure_order)


async def lose_emulator() -> dict[str, Any]:
    """Kill the emulator and say how the lab puts it."""
    plan = LabPlan(PROFILES, CATEGORY, LinkOptions(), SEED)
    reasons: list[str] = []
    async with open_packet_lab(plan) as lab:
        psutil.Process().children()[0].kill()
        for _ in range(2):
            try:
                await lab.counters()
            except LabError as error:
                reasons.append(error.reason)
    return {"reasons": reasons, "left": remains()}


async def stall_emulator() -> dict[str, Any]:
    """Send more than a ring holds while the emulator stands still, and say what it counts."""
    plan = LabPlan(PROFILES, CATEGORY, LinkOptions(), SEED)
    async with open_packet_lab(plan) as lab:
        sides = Sides(lab)
        received = Received(sides)
        (emulator,) = psutil.Process().children()
        before = await lab.counters()
        with sides.fleet(PERFECT_ONE) as source:
            emulator.suspend()
            try:
                for mark in range(FLOOD):
                    send(source, received.target, mark)
            finally:
                emulator.resume()
            after = await lab.counters()
    return {"before": dict(before.faults), "after": dict(after.faults), "left": remains()}


async def open_two() -> dict[str, Any]:
    """Open a lab beside another, and say how that is refused."""
    plan, refused = LabPlan(PROFILES, CATEGORY, LinkOptions(), SEED), []
    async with open_packet_lab(plan) as lab:
        try:
            async with open_packet_lab(plan):
                pass
        except LabError as error:
            refused += [error.reason, error.mend]
        counters = await lab.counters()
    return {"refused": refused, "faults": dict(counters.faults), "owner": os.getpid()}


async def hold() -> dict[str, Any]:
    """Hold a lab open until this process is killed."""
    async with open_packet_lab(LabPlan(PROFILES, CATEGORY, LinkOptions(), SEED)):
        tell([child.pid for child in psutil.Process().children()])
        await trio.sleep_forever()
    raise AssertionError


if __name__ == "__main__":
    tell(trio.run(globals()[sys.argv[1]]))
