"""A concentrator's connection to its head-end, and what can go wrong with it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import trio

from emulator.fleet_config import PushTimers
from emulator.tally import Tally
from netem.draws import mix_one
from netem.shaper import ShapedStream
from protocols.errors import ProtocolError
from protocols.plugin import PushSession

RECEIVE_SIZE: Final = 16_384
ATTEMPTS_TOLD_APART: Final = 256
PUSHES_TOLD_APART: Final = 256


class HeadEndClosedError(trio.BrokenResourceError):
    """The head-end closed the connection before it confirmed a push."""


class UnconfirmedError(trio.BrokenResourceError):
    """The head-end answered every message of a push, and did not confirm it."""


class CutOffError(trio.BrokenResourceError):
    """The concentrator became unreachable while it was dialling."""


FAILURES: Final = (
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    trio.TooSlowError,
    OSError,
    ProtocolError,
)


@dataclass(frozen=True, slots=True)
class Connection:
    """A stream to the head-end, and the pushing session that talks over it."""

    stream: ShapedStream
    session: PushSession
    tally: Tally

    async def exchange(self, number: int, attempt: int, within_s: float) -> tuple[int, set[int]]:
        """Converse until the session waits for nothing more.

        Args:
            number: of the push or other exchange; keys the link's draws, with ``attempt``.
            attempt: at that exchange, from 0.
            within_s: real seconds it may take without getting on: many nodes that register one
                after the other get on, however long it takes in all.

        Returns:
            How many octets were sent, and which pushes were confirmed.

        Raises one of `FAILURES`. Cancellation: what was sent may have been confirmed.
        """
        session, sent, confirmed = self.session, 0, set[int]()
        self.stream.begin_exchange(number, attempt)
        try:
            with trio.fail_after(within_s) as patience:
                while not session.idle:
                    sent += await self._say()
                    if not session.idle:
                        await self._hear()
                    confirmed.update(session.confirmed())
                    if self._note():
                        patience.deadline = trio.current_time() + within_s
        finally:
            self._note()
        return sent, confirmed

    async def _say(self) -> int:
        octets = self.session.data_to_send()
        if octets:
            await self.stream.send_all(octets)
            self.tally.carried(sent=len(octets))
        return len(octets)

    async def _hear(self) -> None:
        """Give the session octets of the head-end, or the time once its deadline has come."""
        deadline, data = self.session.deadline, None
        with trio.move_on_at(math.inf if deadline is None else deadline):
            data = await self.stream.receive_some(RECEIVE_SIZE)
        now = trio.current_time()
        if data is None:
            self.session.handle_deadline(now)
            return
        if not data:
            raise HeadEndClosedError("the head-end closed before it confirmed")
        self.tally.carried(received=len(data))
        self.session.receive_data(bytes(data), now=now)

    def _note(self) -> bool:
        """Count what happened; tell whether anything did that is no mere refusal."""
        for cause in self.session.refusals():
            self.tally.count(f"push.refused: {cause}")
        happened = self.session.happened()
        for what, times in happened.items():
            self.tally.count(what, times)
        return bool(happened)


def back_off_s(timers: PushTimers, key: int, number: int, push: int, attempt: int) -> float:
    """Return how long a concentrator waits after an attempt that failed, in real seconds.

    Doubled from attempt to attempt up to a bound, of which a draw takes between nothing and half.

    Args:
        timers: shortest and longest.
        key: the stream of the draws.
        number: of the concentrator.
        push: which of its pushes.
        attempt: at that push, from 0.
    """
    longest_s: float = min(timers.back_off_max_s, timers.back_off_min_s * 2 ** min(attempt, 16))
    counter = number * PUSHES_TOLD_APART + push % PUSHES_TOLD_APART
    counter = counter * ATTEMPTS_TOLD_APART + min(attempt, ATTEMPTS_TOLD_APART - 1)
    share = mix_one(key, counter) / 2**64
    return longest_s * (0.5 + share / 2)


def cause_of(error: BaseException) -> str:
    """Return the short name under which a failure is counted."""
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, trio.TooSlowError):
        return "no confirmation in time"
    if isinstance(error, TimeoutError):
        return "no connection over the link"
    if isinstance(error, HeadEndClosedError):
        return "closed by the head-end"
    if isinstance(error, UnconfirmedError):
        return "not confirmed"
    if isinstance(error, CutOffError):
        return "cut off while dialling"
    if isinstance(error, ProtocolError):
        return f"protocol: {type(error).__name__}"
    return "connection broken"
