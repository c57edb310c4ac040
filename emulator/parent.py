"""A process that obeys whoever started it, over an inherited socket: how it lives.

It ends when told to, and when its parent is gone.
"""

from __future__ import annotations

import gc
import signal
from typing import Final

import trio
from structlog import get_logger

from emulator.descriptors import raise_descriptor_limit
from emulator.logs import log_to_stderr
from emulator.messages import MessageStream
from protocols.framing import Message

STOP: Final = "stop"
log = get_logger(__name__)


class Parent:
    """Whoever started this process; ``descriptor`` is the socket inherited from it."""

    def __init__(self, descriptor: int) -> None:
        self._stream = MessageStream.of_descriptor(descriptor)

    async def next_order(self) -> Message:
        """Return the next order; a parent that is gone has ordered to stop.

        Raises `CodecError` on a malformed one. Cancellation loses nothing.
        """
        try:
            return await self._stream.receive() or {"do": STOP}
        except trio.BrokenResourceError:
            return {"do": STOP}

    async def tell(self, message: Message) -> None:
        """Tell something; a parent that is gone need not know."""
        try:
            await self._stream.send(message)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            log.info("parent is gone")

    async def aclose(self) -> None:
        """Hang up."""
        await self._stream.aclose()


def begin_obeying() -> None:
    """Do what such a process does first of all."""
    log_to_stderr()
    # An interrupt at the terminal reaches the whole group; whoever started us tells us when to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise_descriptor_limit()
    # The collector is the largest cost of a loop with thousands of tasks: half of it, measured.
    gc.set_threshold(100_000, 50, 1000)


def keep_what_exists() -> None:
    """Keep the garbage collector off what exists now: it lives as long as the process."""
    gc.collect()
    gc.freeze()
