"""A battery's end of one line: what every interface has in common.

A `BatterySession` is what `emulator.serving` serves (`protocols.plugin.ServedSession`): octets and
time in, octets out. Each interface says how it is asked; this says when a line that nobody uses
ends, and counts what was refused.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeVar

from emulator.batteries.battery import Battery

IDLE_S: Final = 900.0
"""Real seconds of silence after which a line ends: a battery has few, and must not lose them to
clients that are gone."""


class Device(Protocol):
    """What the ends of all protocols have in common."""

    @property
    def faults(self) -> Mapping[Any, int]:
        """How often each thing went wrong so far."""

    def receive_eof(self) -> None:
        """The transport is gone."""

    def data_to_send(self) -> bytes:
        """Return octets for the peer, once."""


DeviceT = TypeVar("DeviceT", bound=Device)
NowMs: TypeAlias = Callable[[], int]
"""Tells the scenario time, POSIX milliseconds."""


class BatterySession(ABC, Generic[DeviceT]):
    """One line of a battery; sans-IO but for the scenario clock and the record.

    Args:
        interface: what it speaks, named before what the device refused.
        device: the protocol's end of the line.
        battery: whose line it is; others may have lines to it too.
        now_ms: the scenario clock.
        now: when the line began, trio's clock.
    """

    def __init__(
        self, interface: str, device: DeviceT, battery: Battery, now_ms: NowMs, now: float
    ) -> None:
        self._interface = interface
        self._device = device
        self._counted: Counter[Enum] = Counter()
        self.battery = battery
        self._now_ms = now_ms
        self._idle_at = now + IDLE_S
        self._refusals: list[str] = []
        self.deadline: float | None = self._idle_at
        """When `handle_deadline` wants to be called; ``None``: the line is over."""

    def receive_data(self, data: bytes, *, now: float) -> None:
        """Take octets of the client, in any split."""
        self._idle_at = now + IDLE_S
        self._take(data, now)
        self._count_faults()
        self.deadline = self._next_deadline()

    def handle_deadline(self, now: float) -> None:
        """Be told the time: a frame that stopped is given up on, a line nobody uses ends."""
        if now >= self._idle_at:
            self.deadline = None
        else:
            self._give_up(now)
            self._count_faults()
            self.deadline = self._next_deadline()

    def receive_eof(self) -> None:
        """Take the end of the client's stream; what it cut off is among the refusals."""
        self._device.receive_eof()
        self._count_faults()

    def data_to_send(self) -> bytes:
        """Return the octets to send now, once."""
        return self._device.data_to_send()

    def refusals(self) -> Sequence[str]:
        """Return, once, the causes for which requests were refused since the last call."""
        refusals, self._refusals = self._refusals, []
        return refusals

    def _count_faults(self) -> None:
        """Add what the device refused by itself since the last time."""
        now = Counter[Enum](self._device.faults)
        new = (now - self._counted).elements()
        self._refusals += (f"{self._interface} {fault.name.lower()}" for fault in new)
        self._counted = now

    def _next_deadline(self) -> float:
        """Return when the line is over, or when something under way is given up on."""
        return self._idle_at

    @abstractmethod
    def _give_up(self, now: float) -> None:
        """Give up on what was to have come by now."""

    @abstractmethod
    def _take(self, data: bytes, now: float) -> None:
        """Answer what has come."""
