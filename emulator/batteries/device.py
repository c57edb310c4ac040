"""A battery's end of one line: what every interface has in common.

A `BatterySession` is what `emulator.serving` serves (`protocols.plugin.ServedSession`): octets and
time in, octets out. Each interface says how it is asked; this says when a line that nobody uses
ends, and counts what was refused.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from emulator.batteries.battery import Battery

IDLE_S: Final = 900.0
"""Real seconds of silence after which a line ends: a battery has few, and must not lose them to
clients that are gone."""

NowMs: TypeAlias = Callable[[], int]
"""Tells the scenario time, POSIX milliseconds."""


class BatterySession(ABC):
    """One line of a battery; sans-IO but for the scenario clock and the record.

    Args:
        battery: whose line it is; others may have lines to it too.
        now_ms: the scenario clock.
        now: when the line began, trio's clock.
    """

    def __init__(self, battery: Battery, now_ms: NowMs, now: float) -> None:
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
        self.deadline = self._next_deadline()

    def handle_deadline(self, now: float) -> None:
        """Be told the time: a frame that stopped is given up on, a line nobody uses ends."""
        if now >= self._idle_at:
            self.deadline = None
        else:
            self._give_up(now)
            self.deadline = self._next_deadline()

    @abstractmethod
    def receive_eof(self) -> None:
        """Take the end of the client's stream."""

    @abstractmethod
    def data_to_send(self) -> bytes:
        """Return the octets to send now, once."""

    def refusals(self) -> Sequence[str]:
        """Return, once, the causes for which requests were refused since the last call."""
        refusals, self._refusals = self._refusals, []
        return refusals

    def _next_deadline(self) -> float:
        """Return when the line is over, or when something under way is given up on."""
        return self._idle_at

    @abstractmethod
    def _give_up(self, now: float) -> None:
        """Give up on what was to have come by now."""

    @abstractmethod
    def _take(self, data: bytes, now: float) -> None:
        """Answer what has come."""
