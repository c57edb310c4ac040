"""When the sources must be read: lazily, for a question, or actively, all the time.

Theory. A snapshot may be at most ``max_staleness_ms`` old. Lazily, a source is read when somebody
asks and its reading is older. Actively, each source is read again when two thirds of that time have
passed, so that the new reading is there before the old one gets too old, and no answer waits. The
service does the reading and tells what became of it; here it is only decided what must be read now.
A source that is being read is not asked for twice.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

AGAIN_AFTER: Final = (2, 3)
"""The part of the staleness after which a reading is followed by the next, in active mode."""


class RefreshMode(Enum):
    """Who causes a reading."""

    LAZY = "lazy"
    ACTIVE = "active"


@dataclass(frozen=True, slots=True)
class RefreshRules:
    """How fresh readings are to be; milliseconds of the scenario clock, at least 1."""

    mode: RefreshMode = RefreshMode.LAZY
    max_staleness_ms: int = 1_000


@dataclass(slots=True)
class _Source:
    read_ms: int | None = None
    reading: bool = False
    due_ms: int = 0


class Refresher:
    """Decides which sources to read; give it the sources, ask it, tell it what became of them."""

    def __init__(self, rules: RefreshRules) -> None:
        self.rules = rules
        self._sources: dict[str, _Source] = {}
        self._agenda: list[tuple[int, str]] = []

    def add(self, name: str, at_ms: int) -> None:
        """Take a source; in active mode it is due at once."""
        self._sources[name] = _Source()
        self._plan(name, at_ms)

    def remove(self, name: str) -> None:
        """Forget a source."""
        del self._sources[name]

    def started(self, name: str) -> None:
        """Note that a reading is under way."""
        self._sources[name].reading = True

    def arrived(self, name: str, read_ms: int, at_ms: int | None = None) -> None:
        """Note a reading that was taken at ``read_ms`` and came at ``at_ms`` (at once if None).

        One that was old when it came is not followed by the next at once: a slow line would
        be asked all the time.
        """
        source = self._sources[name]
        source.reading, source.read_ms = False, read_ms
        at_ms = read_ms if at_ms is None else at_ms
        part, whole = AGAIN_AFTER
        wait_ms = max(1, self.rules.max_staleness_ms * part // whole)
        self._plan(name, max(read_ms + wait_ms, at_ms + (wait_ms + 1) // 2))

    def failed(self, name: str, at_ms: int) -> None:
        """Note that a reading brought nothing; the next try is one staleness later."""
        self._sources[name].reading = False
        self._plan(name, at_ms + self.rules.max_staleness_ms)

    def stale(self, names: Iterable[str], at_ms: int) -> list[str]:
        """Return which of ``names`` an answer at ``at_ms`` has to wait for, either mode.

        Those that are being read are among them, so that one can wait for them: `must_read` says
        which still have to be asked.
        """
        oldest_ms = at_ms - self.rules.max_staleness_ms
        return [name for name in names if self._older(name, oldest_ms)]

    def must_read(self, names: Iterable[str], at_ms: int) -> list[str]:
        """Return which of ``names`` must be read now for an answer, those under way left out."""
        return [name for name in self.stale(names, at_ms) if not self._sources[name].reading]

    def due(self, at_ms: int) -> list[str]:
        """Return the sources to be read now in active mode, each once until it is told of."""
        names = []
        while self._agenda and self._agenda[0][0] <= at_ms:
            due_ms, name = heapq.heappop(self._agenda)
            if self._is_current(due_ms, name) and not self._sources[name].reading:
                names.append(name)
        return names

    def next_due_ms(self) -> int | None:
        """Return when `due` has something to say; None in lazy mode or without sources."""
        while self._agenda and not self._is_current(*self._agenda[0]):
            heapq.heappop(self._agenda)
        return self._agenda[0][0] if self._agenda else None

    def _older(self, name: str, oldest_ms: int) -> bool:
        read_ms = self._sources[name].read_ms
        return read_ms is None or read_ms < oldest_ms

    def _is_current(self, due_ms: int, name: str) -> bool:
        return name in self._sources and self._sources[name].due_ms == due_ms

    def _plan(self, name: str, due_ms: int) -> None:
        if self.rules.mode is RefreshMode.ACTIVE:
            self._sources[name].due_ms = due_ms
            heapq.heappush(self._agenda, (due_ms, name))
