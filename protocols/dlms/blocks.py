"""Block transfer: long GET answers, long SET values, long ACTION parameters and answers.

Theory of operation
-------------------
Two small machines do all of it. `BlockSender` cuts octets into numbered blocks and hands out the
next one only when the last was acknowledged; `BlockReceiver` puts them together. Which APDU
carries a block, and which acknowledges it, is the session's business:

=========================  =======================  ==========================
transfer                   block                    acknowledgement
=========================  =======================  ==========================
GET answer                 GetResponseWithDataBlock GetRequestNext
SET value                  SetRequestWith...Block   SetResponseDataBlock
ACTION parameters          ActionRequestWith...Block ActionResponseNextPBlock
ACTION answer              ActionResponseWithPBlock ActionRequestNextPBlock
=========================  =======================  ==========================

Blocks count from 1 (Green Book 9.4.6.4 to 9.4.6.6). A block that is skipped, repeated or too much
ends the transfer: `BlockError` carries the standard's own result, and the machine is done.
General block transfer has its own APDU, window and streaming, and comes as a third machine
beside these two; nothing here needs to change for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from protocols.dlms.apdu import DataAccessResult
from protocols.errors import RemoteProtocolError

FIRST_BLOCK: Final = 1
MAX_TRANSFER_SIZE: Final = 16 << 20
"""Octets of one long transfer, unless told otherwise: a peer does not choose our memory use."""


class Transfer(Enum):
    """What a long transfer carries."""

    GET = auto()
    SET = auto()
    ACTION = auto()


ABORTED: Final = {
    Transfer.GET: DataAccessResult.LONG_GET_ABORTED,
    Transfer.SET: DataAccessResult.LONG_SET_ABORTED,
    # ActionResult: long-action-aborted has the number of long-get-aborted (15).
    Transfer.ACTION: DataAccessResult.LONG_GET_ABORTED,
}
NOT_IN_PROGRESS: Final = {
    Transfer.GET: DataAccessResult.NO_LONG_GET_IN_PROGRESS,
    Transfer.SET: DataAccessResult.NO_LONG_SET_IN_PROGRESS,
    # ActionResult: no-long-action-in-progress has the number of no-long-get-in-progress (16).
    Transfer.ACTION: DataAccessResult.NO_LONG_GET_IN_PROGRESS,
}


class BlockError(RemoteProtocolError):
    """The peer broke a long transfer; ``result`` is what the standard answers."""

    def __init__(self, message: str, result: DataAccessResult) -> None:
        super().__init__(message)
        self.result = result

    @classmethod
    def not_in_progress(cls, transfer: Transfer) -> BlockError:
        """Return the error for a block of a transfer that nobody began."""
        return cls(f"no long {transfer.name} in progress", NOT_IN_PROGRESS[transfer])

    @classmethod
    def aborted(cls, transfer: Transfer, why: str) -> BlockError:
        """Return the error for a transfer that cannot go on."""
        return cls(f"long {transfer.name} aborted: {why}", ABORTED[transfer])


@dataclass(frozen=True, slots=True)
class Block:
    """One block: its number (from 1), whether it is the last, and its octets."""

    number: int
    last: bool
    raw_data: bytes


class BlockSender:
    """Hands out ``payload`` in blocks of at most ``block_size`` octets."""

    __slots__ = ("_block_size", "_number", "_payload", "_transfer")

    def __init__(self, transfer: Transfer, payload: bytes, block_size: int) -> None:
        if block_size < 1:
            raise ValueError(f"block size {block_size}")
        self._transfer = transfer
        self._payload = payload
        self._block_size = block_size
        self._number = 0

    @property
    def number(self) -> int:
        """The block that was handed out last; 0 before the first."""
        return self._number

    @property
    def finished(self) -> bool:
        """Whether the last block was handed out."""
        return self._number > 0 and self._number * self._block_size >= len(self._payload)

    def first(self) -> Block:
        """Return block 1."""
        self._number = FIRST_BLOCK
        return self._current()

    def acknowledged(self, number: int) -> Block:
        """Take the acknowledgement of block ``number`` and return the next block.

        Raises `BlockError` when that is not the block handed out last, or when there is no next.
        """
        if number != self._number:
            raise BlockError(
                f"block {number} acknowledged, {self._number} was sent",
                DataAccessResult.DATA_BLOCK_NUMBER_INVALID,
            )
        if self.finished:
            raise BlockError.not_in_progress(self._transfer)
        self._number += 1
        return self._current()

    def _current(self) -> Block:
        start = (self._number - 1) * self._block_size
        raw_data = self._payload[start : start + self._block_size]
        return Block(self._number, self.finished, raw_data)


class BlockReceiver:
    """Puts blocks together; holds at most ``limit`` octets."""

    __slots__ = ("_limit", "_number", "_payload", "_transfer", "finished")

    def __init__(self, transfer: Transfer, *, limit: int = MAX_TRANSFER_SIZE) -> None:
        self._transfer = transfer
        self._limit = limit
        self._payload = bytearray()
        self._number = 0
        self.finished = False

    @property
    def number(self) -> int:
        """The block received last; 0 before the first."""
        return self._number

    def receive(self, block: Block) -> bytes | None:
        """Take the next block; return all octets with the last one, ``None`` before.

        Raises `BlockError` for a block out of turn and for more octets than the limit.
        """
        if self.finished:
            raise BlockError.not_in_progress(self._transfer)
        if block.number != self._number + 1:
            self.finished = True
            raise BlockError(
                f"block {block.number} after {self._number}",
                DataAccessResult.DATA_BLOCK_NUMBER_INVALID,
            )
        if len(self._payload) + len(block.raw_data) > self._limit:
            self.finished = True
            raise BlockError.aborted(self._transfer, f"more than {self._limit} octets")
        self._number = block.number
        self._payload += block.raw_data
        self.finished = block.last
        return bytes(self._payload) if block.last else None
