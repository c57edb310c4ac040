"""What the two worlds of a session offer it: a device's model, counters, a head-end's nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from protocols.plugin.values import Command, Execution, MeterState, RegisterDescription
from protocols.readings import ReadingBatch


class Counters(Protocol):
    """Invocation counters that outlive a connection."""

    def next(self) -> int:
        """Return the counter to send under, greater than every one before."""

    def last_accepted(self, peer: bytes) -> int | None:
        """Return the last counter accepted from the system title ``peer``."""

    def accept(self, peer: bytes, counter: int) -> None:
        """Remember that ``counter`` was accepted from ``peer``."""

    def stamp(self, peer: bytes) -> int:
        """Return a number for ``peer`` that was never returned for it before: POSIX seconds.

        The second it is (UTC), or one more than last time where that is later. What C12.22 wants
        of an initialization vector.
        """


class ConcentratorModel(Protocol):
    """The emulated concentrator behind a session: its meters, clock, buffer and switches.

    Meters are numbered from 0 within the concentrator.
    """

    @property
    def name(self) -> bytes:
        """Its logical device name."""

    @property
    def system_title(self) -> bytes:
        """Its system title, 8 octets."""

    @property
    def registers(self) -> Sequence[RegisterDescription]:
        """The registers of its capture profile, in order."""

    @property
    def capture_period_s(self) -> int:
        """Seconds between two captures."""

    @property
    def meter_names(self) -> NDArray[np.bytes_]:
        """Logical device names of its meters, dtype S16, in order."""

    def clock_s(self) -> float:
        """Return its clock, POSIX seconds (UTC)."""

    def buffer(self, from_s: int, to_s: int, meters: range | None = None) -> ReadingBatch:
        """Return what its interval buffer holds for capture times in [from_s, to_s].

        Ordered by capture time, then meter; of ``meters`` only, where given.
        """

    def buffer_span(self) -> tuple[int, int]:
        """Return oldest and newest capture time that the buffer can hold now, POSIX seconds."""

    def handed_over(self, readings: ReadingBatch) -> None:
        """Be told that these readings of `buffer` are being handed to the link."""

    def is_connected(self, meter: int, segment: int) -> bool:
        """Tell whether a meter's breaker (segment 0) or consumption segment is closed."""

    def active_rate(self, meter: int) -> int:
        """Return the tariff rate that a meter counts in now."""

    def meter_clock_s(self, meter: int) -> float:
        """Return a meter's clock, POSIX seconds (UTC)."""

    def execute(self, meter: int, command: Command, counter: int) -> bool:
        """Carry out a command, once, and log it; False where it makes no sense for the meter."""

    def control_log(self, meter: int) -> Sequence[Execution]:
        """Return a meter's control log, oldest first."""

    def meter_state(self, meter: int) -> MeterState:
        """Return what a meter remembers; changing it changes the meter."""


class NodeTable(Protocol):
    """The registration table of a head-end, which outlives connections and deaths."""

    def is_registered(self, title: bytes) -> bool:
        """Tell whether the node called ``title`` is registered now."""

    def admits(self, count: int) -> int:
        """Return how many of ``count`` more registrations are taken now, and count these."""

    def address_of(self, title: bytes) -> bytes | None:
        """Return the native address through which a registered node is reached."""
