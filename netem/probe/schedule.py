"""When which probe is sent, and what became of it: no sockets, no clock.

Theory of operation. A datagram carries its link, its number and when it was sent, so nothing has to
be remembered of those under way: what arrives finds its span by itself. A span is given out once
everything sent in it has arrived or is taken for lost.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from netem.probe.config import ProbeConfig
from netem.probe.measurement import SECOND_NS, Bucket, Train
from netem.profiles import Direction

FOREVER_NS: Final = 1 << 63
"""A moment by which all patience is over."""
DIRECTIONS: Final[tuple[Direction, Direction]] = ("up", "down")


@dataclass(frozen=True, slots=True)
class Due:
    """Datagrams to send now: ``count`` of them, numbered from ``first``, all of one moment."""

    link: int
    direction: Direction
    first: int
    count: int
    span_ns: int


@dataclass(slots=True)
class _Line:
    """One link in one direction."""

    link: int
    direction: Direction
    next_at_ns: int
    sent: int = 0
    newest: int = -1
    train_starts_ns: int = 0
    arrivals: list[int | None] = field(default_factory=list)


class ProbeSchedule:
    """Everything a probe process does, but for sending and receiving.

    Args:
        config: what is probed.
        now_ns: CLOCK_MONOTONIC; the first datagrams are due from now on.
    """

    def __init__(self, config: ProbeConfig, now_ns: int) -> None:
        self._config = config
        self._bucket_ns = int(config.bucket_s * SECOND_NS)
        self._patience_ns = int(config.patience_s * SECOND_NS)
        self._buckets: dict[tuple[int, int, Direction], Bucket] = {}
        self._lines = {
            (number, direction): _Line(number, direction, at_ns)
            for number, direction, at_ns in self._first_times(now_ns)
        }
        self._waiting = [(line.next_at_ns, key) for key, line in self._lines.items()]
        heapq.heapify(self._waiting)
        self._stopped = False

    def _first_times(self, now_ns: int) -> Iterator[tuple[int, Direction, int]]:
        """Yield link, direction and first time, evenly spread over an interval."""
        links = self._config.links
        interval_ns = int(self._config.interval_s * SECOND_NS)
        for place, direction in enumerate(DIRECTIONS):
            for number in range(len(links)):
                part = (number * len(DIRECTIONS) + place) / (len(links) * len(DIRECTIONS))
                yield number, direction, now_ns + int(part * interval_ns)

    @property
    def next_at_ns(self) -> int | None:
        """When the next datagram is due; ``None`` after `stop`."""
        return self._waiting[0][0] if self._waiting and not self._stopped else None

    def due(self, now_ns: int) -> Iterator[Due]:
        """Yield what is to be sent now; counts as sent at ``now_ns``."""
        while (next_at_ns := self.next_at_ns) is not None and next_at_ns <= now_ns:
            at_ns, key = heapq.heappop(self._waiting)
            line = self._lines[key]
            is_train = self._config.links[line.link].train
            interval_s = self._config.train_interval_s if is_train else self._config.interval_s
            interval_ns = int(interval_s * SECOND_NS)
            # What is late is not made up for: a burst would be another load than was asked for.
            line.next_at_ns = max(at_ns, now_ns - interval_ns + 1) + interval_ns
            heapq.heappush(self._waiting, (line.next_at_ns, key))
            yield self._send_train(line, now_ns) if is_train else self._send_one(line, now_ns)

    def _send_one(self, line: _Line, now_ns: int) -> Due:
        self._bucket(line, now_ns).sent += 1
        line.sent += 1
        return Due(line.link, line.direction, line.sent - 1, 1, now_ns)

    def _send_train(self, line: _Line, now_ns: int) -> Due:
        count = self._config.train_packets
        line.train_starts_ns = now_ns
        line.arrivals = [None] * count
        line.sent += count
        return Due(line.link, line.direction, line.sent - count, count, now_ns)

    def arrived(
        self,
        link: int,
        direction: Direction,
        number: int,
        *,
        span_ns: int,
        sent_ns: int,
        delay_ns: int,
    ) -> None:
        """Note that a datagram of ``span_ns`` took ``delay_ns``; a stranger's is ignored."""
        line = self._lines.get((link, direction))
        if line is None or not 0 <= number < line.sent:
            return
        if self._config.links[link].train:
            place = number - (line.sent - len(line.arrivals))
            if place >= 0:
                line.arrivals[place] = sent_ns + delay_ns
            return
        bucket = self._buckets.get(self._key(line, span_ns))
        if bucket is not None and bucket.received < bucket.sent:
            bucket.arrived(delay_ns, overtaken=number < line.newest)
            line.newest = max(line.newest, number)

    def finished(self, now_ns: int) -> Iterator[Bucket | Train]:
        """Yield, once, what is complete at ``now_ns``."""
        for key, bucket in [*self._buckets.items()]:
            if bucket.starts_ns + self._bucket_ns + self._patience_ns <= now_ns:
                yield self._buckets.pop(key)
        for line in self._lines.values():
            if line.arrivals and line.train_starts_ns + self._patience_ns <= now_ns:
                yield self._train(line)

    def stop(self) -> None:
        """Send nothing any more."""
        self._stopped = True

    @property
    def complete(self) -> bool:
        """Whether, after `stop`, everything has been given out."""
        return (
            self._stopped
            and not self._buckets
            and not any(line.arrivals for line in self._lines.values())
        )

    @property
    def all_arrived(self) -> bool:
        """Whether nothing is under way."""
        return all(it.received == it.sent for it in self._buckets.values()) and not any(
            None in line.arrivals for line in self._lines.values()
        )

    def _train(self, line: _Line) -> Train:
        arrivals, line.arrivals = line.arrivals, []
        category = self._config.links[line.link].category
        octets = self._config.train_octets
        return Train.of(category, line.direction, line.train_starts_ns, arrivals, octets)

    def _key(self, line: _Line, span_ns: int) -> tuple[int, int, Direction]:
        category = self._config.links[line.link].category
        return span_ns // self._bucket_ns, category, line.direction

    def _bucket(self, line: _Line, now_ns: int) -> Bucket:
        key = self._key(line, now_ns)
        if key not in self._buckets:
            starts_ns = key[0] * self._bucket_ns
            self._buckets[key] = Bucket(key[1], line.direction, starts_ns)
        return self._buckets[key]
