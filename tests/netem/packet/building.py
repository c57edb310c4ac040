"""Frames to send through the emulator, and schedulers to send them through."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from ipaddress import IPv4Address
from typing import Any

import numpy as np

from netem.addresses import HEAD_END_ADDRESS, AddressPlan
from netem.lab import Direction
from netem.packet.scheduler import Bounds, Scheduler
from netem.profiles import LinkOptions, LinkProfile

TCP, UDP, ICMP = 6, 17, 1
MS = 1_000_000


def frame(
    source: str,
    target: str,
    *,
    protocol: int = UDP,
    ports: tuple[int, int] = (1000, 4059),
    octets: int = 100,
    mark: int = 0,
    fragment: int = 0,
) -> bytes:
    """Return an Ethernet frame whose IPv4 packet has ``octets`` and ends in ``mark``."""
    # 45 00 length, identification, flags and fragment offset, time to live, protocol, checksum
    header = struct.pack(">BBHHHBBH", 0x45, 0, octets, 0, fragment, 64, protocol, 0)
    header += IPv4Address(source).packed + IPv4Address(target).packed
    body = struct.pack(">HH", *ports).ljust(octets - 28, b"\x00") + struct.pack(">Q", mark)
    return b"\x02" * 6 + b"\x03" * 6 + b"\x08\x00" + header + body


def mark_of(sent: bytes) -> int:
    """Return the mark that `frame` gave."""
    return int(struct.unpack(">Q", sent[-8:])[0])


def profile(**both: Any) -> LinkProfile:
    """Return a profile of the same figures each way."""
    return LinkProfile.model_validate(
        {"name": "test", "description": "test", "sources": (), "up": both, "down": both}
    )


class Links:
    """A scheduler under a clock moved by hand, and who has which address."""

    def __init__(
        self,
        profiles: Sequence[LinkProfile],
        categories: Sequence[int] = (0,),
        *,
        direction: Direction = "up",
        order: str = "link",
        limit: str = "shape",
        seed: int = 1,
        bounds: Bounds | None = None,
    ) -> None:
        self.plan = AddressPlan(np.array(categories, dtype=np.uint8))
        packed = self.plan.packed.astype(">u4").tobytes()
        numbers = {packed[4 * n : 4 * n + 4]: n for n in range(len(categories))}
        options = LinkOptions.model_validate({"order": order, "limit": limit})
        self.direction = direction
        self._released: list[tuple[int, int]] = []
        self.scheduler = Scheduler(direction, profiles, categories, numbers, options, seed, bounds)

    def frame(self, number: int = 0, **figures: Any) -> bytes:
        """Return a frame of concentrator ``number`` in the scheduler's direction."""
        ends = (self.plan.address(number), HEAD_END_ADDRESS)
        return frame(*(ends if self.direction == "up" else ends[::-1]), **figures)

    def send(self, at_ns: int, number: int = 0, **figures: Any) -> None:
        self._run(at_ns)
        self.scheduler.arrive(at_ns, self.frame(number, **figures))

    def releases(self) -> list[tuple[int, int]]:
        """Let everything come out; return time and mark of each since the last call, in order."""
        self._run(None)
        released, self._released = self._released, []
        return released

    def _run(self, until_ns: int | None) -> None:
        while (due_ns := self.scheduler.due_ns) is not None:
            if until_ns is not None and due_ns > until_ns:
                break
            self._released += [(due_ns, mark_of(one)) for one in self.scheduler.take(due_ns)]
