"""Places at which a test may kill the head-end, to prove that nothing acknowledged is lost.

A hook is armed by configuration with a point and a count: the process sends itself SIGKILL when
it reaches that point for the count-th time. Unarmed, reaching a point costs one comparison.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from enum import Enum


class Point(Enum):
    """Where in the life of a push the head-end stands."""

    RECEIVED = "received"
    BEFORE_COMMIT = "before-commit"
    ROWS_WRITTEN = "rows-written"
    COUNTERS_WRITTEN = "counters-written"
    COMMITTED = "committed"
    BEFORE_ACKNOWLEDGE = "before-acknowledge"
    ACKNOWLEDGED = "acknowledged"


@dataclass(slots=True)
class KillSwitch:
    """Kills the process at ``point``, the ``count``-th time (1 is the first) it is reached."""

    point: Point | None = None
    count: int = 1

    def reach(self, point: Point) -> None:
        """Say that ``point`` is reached; does not return when the switch is armed for it."""
        if point is not self.point:
            return
        self.count -= 1
        if self.count <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
