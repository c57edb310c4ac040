"""What a server has answered, so that a client that missed it is answered again.

Bounded in number and in time; the oldest answer goes first.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from protocols.c12.association.events import Opened
from protocols.c12.options import ServerOptions
from protocols.c12.services import Response
from protocols.c12.titles import ApTitle


@dataclass(frozen=True, slots=True)
class Remembered:
    """An answer, and whether the request has opened a session."""

    services: tuple[bytes, ...]
    responses: tuple[Response, ...]
    until: float
    opened_session: bool


class AnsweredRequests:
    """Answers by title and invocation id, as long as the options say."""

    __slots__ = ("_answers", "_options")

    def __init__(self, options: ServerOptions) -> None:
        self._options = options
        self._answers: OrderedDict[tuple[ApTitle, bytes], Remembered] = OrderedDict()

    def find(self, opened: Opened, now: float) -> Remembered | None:
        """Return what the same request was answered before, or ``None``."""
        found = self._answers.get((opened.peer, opened.message.header.calling_invocation))
        if found is None or found.until <= now:
            return None
        return found if found.services == opened.message.epsem.services else None

    def remember(
        self, opened: Opened, responses: tuple[Response, ...], now: float, *, opened_session: bool
    ) -> None:
        """Keep the answer to a request from ``now`` on."""
        if not self._options.remembered_answers:
            return
        key = opened.peer, opened.message.header.calling_invocation
        self._answers.pop(key, None)
        while len(self._answers) >= self._options.remembered_answers:
            self._answers.popitem(last=False)
        until = now + self._options.remembered_for_s
        services = opened.message.epsem.services
        self._answers[key] = Remembered(services, responses, until, opened_session)

    def forget(self, peer: ApTitle) -> None:
        """A session begins or ends, and invocation ids start again: no repetition of old ones."""
        for key in [key for key in self._answers if key[0] == peer]:
            del self._answers[key]
