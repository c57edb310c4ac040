"""What the emulator's process is told and asks: one JSON object to a line, over a socket pair.

The first line is a `Setup`, answered without an id; then come requests, each with an ``id`` that
its answer repeats. An answer holds ``answer`` or ``error``. Whoever holds the other end owns the
process, which ends when that closes.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Final, Literal

from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, TypeAdapter

from netem.packet.scheduler import Bounds
from netem.profiles import LinkOptions, LinkProfile

LONGEST_LINE: Final = 16 << 20
"""Octets; a setup of 50,000 concentrators takes 70 kB and what the profiles take."""


class LineError(ValueError):
    """The other end sent what is no line of this protocol."""


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Setup(_Message):
    """The links to emulate."""

    profiles: tuple[LinkProfile, ...]
    """By link class, as `LinkProfile.each_way` made them."""
    category: Base64Bytes
    """Link class of each concentrator, one octet each."""
    options: LinkOptions
    seed: int
    bounds: Bounds = Bounds()


class Change(_Message):
    """Links become others: those of a class, or some of them."""

    do: Literal["change"] = "change"
    id: int
    category: int
    profile: LinkProfile
    numbers: tuple[int, ...] | None = None


class Count(_Message):
    """All counts so far are asked for."""

    do: Literal["count"] = "count"
    id: int


Request = Annotated[Change | Count, Field(discriminator="do")]
REQUEST: Final[TypeAdapter[Change | Count]] = TypeAdapter(Request)


def line_of(message: BaseModel | dict[str, Any]) -> bytes:
    """Return ``message`` as a line."""
    text = message.model_dump_json() if isinstance(message, BaseModel) else json.dumps(message)
    return text.encode() + b"\n"


class LineReader:
    """Puts lines together from whatever pieces they come in."""

    def __init__(self, longest: int = LONGEST_LINE) -> None:
        self._longest = longest
        self._rest = bytearray()

    def feed(self, octets: bytes) -> list[bytes]:
        """Return the lines that ``octets`` complete, without their ends.

        Raises:
            LineError: a line is longer than it may be.
        """
        self._rest += octets
        *lines, rest = self._rest.split(b"\n")
        self._rest = rest
        if len(rest) > self._longest:
            raise LineError(f"a line is longer than {self._longest:,} octets")
        return [bytes(line) for line in lines]
