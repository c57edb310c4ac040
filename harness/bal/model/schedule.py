"""Set points over time: a standing one, and windows that take its place while they last.

A later event wins in its own window: what was there before keeps the time before and after it. A
set point given at once stands until further notice: it ends the window that is running, later
windows still take their turn, and after each the standing set point holds again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import Final, NamedTuple

from harness.bal.errors import ScheduleError

WINDOWS_MAX: Final = 10_000
"""Windows that one battery remembers; more are refused."""


class Window(NamedTuple):
    """From ``start_ms`` up to ``end_ms`` the set point is ``current_ma``."""

    start_ms: int
    end_ms: int
    current_ma: int


class Schedule:
    """What one battery is wanted to do, now and later."""

    __slots__ = ("_battery", "_windows", "standing_ma")

    def __init__(self, battery: str, standing_ma: int = 0, windows: Iterable[Window] = ()) -> None:
        self._battery = battery
        self.standing_ma = standing_ma
        self._windows = list(windows)

    @property
    def windows(self) -> tuple[Window, ...]:
        """The windows in order of time; no two overlap."""
        return tuple(self._windows)

    def wanted_ma(self, at_ms: int) -> int:
        """Return the set point that holds at a moment."""
        index = bisect_right(self._windows, at_ms, key=lambda window: window.start_ms) - 1
        if index >= 0 and at_ms < self._windows[index].end_ms:
            return self._windows[index].current_ma
        return self.standing_ma

    def next_change_ms(self, at_ms: int) -> int | None:
        """Return the first moment after ``at_ms`` at which a window starts or ends, or None."""
        moments = [moment for window in self._windows for moment in window[:2] if moment > at_ms]
        return min(moments, default=None)

    def stand(self, current_ma: int, at_ms: int) -> None:
        """Take a set point from ``at_ms`` until further notice."""
        self._windows = [
            window._replace(end_ms=at_ms) if window.start_ms < at_ms else window
            for window in self._windows
            if window.end_ms > at_ms and window.start_ms != at_ms
        ]
        self.drop_past(at_ms)
        self.standing_ma = current_ma

    def add(self, window: Window, at_ms: int) -> None:
        """Take a later event: it wins from its start to its end.

        Raises:
            ScheduleError: it starts before ``at_ms``, it is empty, or there are too many.
        """
        self._check(window, at_ms)
        self.drop_past(at_ms)
        pieces = [window]
        for other in self._windows:
            before = other._replace(end_ms=min(other.end_ms, window.start_ms))
            after = other._replace(start_ms=max(other.start_ms, window.end_ms))
            pieces += [piece for piece in (before, after) if piece.start_ms < piece.end_ms]
        self._windows = sorted(pieces)

    def drop_past(self, at_ms: int) -> None:
        """Forget the windows that are over."""
        self._windows = [window for window in self._windows if window.end_ms > at_ms]

    def _check(self, window: Window, at_ms: int) -> None:
        if window.start_ms < at_ms:
            raise ScheduleError(
                self._battery,
                f"a set point from {window.start_ms} ms lies in the past",
                mend=f"let it start at {at_ms} ms or later",
            )
        if window.end_ms <= window.start_ms:
            raise ScheduleError(
                self._battery,
                f"a set point from {window.start_ms} to {window.end_ms} ms has no duration",
                mend="let it end after its start",
            )
        if len(self._windows) >= WINDOWS_MAX:
            raise ScheduleError(
                self._battery,
                f"{WINDOWS_MAX} windows are scheduled already",
                mend="schedule more when some of them are over",
            )
