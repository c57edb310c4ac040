"""What a dialect is to the two sessions: its octets, on either end of one connection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from protocols.batteries.faults import Fault
from protocols.batteries.values import (
    MAX_CURRENT_MA,
    MAX_NAME_SIZE,
    MAX_QUANTITY,
    Refusal,
    Reply,
    Request,
)
from protocols.errors import CodecError


@dataclass(frozen=True, slots=True)
class Rejection:
    """A request that the dialect refuses by itself: what to answer, and how to count it."""

    octets: bytes
    fault: Fault
    reason: str


class ServerEnd(Protocol):
    """The battery's end: requests in, replies out."""

    def feed(self, data: bytes) -> None:
        """Append octets of the peer, in any split."""

    @property
    def buffered(self) -> int:
        """How many octets wait for the rest of their message."""

    def next_request(self) -> Request | Rejection | None:
        """Return the next request; ``None``: more octets are needed.

        Raises `CodecError` when the stream has lost its framing: nothing more can be read.
        """

    def encode(self, request: Request, reply: Reply) -> bytes:
        """Return the octets of the answer to ``request``; raises `CodecError`."""

    def last_words(self, reason: str) -> bytes:
        """Return what ends the wait of a peer whose stream has lost its framing."""


class ClientEnd(Protocol):
    """The asker's end: requests out, replies in."""

    def encode(self, request: Request) -> bytes:
        """Return the octets of ``request``; raises `CodecError` for what the dialect lacks."""

    def feed(self, data: bytes) -> None:
        """Append octets of the peer, in any split."""

    @property
    def buffered(self) -> int:
        """How many octets wait for the rest of their message."""

    def next_reply(self, request: Request | None) -> Reply | None:
        """Return the answer to ``request``; ``None``: more octets are needed.

        With no request, whatever came is passed over, as a `Refusal`. Raises `CodecError` for what
        cannot be an answer.
        """


@dataclass(frozen=True, slots=True)
class Dialect:
    """A way to speak to networked batteries; ``port`` is where the public code listens."""

    name: str
    server: Callable[[], ServerEnd]
    client: Callable[[], ClientEnd]
    port: int | None = None


class StreamReader(Protocol):
    """Cuts a stream into messages."""

    @property
    def buffered(self) -> int:
        """How many octets wait for the rest of their message."""

    def feed(self, data: bytes) -> None:
        """Append octets, in any split."""


ReaderT = TypeVar("ReaderT", bound=StreamReader)


class ReadingEnd(Generic[ReaderT]):
    """An end whose messages ``reader`` cuts out of the stream."""

    def __init__(self, reader: ReaderT) -> None:
        self._reader = reader

    @property
    def buffered(self) -> int:
        """How many octets wait for the rest of their message."""
        return self._reader.buffered

    def feed(self, data: bytes) -> None:
        """Append octets of the peer, in any split."""
        self._reader.feed(data)


def check_current(current_ma: int, codec: str) -> None:
    """Raise `CodecError` for a current that no battery has."""
    if abs(current_ma) > MAX_CURRENT_MA:
        raise CodecError(f"{current_ma} mA", codec=codec, path="current")


def check_quantity(quantity: int, codec: str, path: str) -> None:
    """Raise `CodecError` for what no battery can say of itself: a voltage, a current, a charge."""
    if abs(quantity) > MAX_QUANTITY:
        raise CodecError(f"{quantity} thousandths", codec=codec, path=path)


def encode_name(name: str, codec: str) -> bytes:
    """Return a battery's name as octets; raises `CodecError` when it is empty or too long."""
    octets = name.encode("utf-8", "surrogatepass")
    if not 1 <= len(octets) <= MAX_NAME_SIZE or b"\0" in octets:
        raise CodecError(f"{len(octets)} octets", codec=codec, path="name")
    return octets


def decode_name(octets: bytes, codec: str) -> str:
    """Return a battery's name; raises `CodecError` when it is none."""
    try:
        name = octets.decode("utf-8")
    except UnicodeDecodeError as problem:
        raise CodecError("is no UTF-8", codec=codec, path="name") from problem
    encode_name(name, codec)
    return name


PASSED_OVER: Final = Refusal("nobody asked")
