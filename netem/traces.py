"""Packet-delivery traces: when a link had room for a packet, as mahimahi writes it down.

One whole number of milliseconds a line, not falling: at that time one packet of 1500 octets could
be delivered. The last line is also the length of the trace, after which it begins again. An
opportunity may carry several small packets or a part of a large one; what nobody uses is gone.

Source of the format: mahimahi (Netravali and others, "Mahimahi: accurate record-and-replay for
HTTP", USENIX ATC 2015), mm-link. mahimahi counts 1504 octets, 4 of which its TUN device adds.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

OPPORTUNITY_OCTETS: Final = 1500
OPPORTUNITIES_MOST: Final = 2_000_000
"""More than half an hour at 12 Mbit/s; 16 MB in memory."""
LENGTH_MOST_MS: Final = 7 * 86_400_000
LINE_MOST: Final = 20
MILLISECOND_NS: Final = 1_000_000


class TraceError(ValueError):
    """A trace file cannot be used; names the file and, where there is one, the line from 1."""

    def __init__(self, path: Path, line: int | None, problem: str) -> None:
        self.path = path
        self.line = line
        self.problem = problem
        where = f"{path}:{line}" if line is not None else str(path)
        super().__init__(f"{where}: {problem}")


@dataclass(frozen=True, slots=True, eq=False)
class DeliveryTrace:
    """The opportunities of one trace, repeated for ever in both directions of time.

    Opportunity 0 is the first of the pass that begins at time 0.
    """

    times_ms: array[int]

    @property
    def length_ms(self) -> int:
        """How long one pass lasts."""
        return self.times_ms[-1]

    @property
    def mean_rate(self) -> float:
        """Bits per second it can carry, on average over a pass."""
        return len(self.times_ms) * OPPORTUNITY_OCTETS * 8 * 1000 / self.length_ms

    def first_after(self, at_ns: int) -> int:
        """Return the number of the first opportunity later than ``at_ns``.

        One at the very time of a packet's arrival is too early for it, as in mahimahi.
        """
        rounds, rest_ms = divmod(at_ns // MILLISECOND_NS, self.length_ms)
        return rounds * len(self.times_ms) + bisect_right(self.times_ms, rest_ms)

    def time_ns(self, number: int) -> int:
        """Return when opportunity ``number`` comes."""
        rounds, index = divmod(number, len(self.times_ms))
        return (rounds * self.length_ms + self.times_ms[index]) * MILLISECOND_NS


@lru_cache(maxsize=64)
def read_trace(path: Path) -> DeliveryTrace:
    """Return the trace in ``path``; read once for each process.

    Raises:
        TraceError: the file is unreadable, holds a line that is no whole number of milliseconds
            or smaller than the one before, is empty, lasts no time, or is larger than 2,000,000
            opportunities or seven days.
    """
    times_ms = array("q")
    try:
        with path.open("rb") as lines:
            while line := lines.readline(LINE_MOST + 2):
                times_ms.append(_time_ms(path, len(times_ms) + 1, line, times_ms))
    except OSError as error:
        raise TraceError(path, None, error.strerror or str(error)) from error
    if not times_ms:
        raise TraceError(path, None, "holds no delivery opportunity")
    if not times_ms[-1]:
        raise TraceError(path, len(times_ms), "the trace must last longer than 0 ms")
    return DeliveryTrace(times_ms)


def _time_ms(path: Path, number: int, line: bytes, before: array[int]) -> int:
    text = line.strip()
    if not text.isdigit() or len(text) > LINE_MOST:
        shown = text[:LINE_MOST].decode("ascii", "replace")
        raise TraceError(path, number, f"{shown!r} is no whole number of milliseconds")
    time_ms = int(text)
    if before and time_ms < before[-1]:
        raise TraceError(path, number, f"{time_ms} ms comes before the {before[-1]} ms above it")
    if time_ms > LENGTH_MOST_MS:
        raise TraceError(path, number, "a trace lasts seven days at most")
    if len(before) == OPPORTUNITIES_MOST:
        raise TraceError(path, number, f"more than {OPPORTUNITIES_MOST:,} opportunities")
    return time_ms
