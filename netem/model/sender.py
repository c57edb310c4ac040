"""What one sending end of a TCP connection remembers: its window and its round-trip estimate."""

from __future__ import annotations

from typing import Final

from netem.model.delay import NANOSECONDS
from netem.model.path import Path

INITIAL_WINDOW: Final = 10
INITIAL_TIMEOUT_NS: Final = NANOSECONDS
MINIMUM_TIMEOUT_NS: Final = NANOSECONDS // 5
MAXIMUM_TIMEOUT_NS: Final = 120 * NANOSECONDS
NEVER: Final = 1 << 62


class SenderState:
    """The state one sending end carries from transfer to transfer."""

    __slots__ = (
        "backward",
        "deviation_ns",
        "earlier_acks",
        "forward",
        "free_ns",
        "largest_ns",
        "last_release_ns",
        "min_rtt_ns",
        "reordering",
        "reordering_seen",
        "reordering_steps",
        "round_ns",
        "segment_octets",
        "segments",
        "slow_start_threshold",
        "srtt_ns",
        "variation_ns",
        "window",
    )

    def __init__(self, forward: Path, backward: Path, segment_octets: int) -> None:
        self.forward = forward
        self.backward = backward
        self.segment_octets = segment_octets
        self.segments = 0
        """Segments sent in this exchange; numbers their draws."""
        self.window = INITIAL_WINDOW
        self.slow_start_threshold = NEVER
        self.srtt_ns = 0
        self.deviation_ns = 0
        """Four mean deviations of the round trip, as all of the next."""
        self.largest_ns = 0
        self.variation_ns = 0
        self.round_ns = 0
        """When this round trip began."""
        self.min_rtt_ns = NEVER
        self.reordering = 3
        """By how many segments an overtaking was seen to go, at least what Linux assumes."""
        self.reordering_seen = False
        self.reordering_steps = 1
        self.free_ns = 0
        """First transmission of the last segment so far: later octets queue behind it."""
        self.last_release_ns = 0
        self.earlier_acks: tuple[int, ...] = ()
        """Arrivals of the acknowledgements of transfers that are still under way."""

    @property
    def timeout_ns(self) -> int:
        """The retransmission timeout: smoothed round trip and four deviations of it."""
        if not self.srtt_ns:
            return INITIAL_TIMEOUT_NS
        return min(self.srtt_ns + self.variation_ns, MAXIMUM_TIMEOUT_NS)

    def sample_round_trip(self, now_ns: int, rtt_ns: int) -> None:
        """Take a measured round trip into the estimate, as Linux varies RFC 6298.

        The variation follows the largest deviation of a round trip up at once and down slowly.
        """
        self.min_rtt_ns = min(self.min_rtt_ns, rtt_ns)
        if not self.srtt_ns:
            self.srtt_ns, self.deviation_ns = rtt_ns, 2 * rtt_ns
            self.variation_ns = self.largest_ns = max(2 * rtt_ns, MINIMUM_TIMEOUT_NS)
            return
        error_ns = rtt_ns - self.srtt_ns
        self.srtt_ns += error_ns // 8
        change_ns = abs(error_ns) - self.deviation_ns // 4
        if error_ns < 0 < change_ns:
            change_ns //= 8
        self.deviation_ns += change_ns
        self.largest_ns = max(self.largest_ns, self.deviation_ns)
        self.variation_ns = max(self.variation_ns, self.largest_ns)
        if now_ns - rtt_ns >= self.round_ns:
            self.variation_ns -= (self.variation_ns - self.largest_ns) // 4
            self.largest_ns = MINIMUM_TIMEOUT_NS
            self.round_ns = now_ns
