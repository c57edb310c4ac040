"""What probes measured: counts and moments of delays by class, direction and span of time.

Everything is plain integers, so that spans can be added up by whoever reads the record.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Final, Self

import numpy as np

from netem.profiles import Direction

NANOSECONDS_PER_US: Final = 1_000
SECOND_NS: Final = 1_000_000_000


@dataclass(slots=True)
class Bucket:
    """The probes sent in one span of time over the links of one class, in one direction.

    ``starts_ns`` is CLOCK_MONOTONIC, as the clock of a run is. ``delay_sum_us`` and
    ``delay_square_sum_us2`` are over those that arrived; ``overtaken`` arrived after a later one of
    the same link.
    """

    category: int
    direction: Direction
    starts_ns: int
    sent: int = 0
    received: int = 0
    overtaken: int = 0
    delay_sum_us: int = 0
    delay_square_sum_us2: int = 0
    delay_max_us: int = 0

    def arrived(self, delay_ns: int, *, overtaken: bool) -> None:
        """Count one that took ``delay_ns``."""
        delay_us = max(0, delay_ns) // NANOSECONDS_PER_US
        self.received += 1
        self.overtaken += overtaken
        self.delay_sum_us += delay_us
        self.delay_square_sum_us2 += delay_us * delay_us
        self.delay_max_us = max(self.delay_max_us, delay_us)

    def merge(self, other: Bucket) -> None:
        """Add the counts of another span of the same class and direction."""
        self.sent += other.sent
        self.received += other.received
        self.overtaken += other.overtaken
        self.delay_sum_us += other.delay_sum_us
        self.delay_square_sum_us2 += other.delay_square_sum_us2
        self.delay_max_us = max(self.delay_max_us, other.delay_max_us)

    @property
    def mean_s(self) -> float:
        """Mean delay in seconds; 0 where nothing arrived."""
        return self.delay_sum_us / self.received / 1e6 if self.received else 0.0

    @property
    def sigma_s(self) -> float:
        """Standard deviation of the delay in seconds; 0 for fewer than two."""
        count = self.received
        if count < 2:
            return 0.0
        scatter = count * self.delay_square_sum_us2 - self.delay_sum_us**2
        return float((scatter / (count * (count - 1))) ** 0.5) / 1e6

    @property
    def loss_share(self) -> float:
        """Share of those sent that never arrived."""
        return 1 - self.received / self.sent if self.sent else 0.0


@dataclass(frozen=True, slots=True)
class Train:
    """Packets sent at once over one link, and how fast they came out at the other end.

    ``packets_per_s`` is the rate at which the line of arrivals rises once ``burst`` packets have
    passed; ``None`` where too few arrived to say.
    """

    category: int
    direction: Direction
    starts_ns: int
    sent: int
    received: int
    octets: int
    packets_per_s: float | None

    @classmethod
    def of(
        cls,
        category: int,
        direction: Direction,
        starts_ns: int,
        arrivals_ns: Sequence[int | None],
        octets: int,
    ) -> Self:
        """Return what the arrivals of a train say, ``None`` for each packet that was lost."""
        return cls(
            category,
            direction,
            starts_ns,
            len(arrivals_ns),
            sum(at is not None for at in arrivals_ns),
            octets,
            arrival_rate(arrivals_ns),
        )


LEAST_ARRIVALS: Final = 10
LEAST_GAPS: Final = 5
AT_ONCE_NS: Final = 4_000_000
"""Packets that arrive closer to each other have waited for one another behind the limit."""


def arrival_rate(arrivals_ns: Sequence[int | None]) -> float | None:
    """Return packets a second of a train that was sent at once; ``None``: too few to say.

    Looked at is the later half, by when every burst has passed. Numbers are those at sending, so
    neither loss nor overtaking bends the rate.

    * Where packets overtake each other, each has a delay of its own: the rate is the slope of a
      straight line through (number, arrival), as jitter moves single arrivals and not the line.
    * Where none does, a delay is common to packets behind each other, and a line would follow its
      changes: the rate is that of the median gap between neighbours. Those that arrive at once,
      because the delay has fallen and none may overtake, tell nothing of the limit.
    """
    later = range(len(arrivals_ns) // 2, len(arrivals_ns))
    found = [(number, at) for number in later if (at := arrivals_ns[number]) is not None]
    if len(found) < LEAST_ARRIVALS:
        return None
    numbers, times = np.array(found, np.float64).T
    gaps_ns = np.diff(times)
    telling = gaps_ns[(gaps_ns >= AT_ONCE_NS) & (np.diff(numbers) == 1)]
    if np.all(gaps_ns >= 0) and len(telling) >= LEAST_GAPS:
        return SECOND_NS / float(np.median(telling))
    slope_ns = float(np.polyfit(numbers - numbers[0], times - times[0], 1)[0])
    return SECOND_NS / slope_ns if slope_ns > 0 else None


def record_line(result: Bucket | Train) -> str:
    """Return a result as one line of JSON."""
    kind = "bucket" if isinstance(result, Bucket) else "train"
    return json.dumps({"kind": kind} | asdict(result))


def read_record(lines: Iterable[str]) -> Iterator[Bucket | Train]:
    """Yield what `record_line` wrote; a last line that was cut off is passed over.

    Raises:
        ValueError, TypeError, KeyError: another line is not from `record_line`.
    """
    makers: dict[str, type[Bucket] | type[Train]] = {"bucket": Bucket, "train": Train}
    for line in lines:
        if not line.endswith("\n"):
            return
        values = json.loads(line)
        yield makers[values.pop("kind")](**values)
