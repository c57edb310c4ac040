"""What a message of a capture says, whatever its protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from protocols.pcapng import Packet
from protocols.readings import ReadingBatch

HIDDEN: Final = "(not shown)"
"""In place of a password or key."""


@dataclass(frozen=True, slots=True)
class CarriedReading:
    """One reading that a message carries: the meter's device name, POSIX seconds, registers."""

    meter: str
    captured_at_s: int
    status: int
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Decoded:
    """One message.

    ``layers`` tell it in words, from the outermost one in. ``node`` is the device that said or is
    told it, where that is not the concentrator. ``is_answer``: it answers a request. ``problem``
    says why it could not be read to its end, if it could not.
    """

    layers: tuple[str, ...]
    readings: tuple[CarriedReading, ...] = ()
    node: str = ""
    is_answer: bool = False
    problem: str = ""

    @property
    def what(self) -> str:
        """The innermost layer: what the message is about."""
        return self.layers[-1] if self.layers else ""


@dataclass(frozen=True, slots=True)
class Captured:
    """One message of a capture.

    ``frame`` is its number in ``file``, as Wireshark counts; ``up`` whether the concentrator said
    it.
    """

    file: str
    frame: int
    packet: Packet
    concentrator: int
    up: bool

    @property
    def connection(self) -> tuple[tuple[str, int], tuple[str, int]]:
        """The two ends, the concentrator's first."""
        ends = self.packet.source, self.packet.destination
        return ends if self.up else (ends[1], ends[0])


class Decoder(Protocol):
    """Reads the messages of one protocol, in the order in which they were captured."""

    def decode(self, message: Captured) -> Decoded:
        """Return what a message says. Never raises for what it holds."""


def carried(batch: ReadingBatch) -> tuple[CarriedReading, ...]:
    """Return the readings of a batch, one by one."""
    return tuple(
        CarriedReading(name.decode("ascii", "replace"), at_s, status, tuple(values))
        for name, at_s, status, values in zip(
            batch.meter_ids.tolist(),
            batch.captured_at_s.tolist(),
            batch.status.tolist(),
            batch.values.tolist(),
            strict=True,
        )
    )


def counted(readings: Sequence[CarriedReading]) -> str:
    """Return how many readings there are, of how many meters, in words."""
    meters = len({reading.meter for reading in readings})
    return f"{len(readings)} reading{'s' * (len(readings) != 1)} of {meters} meter" + "s" * (
        meters != 1
    )
