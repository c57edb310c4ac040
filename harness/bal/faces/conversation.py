"""What a face's end of one connection can do, and what all of them need of the layer."""

from __future__ import annotations

import secrets
from itertools import count
from typing import Protocol

# Two runs of a process must never give two commands one name.
_RUN = secrets.token_hex(8)
_NUMBERS = count(1)


class Conversation(Protocol):
    """One connection: octets in, answers out, one after the other."""

    @property
    def closed(self) -> bool:
        """Whether nothing more will be answered."""

    def receive_data(self, data: bytes) -> None:
        """Take octets, in any split. Never raises for what they hold."""

    def receive_eof(self) -> None:
        """Take the end of the stream."""

    async def next_answer(self) -> bytes:
        """Answer what was asked next, and return the octets; none: nothing was.

        Cancellation: what was commanded may have happened.
        """


def command_name(speaks: str) -> str:
    """Return a name for a command that came without one; no other ever has it."""
    return f"{speaks}-{_RUN}-{next(_NUMBERS)}"
