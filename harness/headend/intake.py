"""What a head-end does with what arrived: refuse it by name, or store it and then say so.

One way for streams and datagrams. Confirmed is durable: answers that stand for something stored
leave when the transaction that holds it is through.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from structlog import get_logger

from harness.headend.committer import Submission, merge
from harness.headend.hooks import Point
from harness.headend.service import Shard
from harness.store.rows import Via
from protocols.plugin import Received, ReceiveSession, Refused, Registering

Send: TypeAlias = Callable[[bytes], Awaitable[None]]
"""Sends octets to the peer, whole."""
log = get_logger(__name__)


@dataclass(slots=True)
class Visit:
    """What one connection brought; ends up in its line of the log."""

    began: float = field(default_factory=time.monotonic)
    system_title: bytes = b""
    pushes: int = 0
    readings: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    detail: str = ""

    def close(self, outcome: str) -> None:
        """Write the line of the log that says what the connection brought."""
        log.info(
            "connection ended",
            outcome=outcome,
            system_title=self.system_title.hex(),
            pushes=self.pushes,
            readings=self.readings,
            refused=dict(self.refused),
            detail=self.detail,
            lasted_s=round(time.monotonic() - self.began, 3),
        )


@dataclass(frozen=True, slots=True)
class Arrived:
    """What some octets brought: answers that can leave at once, and what must be stored first."""

    answers: bytes
    items: Sequence[tuple[Received | Registering, Submission]]


class Intake:
    """Takes what sessions of a shard make of what arrives."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard

    async def take(self, send: Send, session: ReceiveSession, data: bytes, visit: Visit) -> None:
        """Give a session octets; store what arrived with them, and answer.

        Raises what the session raises, and what ``send`` does. Cancellation: what was not confirmed
        may have been stored, and will come again.
        """
        await self.settle(send, session, self.receive(session, data, visit), visit)

    def receive(self, session: ReceiveSession, data: bytes, visit: Visit) -> Arrived:
        """Give a session octets, in the order in which they came; return what is to be settled.

        Raises what the session raises.
        """
        arrived: list[tuple[Received | Registering, Submission]] = []
        for item in session.receive_data(data):
            if isinstance(item, Refused):
                self.refuse(visit, item.cause, item.detail)
                continue
            self._shard.kill_switch.reach(Point.RECEIVED)
            submission = self._submission(item, visit)
            if submission is not None:
                arrived.append((item, submission))
        return Arrived(session.data_to_send(), arrived)

    async def settle(
        self, send: Send, session: ReceiveSession, arrived: Arrived, visit: Visit
    ) -> None:
        """Answer what waits for nothing, store, then confirm what is durable; see `take`."""
        await self._send(send, arrived.answers)
        items = [item for item, _ in arrived.items]
        submissions = [submission for _, submission in arrived.items]
        if not items:
            return
        if self._shard.config.acknowledge_before_store:
            await self._confirm(send, session, items)
            await self._store(submissions, visit)
            return
        await self._store(submissions, visit)
        await self._confirm(send, session, items)

    def _submission(self, item: Received | Registering, visit: Visit) -> Submission | None:
        """Return what is to be stored of what arrived; ``None`` if it is refused after all."""
        shard = self._shard
        title = item.system_title
        record = shard.registry.by_title(title)
        if record is None:
            self.refuse(visit, "unknown system title", title.hex())
            return None
        visit.system_title = record.system_title
        brought = (
            self._rows(record.number, item, visit)
            if isinstance(item, Received)
            else self._nodes(record.number, item)
        )
        if brought is None:
            return None
        # Remembered at once, so that the same frame on another connection is a replay even before
        # this one is durable; the durable memory commits with the rows.
        for peer, counter in item.counters.items():
            shard.push_counters.accept(peer, counter)
        names = {shard.push_counters.name(peer): at for peer, at in item.counters.items()}
        return replace(brought, counters=names)

    def _rows(self, number: int, push: Received, visit: Visit) -> Submission | None:
        shard, readings = self._shard, push.readings
        shard.totals.count("pushes received")
        if readings.registers != len(shard.store.registers) and len(readings):
            self.refuse(visit, "another capture profile", f"{readings.registers} registers")
            return None
        return Submission(
            shard.rows(number, readings, Via.PUSH), {}, alarms=shard.alarms(number, readings.events)
        )

    def _nodes(self, number: int, item: Registering) -> Submission:
        shard = self._shard
        shard.totals.count("registrations received", len(item.nodes))
        registrations = shard.nodes.register(number, item.nodes)
        return Submission(shard.no_rows, {}, registrations=registrations)

    def refuse(self, visit: Visit, cause: str, detail: str) -> None:
        """Count something that was refused."""
        self._shard.totals.count(f"refused: {cause}")
        visit.refused[cause] += 1
        visit.detail = detail

    async def _store(self, submissions: list[Submission], visit: Visit) -> None:
        whole = merge(submissions)
        await self._shard.committer.submit(whole)
        self._shard.totals.count("pushes stored", len(submissions))
        visit.pushes += len(submissions)
        visit.readings += len(whole.rows)

    async def _confirm(
        self,
        send: Send,
        session: ReceiveSession,
        arrived: list[Received | Registering],
    ) -> None:
        shard = self._shard
        answers = [session.confirm(item) for item in arrived if item.wants_confirmation]
        if not answers:
            return
        shard.kill_switch.reach(Point.BEFORE_ACKNOWLEDGE)
        await self._send(send, b"".join(answers))
        shard.totals.count("pushes acknowledged", len(answers))
        shard.kill_switch.reach(Point.ACKNOWLEDGED)

    async def _send(self, send: Send, octets: bytes) -> None:
        if octets:
            await send(octets)
            self._shard.tally.carried(sent=len(octets))
