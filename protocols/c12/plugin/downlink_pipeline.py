"""Many dialogues at once over one connection: so many messages under way, the others in a queue.

A meter that cannot just now (busy, not ready, locked) is asked again after a while, in a dialogue
that may be repeated; every other refusal ends the dialogue it befell, and no other one.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeAlias, TypeVar

from protocols.c12.association import (
    Answered,
    ClientAssociation,
    Delivery,
    Event,
    Failure,
    RequestFailed,
    RequestRefused,
)
from protocols.c12.epsem import SecurityMode
from protocols.c12.plugin.downlink import HeadEndVectors, absolute_title
from protocols.c12.plugin.downlink_dialogues import Dialogue, RefusedByMeter
from protocols.c12.plugin.naming import key_id_of
from protocols.c12.services import Request, Response, ResponseCode, Security, ok
from protocols.c12.titles import ApTitle, decode_title
from protocols.errors import CodecError, RemoteProtocolError
from protocols.plugin import Credentials

T = TypeVar("T")

WINDOW: Final = 16
"""Messages under way at a time. They come to a relay together and hold it up together, and what
emulates it all the others, too; a few round trips more cost less."""
NOT_NOW: Final = frozenset(
    {ResponseCode.DEVICE_BUSY, ResponseCode.DATA_NOT_READY, ResponseCode.DATA_LOCKED}
)
"""What passes: ask again."""
ATTEMPTS: Final = 6
FIRST_PAUSE_S: Final = 0.1
"""Before the first repetition, doubled before each further one: 3.1 s in all."""


@dataclass(slots=True, eq=False)
class Task(Generic[T]):
    """A dialogue with one meter. ``patient``: its messages may be repeated.

    In the end ``result`` is there, or ``failure`` says why it is not; ``unheard``: no answer came.
    """

    peer: Credentials
    dialogue: Dialogue[T]
    patient: bool = True
    result: T | None = None
    failure: str | None = None
    unheard: bool = False
    attempts: int = 0
    requests: tuple[Request, ...] = ()


_Key: TypeAlias = tuple[ApTitle, int]


class Pipeline(Generic[T]):
    """Holds ``tasks`` until all have ended; see `done`."""

    def __init__(
        self,
        client: ClientAssociation,
        vectors: HeadEndVectors,
        tasks: Sequence[Task[T]],
        *,
        security: SecurityMode,
        timeout_s: float,
    ) -> None:
        self.tasks = tasks
        self._client = client
        self._vectors = vectors
        self._security = security
        self._timeout_s = timeout_s
        self._queue = deque(tasks)
        self._under_way: dict[_Key, Task[T]] = {}
        self._waiting: list[tuple[float, int, Task[T]]] = []
        self._pauses = 0
        self._answer_deadline = 0.0

    @property
    def done(self) -> bool:
        """Whether all tasks have ended."""
        return not (self._queue or self._under_way or self._waiting)

    @property
    def deadline(self) -> float | None:
        """When `advance` wants to be called though nothing came.

        Answers are overdue only together, once the last one is: whoever runs into this time has
        something to send then, or is done.
        """
        times = [self._answer_deadline] if self._under_way else []
        if self._waiting and len(self._under_way) < WINDOW:
            times.append(self._waiting[0][0])
        return min(times, default=None)

    def advance(self, now: float) -> None:
        """Send what may go out now. Raises what `ClientAssociation.request` does."""
        while len(self._under_way) < WINDOW:
            if self._waiting and self._waiting[0][0] <= now:
                self._send(heapq.heappop(self._waiting)[2], now)
            elif self._queue:
                task = self._queue.popleft()
                self._go_on(task, None, now)
            else:
                break

    def take(self, event: Event, now: float) -> None:
        """Take what became of a message."""
        match event:
            case Answered(invocation=invocation, peer=peer, responses=responses):
                task = self._under_way.pop((peer, invocation), None)
                if task is not None:
                    self._answered(task, responses, now)
            case RequestRefused(invocation=invocation, peer=peer, code=code):
                task = self._under_way.pop((peer, invocation), None)
                if task is not None:
                    self._answered(task, (Response(code),), now)
            case RequestFailed(invocation=invocation, peer=peer, failure=failure):
                task = self._under_way.pop((peer, invocation), None)
                if task is not None:
                    self._client.forget_session(peer)
                    task.unheard = failure is Failure.TIMED_OUT
                    task.failure = "no answer in time" if task.unheard else "session ended"

    def _answered(self, task: Task[T], responses: tuple[Response, ...], now: float) -> None:
        codes = [response.code for response in responses]
        again = task.patient and task.attempts < ATTEMPTS - 1
        if again and not NOT_NOW.isdisjoint(codes):
            pause_s = FIRST_PAUSE_S * 2**task.attempts
            task.attempts += 1
            self._pauses += 1
            heapq.heappush(self._waiting, (now + pause_s, self._pauses, task))
            return
        task.attempts = 0
        self._go_on(task, responses, now)

    def _go_on(self, task: Task[T], responses: tuple[Response, ...] | None, now: float) -> None:
        """Let a dialogue have its answer, and send what it says next."""
        try:
            if responses is None:
                task.requests = next(task.dialogue)
            else:
                task.requests = _put(task, responses)
        except StopIteration as stopped:
            task.result = stopped.value
        except RefusedByMeter as refused:
            task.failure = str(refused)
        except (CodecError, RemoteProtocolError) as error:
            task.failure = f"an answer that is none: {error}"
        else:
            self._send(task, now)

    def _send(self, task: Task[T], now: float) -> None:
        self._vectors.address(task.peer)
        delivery = Delivery(
            self._security, key_id_of(task.peer.system_title), timeout_s=self._timeout_s
        )
        called = decode_title(task.peer.system_title)
        invocation = self._client.request(called, task.requests, now=now, delivery=delivery)
        self._under_way[absolute_title(task.peer), invocation] = task
        self._answer_deadline = now + self._timeout_s


def _put(task: Task[T], responses: tuple[Response, ...]) -> tuple[Request, ...]:
    """Return what the dialogue says to ``responses``, one for each of its requests.

    Some peers do not answer the Security of a message, some stop at the first error.
    """
    requests = task.requests
    missing = len(requests) - len(responses)
    if missing == 1 and isinstance(requests[0], Security):
        responses = (ok(), *responses)
    elif missing:
        refused = [one.code for one in responses if one.code is not ResponseCode.OK]
        if refused:
            return task.dialogue.throw(RefusedByMeter(refused[0]))
        what = f"{len(responses)} responses to {len(requests)} requests"
        return task.dialogue.throw(RemoteProtocolError(what))
    return task.dialogue.send(responses)
