"""A lab whose links are emulated by a process of our own: no root, and any kernel."""

from __future__ import annotations

import socket
import subprocess
import sys
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import numpy as np
import trio

from netem.addresses import HEAD_END_ADDRESS, AddressPlan
from netem.lab import (
    FAULTS,
    ConnectionTracking,
    Direction,
    DirectionCounters,
    LabCounters,
    LabPlan,
    ListenDrops,
)
from netem.namespace_counters import connection_tracking, listen_drops
from netem.namespaces import Namespace
from netem.packet.cabling import Cabling, lay_cables
from netem.packet.client import EmulatorClient
from netem.packet.control import Change, Count, Setup
from netem.profiles import LinkProfile

_DIRECTIONS: Final[tuple[Direction, ...]] = ("up", "down")
_LATE_NS: Final = 50_000_000
"""A frame that is sent later than this after it was due is worth a note."""
_END_S: Final = 5.0
"""How long the emulator's process may take to end."""


class PacketLab:
    """An open lab of the packet tier; see `netem.lab.Lab`."""

    def __init__(self, plan: LabPlan, cabling: Cabling, client: EmulatorClient) -> None:
        self._fleet = cabling.fleet
        self._client = client
        self.head_end_address = HEAD_END_ADDRESS
        self.fleet_namespace = cabling.fleet.path
        self.addresses = AddressPlan(plan.category)
        self.notes: Sequence[str] = ()
        """As of the last `counters`: how late the emulator was where that is worth a word."""

    async def change(
        self, category: int, profile: LinkProfile, numbers: Sequence[int] | None = None
    ) -> None:
        """Let a link class, or these concentrators of it, behave as ``profile`` from now on.

        Packets whose delay is drawn arrive as drawn. A change that was begun is made even where
        the caller is cancelled.

        Raises:
            LabError: no such class or concentrator in it, or the emulator has ended.
        """
        chosen = None if numbers is None else tuple(int(number) for number in numbers)
        await self._client.ask(
            lambda number: Change(id=number, category=category, profile=profile, numbers=chosen)
        )

    async def counters(self) -> LabCounters:
        """Return what has been counted so far.

        Raises:
            LabError: the emulator has ended.
        """
        counted = await self._client.ask(lambda number: Count(id=number))
        self.notes = tuple(_notes(counted))
        sides = await trio.to_thread.run_sync(_count_sides, self._fleet)
        return _counters(counted, *sides)


@asynccontextmanager
async def open_packet_lab(plan: LabPlan) -> AsyncIterator[PacketLab]:
    """Open a lab of the packet tier for the length of an ``async with``.

    Its process, namespaces and interfaces end with the block, and with this process, however that
    ends. Cancellation closes the lab at once; what is under way on its links is gone.

    Raises:
        LabError: this process may not have namespaces (see `netem.namespaces.become_capable`), or
            the emulator did not start. One that ends before its time fails what is asked of the
            lab from then on.
    """
    cabling = await trio.to_thread.run_sync(lay_cables, plan)
    try:
        async with _emulator(cabling) as client:
            await client.set_up(_setup(plan))
            yield PacketLab(plan, cabling, client)
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(cabling.close)


@asynccontextmanager
async def _emulator(cabling: Cabling) -> AsyncIterator[EmulatorClient]:
    ours, theirs = socket.socketpair()
    client = EmulatorClient(trio.SocketStream(trio.socket.from_stdlib_socket(ours)))
    with theirs:
        descriptors = [one.fileno() for one in (theirs, cabling.to_fleet, cabling.to_head_end)]
        command = [sys.executable, "-m", "netem.packet", *map(str, descriptors)]
        process = await trio.lowlevel.open_process(
            command, stdin=subprocess.DEVNULL, pass_fds=descriptors
        )
    try:
        yield client
    finally:
        await _end(process, client)


async def _end(process: trio.Process, client: EmulatorClient) -> None:
    with trio.CancelScope(shield=True, deadline=trio.current_time() + _END_S):
        await client.aclose()
        await process.wait()
    if process.returncode is None:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


def _setup(plan: LabPlan) -> Setup:
    return Setup.model_validate(
        {
            "profiles": plan.profiles,
            "category": b64encode(np.asarray(plan.category, dtype=np.uint8).tobytes()),
            "options": plan.options,
            "seed": plan.seed,
        }
    )


def _count_sides(
    fleet: Namespace,
) -> tuple[dict[str, ConnectionTracking], dict[str, ListenDrops]]:
    """Return connection tracking and full accept queues of the thread's side and of the other."""
    tracking: dict[str, ConnectionTracking] = {}
    listening: dict[str, ListenDrops] = {}
    with Namespace.current() as here:
        for side, namespace in (("head-end", here), ("fleet", fleet)):
            with namespace.entered():
                listening[side] = listen_drops()
                found = connection_tracking()
                if found is not None:
                    tracking[side] = found
    return tracking, listening


def _counters(
    counted: dict[str, Any],
    tracking: dict[str, ConnectionTracking],
    listening: dict[str, ListenDrops],
) -> LabCounters:
    links = {
        (category, direction): DirectionCounters(**one)
        for direction in _DIRECTIONS
        for category, one in enumerate(counted[direction]["classes"])
    }
    unclassified = sum(counted[direction]["unclassified"] for direction in _DIRECTIONS)
    faults = {name: sum(counted[direction][name] for direction in _DIRECTIONS) for name in FAULTS}
    return LabCounters(links, unclassified, tracking, listening, faults)


def _notes(counted: dict[str, Any]) -> Iterator[str]:
    late_ns = max(counted[direction]["late_most_ns"] for direction in _DIRECTIONS)
    if late_ns > _LATE_NS:
        yield f"packet emulator: it was up to {late_ns / 1e6:.0f} ms late"
