"""A head-end's side of a connection to a relay: one thing asked at a time, of any of its meters.

Theory of operation. Meters are nodes of their own, so nothing is said to the relay: a reading of
the interval buffer is a dialogue with every meter behind it, many at a time, and commands and logs
are dialogues with one. Without a session every message carries its own password; with sessions
each dialogue logs on first and off last.

A command's vector is promised before anything is sent, because the head-end journals it first: it
is that of the message with the command, and in a session that of the Logon, under which all of the
session is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar

from protocols.c12.association import Channel, ClientAssociation, Endpoint, Node, Refused
from protocols.c12.framing import ApduReader
from protocols.c12.meter import (
    DirectBlocks,
    DirectFetch,
    EventsSeen,
    Keepsakes,
    MeterFetch,
    Passwords,
    command_procedure,
)
from protocols.c12.plugin.downlink import MAX_ANSWER_SIZE, HeadEndVectors, absolute_title
from protocols.c12.plugin.downlink_dialogues import (
    Dialogue,
    commanding,
    control_log,
    in_session,
    reading,
    reading_at_once,
    sessionless,
)
from protocols.c12.plugin.downlink_merging import merged
from protocols.c12.plugin.downlink_pipeline import Pipeline, Task
from protocols.c12.plugin.options import C12Options
from protocols.c12.tables.procedures import ProcedureResult
from protocols.c12.titles import ApTitle, decode_title
from protocols.errors import CodecError, LocalProtocolError, RemoteProtocolError
from protocols.plugin import (
    Closed,
    Command,
    Counters,
    Credentials,
    Declined,
    Executed,
    LogRead,
    Opened,
    Outcome,
    ReadDone,
    SessionOptions,
)
from protocols.readings import ReadingBatch

T = TypeVar("T")
Finish: TypeAlias = Callable[[Sequence[Task[Any]]], Outcome]
PART_SIZE: Final = 16_384
"""Octets that one read asks for."""
EVENTS_SEEN: Final = Keepsakes(EventsSeen)
"""What a head-end has seen of meters' event logs; it lasts as long as the head-end's counters."""


class C12PollSession:
    """A C12.22 client of all meters behind one relay.

    When no answer comes in time at all the session is over: no outcome, no deadline, and every
    further request raises. Where only some are missing, what came is the outcome, which
    counts the others. Messages that are not believed (wrong MAC, repeated vector) do not end the
    wait; if they are all that came, running out of time raises and says so.
    """

    def __init__(
        self,
        credentials: Credentials,
        own_title: bytes,
        counters: Counters,
        options: SessionOptions,
        random: Callable[[int], bytes],
    ) -> None:
        self.deadline: float | None = None
        self._options = C12Options.of(options)
        self._name = credentials.name
        self._meters = credentials.members
        self._keys: dict[ApTitle, bytes] = {}
        self._counters = counters
        self._vectors = HeadEndVectors(counters)
        node = Node(
            decode_title(own_title).absolute(),
            lambda peer, _key_id: self._keys.get(peer),
            self._vectors,
            self._vectors,
            self._vectors.utc_s,
        )
        channel = Channel(node, replace(self._options.channel, max_apdu_size=MAX_ANSWER_SIZE))
        self._client = ClientAssociation(channel)
        self._endpoint = Endpoint(channel, client=self._client)
        self._reader = ApduReader(max_apdu_size=MAX_ANSWER_SIZE)
        self._pipeline: Pipeline[Any] | None = None
        self._finish: Finish | None = None
        self._outcome: Outcome | None = None
        self._disbelieved: Refused | None = None
        self._over = False

    # What is asked

    def open(self, *, now: float) -> None:
        """Do nothing: who is meant is said with every request. Outcome: `Opened`."""
        self._require_free()
        self._outcome = Opened()

    def read(
        self, from_s: int, to_s: int, *, meters: Sequence[int] | None = None, now: float
    ) -> None:
        """Ask ``meters``, or every meter, for captures in [from_s, to_s], POSIX seconds.

        Outcome: `ReadDone` with what the meters have that did not refuse, or `Declined` if all did.
        """
        direct = DirectFetch(self._options.schema, from_s, to_s, EVENTS_SEEN.of(self._counters))
        tasks = [
            self._task(peer, self._reading(direct, peer.name)) for peer in self._chosen(meters)
        ]
        self._ask(tasks, partial(self._readings, direct), now)

    def _reading(self, direct: DirectFetch, name: bytes) -> Dialogue[DirectBlocks | ReadingBatch]:
        def general() -> Dialogue[ReadingBatch]:
            schema, span = self._options.schema, (direct.from_s, direct.to_s)
            return reading(MeterFetch(schema, name, *span, max_read=PART_SIZE), self._name)

        return reading_at_once(direct, name, general) if direct.worthwhile else general()

    def _chosen(self, meters: Sequence[int] | None) -> Iterable[Credentials]:
        return self._meters if meters is None else [self._meters[meter] for meter in meters]

    def read_log(self, meter: int, *, now: float) -> None:
        """Ask for a meter's control log. Outcome: `LogRead`, or `Declined`."""
        task = self._task(self._meters[meter], control_log(self._options.schema))
        self._ask([task], _log, now)

    def execute(self, meter: int, command: Command, *, now: float) -> int:
        """Ask a meter to do something; return the vector that the request goes out under.

        In clear a request has no vector, and the control log holds 0 for it: what is returned then
        is found in no log. Outcome: `Executed`, or `Declined` when the meter could not just now or
        did not believe the request; a parameter that no request can carry is answered here.
        """
        self._require_free()
        peer, schema = self._meters[meter], self._options.schema
        promised = self._vectors.promise(peer)
        try:
            procedure = command_procedure(schema, command, promised & 0xFF)
        except CodecError:
            self._vectors.withdraw(peer)
            self._outcome = Executed(False, "parameter out of range")
            return promised
        task = self._task(peer, commanding(schema, procedure), patient=False)
        self._ask([task], _executed, now)
        return promised

    def close(self, *, now: float) -> None:
        """Do nothing: no session outlives its dialogue. Outcome: `Closed`."""
        self._require_free()
        self._outcome = Closed()

    # Octets, time, outcome

    def receive_data(self, data: bytes, *, now: float) -> None:
        """Take octets of the relay.

        Raises:
            CodecError: the stream has lost its framing; close the connection.
        """
        self._reader.feed(data)
        while (apdu := self._reader.next_apdu()) is not None:
            if isinstance(apdu, bytes):
                self._endpoint.receive_apdu(apdu, now)
            else:
                self._endpoint.receive_oversized(apdu)
            self._take_events(now)
        self._advance(now)

    def data_to_send(self) -> bytes:
        """Return the octets to send now, once."""
        return b"".join(self._endpoint.data_to_send())

    def handle_deadline(self, now: float) -> None:
        """Take the time; an answer that is overdue ends the session, if none came at all.

        Raises:
            RemoteProtocolError: only messages came that could not be believed.
        """
        self._endpoint.handle_deadline(now)
        self._take_events(now)
        self._advance(now)
        if self._over and self._disbelieved is not None:
            refused = self._disbelieved
            raise RemoteProtocolError(f"no answer but {refused.kind.value}: {refused.detail}")

    def outcome(self) -> Outcome | None:
        """Return the outcome of the request under way, once it is there."""
        outcome, self._outcome = self._outcome, None
        return outcome

    # Dialogues

    def _task(self, peer: Credentials, dialogue: Dialogue[T], *, patient: bool = True) -> Task[T]:
        """Return a dialogue with a meter; if not ``patient``, nothing of it is said twice."""
        self._keys[absolute_title(peer)] = peer.encryption_key
        asks = self._options.authentication == "password"
        password = Passwords.of(peer).full if asks else None
        if self._options.sessionless:
            return Task(peer, sessionless(dialogue, password), patient)
        return Task(peer, in_session(dialogue, password, resumes=patient), patient)

    def _ask(self, tasks: Sequence[Task[Any]], finish: Finish, now: float) -> None:
        self._require_free()
        self._outcome = self._disbelieved = None
        self._finish = finish
        self._pipeline = Pipeline(
            self._client,
            self._vectors,
            tasks,
            security=self._options.security,
            timeout_s=self._options.timeout_s,
        )
        self._advance(now)

    def _require_free(self) -> None:
        if self._over:
            raise LocalProtocolError("the session is over")
        if self._pipeline is not None:
            raise LocalProtocolError("a request is under way")

    def _take_events(self, now: float) -> None:
        while (event := self._endpoint.next_event()) is not None:
            if isinstance(event, Refused):
                self._disbelieved = event
            elif self._pipeline is not None:
                self._pipeline.take(event, now)

    def _advance(self, now: float) -> None:
        pipeline, finish = self._pipeline, self._finish
        if pipeline is None or finish is None:
            return
        pipeline.advance(now)
        self.deadline = pipeline.deadline
        if pipeline.done:
            self._pipeline = None
            if pipeline.tasks and all(task.unheard for task in pipeline.tasks):
                self._over = True
            else:
                self._outcome = finish(pipeline.tasks)

    def _readings(self, direct: DirectFetch, tasks: Sequence[Task[Any]]) -> Outcome:
        readings = merged(direct, self._name, tasks)
        causes = Counter(task.failure for task in tasks if task.failure is not None)
        if tasks and all(task.result is None for task in tasks):
            return Declined(_told(causes))
        return ReadDone(readings, causes)


def _log(tasks: Sequence[Task[Any]]) -> Outcome:
    (task,) = tasks
    if task.result is None:
        return Declined(f"control log: {task.failure}")
    return LogRead(task.result)


def _executed(tasks: Sequence[Task[Any]]) -> Outcome:
    (task,) = tasks
    if task.result is None:
        return Declined(str(task.failure))
    result = ProcedureResult(task.result)
    return Executed(result <= ProcedureResult.ACCEPTED, result.name.lower().replace("_", " "))


def _told(causes: Mapping[str, int]) -> str:
    return ", ".join(f"{cause} ({count} meters)" for cause, count in sorted(causes.items()))
