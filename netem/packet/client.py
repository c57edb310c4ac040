"""The owner's end of the emulator's control socket."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import trio
from pydantic import BaseModel

from netem.lab import LabError
from netem.packet.control import LineReader, Setup, line_of

ANSWER_S: Final = 10.0
"""How long the emulator may take to answer; a change of 50,000 links takes some 50 ms."""
_MEND: Final = "see the log of the run; give the machine more processors if it was overloaded"
_RECEIVE_OCTETS: Final = 65_536


class EmulatorClient:
    """Tells and asks an emulator's process; several tasks may, one after the other."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._lines = LineReader()
        self._pending: list[bytes] = []
        self._lock = trio.Lock()
        self._asked = 0

    async def set_up(self, setup: Setup) -> None:
        """Say which links to emulate, and wait until they are.

        Raises:
            LabError: it refuses them, ended or does not answer.
        """
        _checked(await self._exchange(line_of(setup), None))

    async def ask(self, request: Callable[[int], BaseModel]) -> Any:  # noqa: ANN401 - JSON
        """Return the answer to the request that ``request`` makes of its id.

        A request that was begun is finished even where its caller is cancelled, so that answers
        stay beside their questions.

        Raises:
            LabError: it was refused, or the emulator ended or does not answer.
        """
        async with self._lock:
            self._asked += 1
            return _checked(await self._exchange(line_of(request(self._asked)), self._asked))

    async def aclose(self) -> None:
        """Close the socket, which ends the emulator."""
        await trio.aclose_forcefully(self._stream)

    async def _exchange(self, line: bytes, number: int | None) -> dict[str, Any]:
        try:
            with trio.fail_after(ANSWER_S) as scope:
                scope.shield = True
                await self._stream.send_all(line)
                return await self._answer(number)
        except trio.TooSlowError:
            raise LabError(
                f"the packet emulator did not answer in {ANSWER_S:.0f} s", _MEND
            ) from None
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise LabError("the packet emulator has ended", _MEND) from error

    async def _answer(self, number: int | None) -> dict[str, Any]:
        """Return the answer with id ``number``; one before it came too late for its question."""
        while True:
            while self._pending:
                answer: dict[str, Any] = json.loads(self._pending.pop(0))
                if answer.get("id") == number:
                    return answer
            octets = await self._stream.receive_some(_RECEIVE_OCTETS)
            if not octets:
                raise LabError("the packet emulator has ended", _MEND)
            self._pending += self._lines.feed(bytes(octets))


def _checked(answer: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
    if "error" in answer:
        raise LabError(answer["error"], "ask for links that are there")
    return answer["answer"]
