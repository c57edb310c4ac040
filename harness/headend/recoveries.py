"""Spans of captures that a head-end is to read again, after a loss of storage: told, kept, bounded.

They are kept in a file beside the store, not in it, because the store is what was lost; and with
them how far back readings were forgotten on purpose, so that nobody fetches those again. A killed
head-end goes on where it was (after a power cut whoever asked asks again).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

import trio

from emulator.atomic import write_json
from harness.store.errors import StoreError

UNFINISHED_MAX: Final = 8
"""Recoveries that wait or are under way, at most; a year's worth of months is more than that."""
ENDED_MAX: Final = 100
"""Recoveries that have ended and are still told, the newest."""
CAPTURES_MAX: Final = 200_000
"""Captures of one recovery, at most: five years of quarter-hours are 175,000."""


@dataclass(slots=True)
class Recovery:
    """One span, and how far it is.

    ``from_s`` and ``to_s`` are its first and its last capture, POSIX seconds. It is gone through in
    ``passes``, so many of which are over; in the one under way, what was captured before ``next_s``
    is done, and ``left`` readings of what comes then were missing when it was kept last (None: it
    was not looked at). Of the readings looked for so far, ``missing`` were not in the store,
    ``read`` of these are back, and ``given_up`` are those that are not when it is over.
    """

    id: int
    from_s: int
    to_s: int
    asked_at_us: int
    next_s: int
    passes: int = 0
    left: int | None = None
    missing: int = 0
    read: int = 0
    given_up: int = 0
    ended_at_us: int | None = None

    @property
    def is_over(self) -> bool:
        """Whether all of it is settled."""
        return self.ended_at_us is not None


class Recoveries:
    """All of them, by the order they were asked for.

    Args:
        first_s: a capture of the rhythm, POSIX seconds.
        step_s: the rhythm.
        file: where they are kept; nowhere when left out.

    Attributes:
        forgotten_before_s: what was captured before then was forgotten on purpose; None: nothing.

    Raises:
        StoreError: the file cannot be read.
    """

    def __init__(self, first_s: int, step_s: int, file: Path | None = None) -> None:
        self._first_s = first_s
        self._step_s = step_s
        self._file = file
        self._asked = trio.Event()
        self._all: list[Recovery] = []
        self.forgotten_before_s: int | None = None
        if file is not None and file.exists():
            self._load(file)

    def ask(self, from_s: int, to_s: int, now_s: float, asked_at_us: int) -> Recovery:
        """Take up the captures in [from_s, to_s) that have happened and were not forgotten.

        The same once more, while it is not over, is the same recovery.

        Raises `ValueError`: there are no such captures, or too many of them, or too many recoveries
        are waiting. `OSError`: it cannot be kept.
        """
        if self.forgotten_before_s is not None:
            from_s = max(from_s, self.forgotten_before_s)
        first = -((self._first_s - from_s) // self._step_s)
        last = (min(to_s, int(now_s) + 1) - 1 - self._first_s) // self._step_s
        if first > last:
            raise ValueError("nothing to recover: no capture in that span has happened and is kept")
        if last - first >= CAPTURES_MAX:
            raise ValueError(f"a recovery takes {CAPTURES_MAX:,} captures: ask for a shorter span")
        begins_s, ends_s = (self._first_s + at * self._step_s for at in (first, last))
        waiting = self.unfinished()
        for one in waiting:
            if (one.from_s, one.to_s) == (begins_s, ends_s):
                return one
        if len(waiting) >= UNFINISHED_MAX:
            raise ValueError(f"{len(waiting)} recoveries are not over: ask again when one is")
        number = self._all[-1].id + 1 if self._all else 1
        asked = Recovery(number, begins_s, ends_s, asked_at_us, next_s=begins_s)
        self._all.append(asked)
        self.keep()
        self._asked.set()
        return asked

    def unfinished(self) -> list[Recovery]:
        """Return those that are not over, the oldest first."""
        return [one for one in self._all if not one.is_over]

    def told(self) -> list[dict[str, Any]]:
        """Return all of them for other processes, the oldest first."""
        return [asdict(one) for one in self._all]

    async def next(self) -> Recovery:
        """Return the oldest that is not over, once there is one."""
        while not (waiting := self.unfinished()):
            self._asked = trio.Event()
            await self._asked.wait()
        return waiting[0]

    def forget(self, before_s: int) -> None:
        """Remember that what was captured before then was forgotten on purpose."""
        self.forgotten_before_s = max(before_s, self.forgotten_before_s or before_s)
        self.keep()

    def keep(self) -> None:
        """Keep how far they are. Raises `OSError`."""
        over = [one for one in self._all if one.is_over][:-ENDED_MAX]
        self._all = [one for one in self._all if one not in over]
        if self._file is not None:
            kept = {"forgotten_before_s": self.forgotten_before_s, "recoveries": self.told()}
            write_json(self._file, kept)

    def _load(self, file: Path) -> None:
        try:
            kept = json.loads(file.read_bytes())
            self._all = [_recovery(line) for line in kept["recoveries"]]
            forgotten = kept["forgotten_before_s"]
            self.forgotten_before_s = None if forgotten is None else int(forgotten)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"its recoveries cannot be read: {error!r}",
                where=str(file),
                mend="move the file away, and ask for what is still to be recovered",
            ) from error


def _recovery(line: dict[str, Any]) -> Recovery:
    known = {item.name: line[item.name] for item in fields(Recovery)}
    left, ended = known.pop("left"), known.pop("ended_at_us")
    return Recovery(
        **{name: int(value) for name, value in known.items()},
        left=None if left is None else int(left),
        ended_at_us=None if ended is None else int(ended),
    )
