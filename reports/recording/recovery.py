"""What `Verdict` says of the times at which concentrators were cut off from their head-end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pydantic import ConfigDict

from reports.recording.times import RunTime

__all__ = ["Recovery"]

_STRICT: Final = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """How readings came through one time at which the timeline cut concentrators off.

    ``fault`` is its name in the events, and ``concentrators`` how many it hit. ``held_back``:
    readings of theirs that the plan without a timeline has in a step that the cut touches, that
    were owed, and that were not in the store when it ended. ``arrived``: those of them that were
    in the end; the last of these was stored at ``last_stored``. ``deferred``: readings that it made
    due after the run only, so that nobody owes them.

    ``lowest`` readings of anybody were stored for the first time in the leanest of the steps that
    it touches, for which the plan without a timeline has ``lowest_planned``; ``highest`` in the
    fullest step from its end to ``last_stored``.

    Of a loss of storage, ``held_back`` are the readings captured before the time that it reached
    back to, of before the run too, that were stored after it or never; ``lowest`` is nothing then.
    """

    __pydantic_config__ = _STRICT

    fault: str
    began: RunTime
    ended: RunTime
    concentrators: int
    held_back: int = 0
    arrived: int = 0
    deferred: int = 0
    last_stored: RunTime | None = None
    lowest: int = 0
    lowest_planned: int = 0
    highest: int = 0

    @property
    def caught_up_s(self) -> float | None:
        """Wall seconds from its end until all it held back was stored; None: some never was."""
        if self.arrived < self.held_back:
            return None
        if self.last_stored is None:
            return 0.0
        return max(0.0, self.last_stored.wall_s - self.ended.wall_s)
