"""What every store can do, whatever is underneath.

Two sides. `Store` belongs to the one process that writes: a head-end shard. `StoredReader` belongs
to whoever judges or shows what was stored. The rules both back ends keep:

* A reading is identified by (meter, capture profile, capture time). The first to arrive stays.
  A later one with equal status and registers is *repeated*: counted, not stored. One with other
  values is *conflicting*: counted and kept aside, every arrival of it. This holds within one batch
  as it does between batches; how a reading came (``via``) is no part of the comparison.
* An alarm is identified by (meter, source, code, sequence), and the same holds for it: the time it
  was raised and its argument are what a later arrival is compared by.
* `Store.put` is one durable transaction: rows, alarms, conflicts, registrations and counters
  together or none of them. When it has returned, a SIGKILL loses nothing of it.
* An invocation counter never goes down.
* All methods may be called from any thread; writers wait for one another. They block: from trio,
  call them through ``trio.to_thread.run_sync`` and never abandon the thread on cancellation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from harness.store.commands import Command
from harness.store.rows import (
    NO_ALARMS,
    NO_REGISTRATIONS,
    Alarms,
    Registrations,
    Rows,
    StoredAlarms,
    StoredRows,
)
from harness.store.usage import Usage, UsageQuestion

ExportFormat = Literal["parquet", "csv"]
ExportedTable = Literal["readings", "alarms"]


@dataclass(frozen=True, slots=True)
class AlarmFilter:
    """Which alarms are wanted: those raised in [from_s, to_s), POSIX seconds.

    ``meter``, ``source`` and ``code``, where given, it must have. ``among`` are pairs of source and
    code, one of which it must have, and ``but`` such as it must not. ``after`` is an alarm, as
    (raised_at, meter, source, code, sequence), behind which the wanted ones come in order.
    """

    from_s: int
    to_s: int
    meter: int | None = None
    source: int | None = None
    code: int | None = None
    among: tuple[tuple[int, int], ...] | None = None
    but: tuple[tuple[int, int], ...] = ()
    after: tuple[int, int, int, int, int] | None = None


@dataclass(frozen=True, slots=True)
class PutResult:
    """What became of what one `Store.put` was given.

    The first three add up to the number of rows, the next three to that of alarms;
    ``registrations`` is the number of changes noted.
    """

    inserted: int
    repeated: int
    conflicting: int
    alarms_inserted: int = 0
    alarms_repeated: int = 0
    alarms_conflicting: int = 0
    registrations: int = 0


class PutStage(Enum):
    """How far a `Store.put` has come inside its transaction, nothing being durable yet."""

    ROWS_WRITTEN = "rows-written"
    COUNTERS_WRITTEN = "counters-written"


Reached: TypeAlias = Callable[[PutStage], None]
"""Called on the thread that writes; what it raises undoes the transaction."""


def unwatched(stage: PutStage) -> None:
    """Take no notice of a stage."""


class Store(Protocol):
    """The writing side. Every method raises `StoreError` when the back end fails."""

    @property
    def registers(self) -> tuple[str, ...]:
        """Names of the register columns, in the order of `Rows.values`."""

    def put(
        self,
        rows: Rows,
        counters: Mapping[bytes, int],
        stored_at_us: int,
        reached: Reached = unwatched,
        alarms: Alarms = NO_ALARMS,
        registrations: Registrations = NO_REGISTRATIONS,
    ) -> PutResult:
        """Store what came and the last accepted invocation counters in one durable transaction.

        Args:
            rows: the readings, in order of arrival; ``values`` has one column per register.
            counters: invocation counter (0..2**63-1) per system title; thousands are no burden.
            stored_at_us: the time to note with each row and alarm, POSIX microseconds (UTC).
            reached: told of each stage inside the transaction: for tests that kill the writer.
            alarms: the alarms, in order of arrival.
            registrations: what happened to registrations; every call adds them.

        Raises:
            StoreUnavailableError: outcome unknown; repeat the call.
            StoreError: nothing was stored.
            ValueError: another number of registers.
        """

    def load(self, rows: Rows, stored_at_us: int) -> PutResult:
        """Store many readings in one durable transaction, by the rules and errors of `put`.

        For history: where the store has nothing of these meters and times yet it is much quicker
        than `put` on some back ends; anywhere else no quicker.
        """

    def counters(self) -> dict[bytes, int]:
        """Return the highest counter stored per system title."""

    def slots(self) -> NDArray[np.int64]:
        """Return the capture times (POSIX seconds) that have rows, ascending."""

    def present(self, captured_at_s: int, profile: int, meters: range) -> NDArray[np.bool_]:
        """Tell which of ``meters`` (step 1) have a row in that slot, shape (len(meters),)."""

    def readings(self, meter: int, from_s: int, to_s: int) -> StoredRows:
        """Return one meter's rows captured in [from_s, to_s), by capture time and profile."""

    def usage(self, question: UsageQuestion) -> Usage:
        """Return the energy of every meter that has readings, by meter, beside a writer.

        Raises:
            StoreError: the back end failed.
            ValueError: there is no such register.
        """

    def export(
        self,
        path: Path,
        *,
        file_format: ExportFormat,
        from_s: int,
        to_s: int,
        what: ExportedTable = "readings",
    ) -> Path:
        """Write the rows captured, or the alarms raised, in [from_s, to_s) to ``path``; return it.

        Order: that time, then the key, then the time of storing. Columns: those of the table. The
        file appears whole or not at all.
        """

    def forget(self, before_s: int) -> int:
        """Drop readings captured before then, conflicting ones too, durably; return how many.

        Whoever sends one of them again stores it again.
        """

    def conflict_count(self) -> int:
        """Return how many conflicting arrivals of readings are kept aside."""

    def alarms(self, wanted: AlarmFilter, count: int) -> StoredAlarms:
        """Return the first ``count`` of the wanted alarms.

        Order: time of raising, meter, source, code, sequence.
        """

    def alarm_conflict_count(self) -> int:
        """Return how many conflicting arrivals of alarms are kept aside."""

    def last_registrations(self) -> Registrations:
        """Return the last change of each node's registration, by concentrator and meter."""

    def add_command(self, command: Command) -> None:
        """Add a command, durably. Raises `CommandError` if its id exists."""

    def update_command(self, command: Command) -> None:
        """Replace the command of that id, durably. Raises `CommandError` if there is none."""

    def commands(self) -> list[Command]:
        """Return the journal, by id."""

    def size_bytes(self) -> int:
        """Return the bytes the store takes on disk."""

    def close(self) -> None:
        """Let go of the store; idempotent. Any other call afterwards raises `StoreError`."""


class StoredReader(Protocol):
    """The reading side: what a store holds, duplicates and all. Raises `StoreError`."""

    @property
    def registers(self) -> tuple[str, ...]:
        """Names of the register columns, in the order of `Rows.values`."""

    def slots(self) -> NDArray[np.int64]:
        """Return the capture times (POSIX seconds) that have rows, ascending."""

    def rows(self, captured_at_s: int) -> StoredRows:
        """Return all rows of one slot, by meter, profile and time of storing."""

    def conflicts(self) -> StoredRows:
        """Return the arrivals kept aside, by capture time, meter, profile and time of storing."""

    def count(self) -> int:
        """Return the number of rows, duplicates included."""

    def commands(self) -> list[Command]:
        """Return the commands journal, by id; of several shards, their union."""

    def close(self) -> None:
        """Let go of the store; idempotent."""


@runtime_checkable
class UsageReader(Protocol):
    """What a reader of our own stores can sum up. Raises `StoreError`."""

    def usage(self, question: UsageQuestion) -> Usage:
        """See `Store.usage`."""


@runtime_checkable
class EventReader(Protocol):
    """What a reader of our own stores tells besides. Raises `StoreError`.

    A store of an earlier version, which lacks the tables, has none of either.
    """

    def alarms(self) -> StoredAlarms:
        """Return all alarms, by time of raising, key and time of storing."""

    def alarm_conflicts(self) -> StoredAlarms:
        """Return the arrivals of alarms kept aside, in the same order."""

    def registrations(self) -> Registrations:
        """Return every change of a registration, by time, meter, concentrator and kind."""
