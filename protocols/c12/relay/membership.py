"""Where a node stands with its master relay: registered until when, or to try again when.

States follow from three times. A node registers anew at about four fifths of its period; a refused
one tries again after a delay that doubles each time. Which part of the delay it is follows from a
hash of its title: many nodes refused together do not come back together.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final

RENEW_AFTER: Final = 0.75
RENEW_SPREAD: Final = 0.1
"""A registration is renewed after 75 % to 85 % of its period."""
DELAY_MIN_S: Final = 1.0
DELAY_MAX_S: Final = 15.0
"""Before the first new attempt, and bound; half of each is drawn."""


@dataclass(slots=True)
class Membership:
    """One node's registration; times are seconds of the caller's clock.

    ``until``: registered before then, 0 for never. ``due_at``: when to register, anew or again.
    ``attempt``: how often in a row it was refused. ``under_way``: asked, and not yet answered.
    """

    until: float = 0.0
    due_at: float = 0.0
    attempt: int = 0
    under_way: bool = False

    def is_registered(self, now: float) -> bool:
        """Tell whether it is registered at ``now``."""
        return now < self.until

    def granted(self, spread_by: bytes, period_s: int, now: float) -> None:
        """Be registered for ``period_s`` from ``now``; titles ``spread_by`` spread the renewal."""
        self.until = now + period_s
        self.due_at = now + period_s * (RENEW_AFTER + RENEW_SPREAD * share(spread_by))
        self.attempt = 0
        self.under_way = False

    def refused(self, title: bytes, now: float) -> None:
        """Be refused, at ``now``: what it was granted before holds on."""
        self.due_at = now + retry_delay_s(title, self.attempt)
        self.attempt += 1
        self.under_way = False

    def expelled(self, now: float) -> None:
        """Learn that the master relay does not know it: register at once."""
        self.until = 0.0
        if not self.attempt:
            self.due_at = min(self.due_at, now)

    def forget(self) -> None:
        """Know nothing any more."""
        self.until = self.due_at = 0.0
        self.attempt = 0
        self.under_way = False


def retry_delay_s(title: bytes, attempt: int) -> float:
    """Return how long the node called ``title`` waits after refusal ``attempt``, from 0."""
    longest_s: float = min(DELAY_MAX_S, DELAY_MIN_S * 2 ** min(attempt, 16))
    return longest_s * (0.5 + share(title + attempt.to_bytes(4, "big")) / 2)


def share(octets: bytes) -> float:
    """Return a number in [0, 1) that follows from ``octets``, the same in every run."""
    return zlib.crc32(octets) / 2**32
