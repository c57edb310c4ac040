"""Watching a system that is not ours: what its Prometheus endpoint says, and what it logs.

Both are asked in tasks of their own and kept; `harness.run.external` records the latest.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Final
from urllib.error import HTTPError
from urllib.request import urlopen

import trio
from prometheus_client.parser import text_string_to_metric_families

SCRAPE_EVERY_S: Final = 5.0
SCRAPE_TIMEOUT_S: Final = 4.0
SCRAPE_OCTETS_MAX: Final = 4 * 1024 * 1024
SERIES_MAX: Final = 500
"""Series of one endpoint that are recorded; a foreign system does not choose our memory use."""
REASONS_MAX: Final = 20
REASON_LENGTH_MAX: Final = 200
LINE_OCTETS_MAX: Final = 64 * 1024
READ_OCTETS_MAX: Final = 16 * 1024 * 1024
"""Octets of a log that are read at a time."""


@dataclass(frozen=True, slots=True)
class ScrapedValue:
    """One series of a Prometheus endpoint; ``label`` is ``name=value`` pairs, sorted."""

    metric: str
    label: str
    value: float


class Scraper:
    """Asks a Prometheus text endpoint every few seconds.

    ``failures`` counts, by reason, how often it was not read.

    Args:
        url: the endpoint.
        every_s: real seconds between an answer and the next question.
    """

    def __init__(self, url: str, every_s: float = SCRAPE_EVERY_S) -> None:
        self._url = url
        self._every_s = every_s
        self.failures: Counter[str] = Counter()
        self._fresh: list[ScrapedValue] = []

    def take(self) -> list[ScrapedValue]:
        """Return what the last answer said, once."""
        fresh, self._fresh = self._fresh, []
        return fresh

    async def run(self) -> None:
        """Ask until cancelled; an answer under way when cancelled is dropped."""
        while True:
            try:
                self._fresh = await trio.to_thread.run_sync(
                    scrape, self._url, abandon_on_cancel=True
                )
            except (OSError, HTTPException, ValueError) as error:
                if len(self.failures) < REASONS_MAX:
                    self.failures[str(error)[:REASON_LENGTH_MAX]] += 1
                else:
                    self.failures["others"] += 1
            await trio.sleep(self._every_s)


def scrape(url: str) -> list[ScrapedValue]:
    """Return the first `SERIES_MAX` series of a Prometheus text endpoint.

    Raises:
        OSError: nobody answers, or with an error.
        HTTPException: it speaks no HTTP.
        ValueError: the answer is not what it should be, or too long.
    """
    try:
        with urlopen(url, timeout=SCRAPE_TIMEOUT_S) as answer:
            octets: bytes = answer.read(SCRAPE_OCTETS_MAX + 1)
    except HTTPError as error:
        # The error is the answer, and holds its connection.
        error.close()
        raise
    if len(octets) > SCRAPE_OCTETS_MAX:
        raise ValueError(f"the answer is longer than {SCRAPE_OCTETS_MAX:,} octets")
    found: list[ScrapedValue] = []
    for family in text_string_to_metric_families(octets.decode()):
        for sample in family.samples:
            if len(found) == SERIES_MAX:
                return found
            label = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found.append(ScrapedValue(sample.name, label, float(sample.value)))
    return found


class LogFollower:
    """Counts the lines of a log that match, from the moment it is made.

    A log that is not there yet is read from its start once it is; one that became shorter or was
    replaced is read from its start again. A line longer than 64 KiB is judged by its first 64 KiB.
    """

    def __init__(self, path: Path, pattern: str) -> None:
        self.path = path
        self.pattern = pattern
        self.count = 0
        self._matches = re.compile(pattern.encode())
        self._unfinished = b""
        self._file = 0
        self._at = 0
        try:
            status = path.stat()
        except OSError:
            return
        self._file, self._at = status.st_ino, status.st_size

    def follow(self) -> int:
        """Read what was added and return how many lines have matched in all."""
        try:
            with self.path.open("rb") as file:
                self._find_place(file.fileno())
                file.seek(self._at)
                added = file.read(READ_OCTETS_MAX)
        except OSError:
            return self.count
        self._at += len(added)
        *lines, rest = (self._unfinished + added).split(b"\n")
        self._unfinished = rest[:LINE_OCTETS_MAX]
        self.count += sum(self._matches.search(line) is not None for line in lines)
        return self.count

    def _find_place(self, descriptor: int) -> None:
        status = Path(f"/proc/self/fd/{descriptor}").stat()
        if status.st_ino != self._file or status.st_size < self._at:
            self._file, self._at, self._unfinished = status.st_ino, 0, b""
