"""The journal of a battery layer: everything that happened, in order, durable before it counts.

Theory. What the layer knows follows from what happened to it (`harness.bal.model`), so the journal
holds just that: events, each with its time, appended in groups. To start again is to take the last
snapshot and let the events behind it happen once more. A command is accepted when its event is
durable, and an order leaves for a battery only after the event that caused it; so nothing accepted
is lost, and nothing is ordered that a restart would not know of.

What a snapshot has made dispensable may be dropped, in the same transaction as the snapshot: old
events, but for the newest commands, whose names must be known when they come again; and what was
ordered because of them, but for open orders and the last of each battery.

SQLite in WAL mode with full synchronisation: what a call of `Journal.append` has written survives
a SIGKILL and a power cut. One process has it open at a time.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS events (
    sequence INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    details TEXT NOT NULL,
    command TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS commands ON events (sequence) WHERE command IS NOT NULL;
CREATE TABLE IF NOT EXISTS orders (
    sequence INTEGER PRIMARY KEY,
    event INTEGER NOT NULL,
    source TEXT NOT NULL,
    current_ma INTEGER NOT NULL,
    fate TEXT,
    fate_ms INTEGER,
    sent INTEGER
) STRICT;
CREATE TABLE IF NOT EXISTS learned (
    source TEXT PRIMARY KEY,
    what TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS snapshots (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    sequence INTEGER NOT NULL,
    state BLOB NOT NULL
) STRICT;
"""

_DROP_EVENTS: Final = """
DELETE FROM events WHERE sequence <= :until AND (command IS NULL OR sequence <= coalesce((
    SELECT sequence FROM events WHERE command IS NOT NULL
    ORDER BY sequence DESC LIMIT 1 OFFSET :commands
), 0))
"""
_DROP_ORDERS: Final = """
DELETE FROM orders WHERE event <= :until AND fate IS NOT NULL
AND sequence < (SELECT max(sequence) FROM orders)
AND sequence NOT IN (SELECT max(sequence) FROM orders WHERE sent IS NOT NULL GROUP BY source)
"""
Fate: TypeAlias = Literal["executed", "in force", "superseded", "refused", "lost"]
"""What became of an order: the battery said so; it did that already; a later one took its place
before it was sent; the battery refused; not known, as the battery went out of reach."""


class JournalError(Exception):
    """The journal cannot be read or written; says where it is and why."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(
            f"{path}: {problem}; see that its disk has room and nobody else has it open"
        )
        self.path = path


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.

    Attributes:
        sequence: from 1, without gaps, until old ones are dropped.
        at_ms: scenario time.
        kind: what; `harness.bal.happenings` knows the words.
        details: what else there is to it, JSON.
        command: name under which somebody asked for it, which none other has.
    """

    sequence: int
    at_ms: int
    kind: str
    details: Mapping[str, Any]
    command: str | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """What a battery was to be told, because of an event.

    Attributes:
        fate: what became of it; None while it is open.
        sent: the number that went over the line, mA or mW, where it was executed; one of an order
            that was not may have.
    """

    sequence: int
    event: int
    source: str
    current_ma: int
    fate: Fate | None = None
    fate_ms: int | None = None
    sent: int | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """What one commit adds: events, orders, and what is known of orders: what is sent, fates."""

    events: Sequence[Event] = ()
    orders: Sequence[Order] = ()
    fates: Sequence[Order] = ()
    learned: Sequence[tuple[str, str]] = ()
    """What was learned of a source, JSON, in place of what was known of it; see `Journal.learned`.
    """
    snapshot: Snapshot | None = None
    """What holds after all that."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state after event ``sequence``, in place of the one kept before."""

    sequence: int
    state: bytes


@dataclass(frozen=True, slots=True)
class Kept:
    """How much stays that a snapshot has made dispensable.

    Attributes:
        events: the newest events that stay in any case, at least 1; None: all.
        commands: the newest commands that stay, and whose names are known.
    """

    events: int | None = None
    commands: int = 250_000


class Journal:
    """The file, open for one process. Methods block, and may be called from any one thread.

    Args:
        path: of the file.
        kept: how much stays when there is a snapshot.

    Raises:
        JournalError: it cannot be opened; every method raises it when the disk fails.
    """

    def __init__(self, path: Path, kept: Kept | None = None) -> None:
        self._path = path
        self.kept = Kept() if kept is None else kept
        try:
            self._file = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._file.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._file.execute("PRAGMA journal_mode = WAL")
            self._file.execute("PRAGMA synchronous = FULL")
            self._file.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise JournalError(path, str(error)) from error

    def append(self, entry: Entry) -> None:
        """Add an entry in one durable transaction."""
        with _failing(self._path):
            self._file.execute("BEGIN IMMEDIATE")
            try:
                self._file.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?)", _rows(entry))
                self._file.executemany(
                    "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?)", map(astuple, entry.orders)
                )
                self._file.executemany(
                    "UPDATE orders SET fate = ?, fate_ms = ?, sent = coalesce(?, sent)"
                    " WHERE sequence = ?",
                    [(one.fate, one.fate_ms, one.sent, one.sequence) for one in entry.fates],
                )
                self._file.executemany(
                    "INSERT OR REPLACE INTO learned VALUES (?, ?)", entry.learned
                )
                if entry.snapshot is not None:
                    self._keep(entry.snapshot)
                self._file.execute("COMMIT")
            except BaseException:
                self._file.execute("ROLLBACK")
                raise

    def snapshot(self) -> Snapshot | None:
        """Return the last state kept."""
        with _failing(self._path):
            row = self._file.execute("SELECT sequence, state FROM snapshots").fetchone()
        return None if row is None else Snapshot(*row)

    def events(self, after: int = 0) -> Iterator[Event]:
        """Yield the events behind ``after``, in order."""
        yield from _events(self._path, self._file, after)

    def commands(self) -> Iterator[Event]:
        """Yield the newest commands, as many as are kept, in order."""
        with _failing(self._path):
            rows = self._file.execute(
                "SELECT * FROM (SELECT * FROM events WHERE command IS NOT NULL"
                " ORDER BY sequence DESC LIMIT ?) ORDER BY sequence",
                (self.kept.commands,),
            )
            for row in rows:
                yield _event(row)

    def open_orders(self) -> list[Order]:
        """Return the orders whose fate is not known, in order."""
        with _failing(self._path):
            rows = self._file.execute("SELECT * FROM orders WHERE fate IS NULL ORDER BY sequence")
            return [Order(*row) for row in rows]

    def last_sent(self) -> dict[str, tuple[int, int]]:
        """Return by source the last order of which something was sent: its current, what was."""
        with _failing(self._path):
            rows = self._file.execute(
                "SELECT source, current_ma, sent, max(sequence) FROM orders"
                " WHERE sent IS NOT NULL GROUP BY source"
            )
            return {source: (current_ma, sent) for source, current_ma, sent, _ in rows}

    def learned(self) -> dict[str, str]:
        """Return what was learned of each source that costs time to learn again."""
        with _failing(self._path):
            return dict(self._file.execute("SELECT source, what FROM learned"))

    def last(self) -> tuple[int, int]:
        """Return the sequences of the last event and the last order; 0 where there is none."""
        with _failing(self._path):
            (event,) = self._file.execute(
                "SELECT coalesce(max(sequence), 0) FROM events"
            ).fetchone()
            (order,) = self._file.execute(
                "SELECT coalesce(max(sequence), 0) FROM orders"
            ).fetchone()
        return event, order

    def close(self) -> None:
        """Close the file; idempotent."""
        self._file.close()

    def _keep(self, snapshot: Snapshot) -> None:
        """Keep a snapshot and drop what it has made dispensable, as far as that is wanted."""
        row = (snapshot.sequence, snapshot.state)
        self._file.execute("INSERT OR REPLACE INTO snapshots VALUES (1, ?, ?)", row)
        if self.kept.events is None:
            return
        until = snapshot.sequence - self.kept.events
        self._file.execute(_DROP_EVENTS, {"until": until, "commands": self.kept.commands})
        self._file.execute(_DROP_ORDERS, {"until": until})


def read_journal(path: Path) -> tuple[list[Event], list[Order]]:
    """Return all events and orders of a journal that nobody writes any more, in order.

    Raises `JournalError`: it cannot be read.
    """
    if not path.is_file():
        raise JournalError(path, "there is no such file")
    with _failing(path), closing(sqlite3.connect(path)) as file:
        rows = file.execute("SELECT * FROM orders ORDER BY sequence")
        return list(_events(path, file, 0)), [Order(*row) for row in rows]


class _failing:
    """Turn what SQLite raises into `JournalError`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, sqlite3.Error):
            raise JournalError(self._path, str(error)) from error


def _events(path: Path, file: sqlite3.Connection, after: int) -> Iterator[Event]:
    with _failing(path):
        rows = file.execute("SELECT * FROM events WHERE sequence > ? ORDER BY sequence", (after,))
        for row in rows:
            yield _event(row)


def _event(row: tuple[int, int, str, str, str | None]) -> Event:
    sequence, at_ms, kind, details, command = row
    return Event(sequence, at_ms, kind, json.loads(details), command)


def _rows(entry: Entry) -> Iterable[tuple[int, int, str, str, str | None]]:
    return (
        (one.sequence, one.at_ms, one.kind, json.dumps(dict(one.details)), one.command)
        for one in entry.events
    )
