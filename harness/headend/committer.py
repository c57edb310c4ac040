"""Group commit: many pushes, one durable transaction, then everybody is told.

A push is acknowledged only after `Committer.submit` has returned for it. While the store is away
or full the committer keeps what it has and tries again: nothing is acknowledged, nothing is
dropped, and once the bound on waiting rows is reached nothing more is taken in. Any other failure
of the store ends the committer and with it the head-end, again with nothing acknowledged.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import trio
from structlog import get_logger

from harness.headend.hooks import KillSwitch, Point
from harness.store.errors import StoreFullError, StoreUnavailableError
from harness.store.interface import PutResult, PutStage, Store
from harness.store.rows import NO_ALARMS, NO_REGISTRATIONS, Alarms, Registrations, Rows

RETRY_S: Final = 0.5
PASSING: Final = (StoreUnavailableError, StoreFullError)
"""Failures of a store that somebody may mend while we wait."""
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Submission:
    """What one exchange brought, and the invocation counters it came under.

    ``counters`` maps a peer's system title to the last counter accepted with what it brought.
    """

    rows: Rows
    counters: dict[bytes, int]
    alarms: Alarms = NO_ALARMS
    registrations: Registrations = NO_REGISTRATIONS

    @property
    def weight(self) -> int:
        """What it counts for under the bound on waiting rows; one without rows takes room too."""
        return max(1, len(self.rows) + len(self.alarms) + len(self.registrations))


@dataclass(slots=True)
class _Batch:
    submissions: list[Submission] = field(default_factory=list)
    weight: int = 0
    durable: trio.Event = field(default_factory=trio.Event)


@dataclass(slots=True)
class CommitTotals:
    """What the committer has done since it started."""

    commits: int = 0
    rows_stored: int = 0
    rows_repeated: int = 0
    rows_conflicting: int = 0
    store_failures: int = 0
    alarms_stored: int = 0
    alarms_repeated: int = 0
    alarms_conflicting: int = 0
    registrations: int = 0


class Committer:
    """Collects submissions and commits them as groups through one store.

    Args:
        store: the open store; all but commands goes through this committer only.
        interval_s: how long a group stays open after its first submission, real seconds.
        rows_max: bound on the rows waiting, those of the commit under way included; beyond it
            `submit` waits (back-pressure on the links).
        committed: called after every commit with its duration in real seconds and the rows.
        kill_switch: test hook.
        stored_at_us: the time to note with rows, POSIX microseconds.
    """

    def __init__(
        self,
        store: Store,
        *,
        interval_s: float,
        rows_max: int,
        committed: Callable[[float, Rows], None],
        kill_switch: KillSwitch,
        stored_at_us: Callable[[], int],
    ) -> None:
        self.totals = CommitTotals()
        self._store = store
        self._interval_s = interval_s
        self._rows_max = rows_max
        self._committed = committed
        self._kill_switch = kill_switch
        self._stored_at_us = stored_at_us
        self._open = _Batch()
        self._under_way = _Batch()
        self._filled = trio.Event()
        self._room = trio.lowlevel.ParkingLot()

    @property
    def waiting(self) -> int:
        """How many rows are not durable yet."""
        return self._open.weight + self._under_way.weight

    async def submit(self, submission: Submission) -> None:
        """Return once ``submission`` is durable.

        Cancellation: the submission may or may not be committed later, as if the peer had vanished
        before the acknowledgement; it is safe to submit the same rows again.
        """
        while self.waiting >= self._rows_max:
            await self._room.park()
        await self.add(submission).wait()

    def add(self, submission: Submission) -> trio.Event:
        """Let ``submission`` go along with the next commit; the event says when it is durable.

        Heeds no bound: for what is small and comes seldom.
        """
        batch = self._open
        batch.submissions.append(submission)
        batch.weight += submission.weight
        self._filled.set()
        return batch.durable

    async def run(self) -> None:
        """Commit groups until cancelled; a transaction under way is finished first.

        Raises:
            StoreError: the store failed in a way that waiting does not mend.
        """
        while True:
            await self._filled.wait()
            await trio.sleep(self._interval_s)
            self._under_way, self._open = self._open, _Batch()
            self._filled = trio.Event()
            await self._commit(self._under_way)

    async def flush(self) -> None:
        """Return once everything submitted so far is durable. Cancellation loses nothing."""
        for batch in (self._under_way, self._open):
            if batch.submissions:
                await batch.durable.wait()

    async def _commit(self, batch: _Batch) -> None:
        merged = merge(batch.submissions)
        self._kill_switch.reach(Point.BEFORE_COMMIT)
        started = time.perf_counter()
        result = await self._put(merged)
        self._kill_switch.reach(Point.COMMITTED)
        # From here to the event nothing waits, so nothing can be cancelled: durable means told.
        self._note(result)
        self._committed(time.perf_counter() - started, merged.rows)
        self._under_way = _Batch()
        self._room.unpark_all()
        batch.durable.set()

    async def _put(self, merged: Submission) -> PutResult:
        while True:
            put = partial(
                self._store.put,
                merged.rows,
                merged.counters,
                self._stored_at_us(),
                self._reached,
                merged.alarms,
                merged.registrations,
            )
            try:
                return await trio.to_thread.run_sync(put)
            except PASSING as error:
                self.totals.store_failures += 1
                log.warning("commit failed, trying again", error=str(error), rows=len(merged.rows))
            await trio.sleep(RETRY_S)

    def _reached(self, stage: PutStage) -> None:
        self._kill_switch.reach(Point(stage.value))

    def _note(self, result: PutResult) -> None:
        self.totals.commits += 1
        self.totals.rows_stored += result.inserted
        self.totals.rows_repeated += result.repeated
        self.totals.rows_conflicting += result.conflicting
        self.totals.alarms_stored += result.alarms_inserted
        self.totals.alarms_repeated += result.alarms_repeated
        self.totals.alarms_conflicting += result.alarms_conflicting
        self.totals.registrations += result.registrations
        if result.conflicting:
            log.warning("readings came again with other values", rows=result.conflicting)
        if result.alarms_conflicting:
            log.warning("alarms came again with other values", alarms=result.alarms_conflicting)


def merge(submissions: Sequence[Submission]) -> Submission:
    """Return (at least one) submissions as one.

    What they brought is in order of arrival; of each peer's counters the highest stays.
    """
    counters: dict[bytes, int] = {}
    for submission in submissions:
        for peer, counter in submission.counters.items():
            counters[peer] = max(counter, counters.get(peer, counter))
    return Submission(
        Rows.concatenate([submission.rows for submission in submissions]),
        counters,
        Alarms.concatenate([submission.alarms for submission in submissions]),
        Registrations.concatenate([submission.registrations for submission in submissions]),
    )
