"""What sessions and their owners hand each other: commands, credentials, options."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Protocol, TypeAlias


class CommandKind(StrEnum):
    """What a head-end can ask of a single meter."""

    DISCONNECT = "disconnect"
    RECONNECT = "reconnect"
    SEGMENT = "segment"
    TARIFF = "tariff"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Command:
    """A command to a single meter.

    ``parameter``: for ``segment`` the consumption segment (1..8) shifted left by one, plus 1 to
    close or 0 to open it; for ``tariff`` the rate to activate (1..2); for ``time`` POSIX seconds
    (UTC); otherwise 0.
    """

    kind: CommandKind
    parameter: int = 0


@dataclass(frozen=True, slots=True)
class Execution:
    """One line of a meter's control log: what it was made to do, when, and under which request.

    ``counter`` is the invocation counter of the request that caused it (0 where the request had
    none): it lets a head-end that lost the answer find out whether its command was executed.
    """

    command: Command
    at_s: int
    counter: int


@dataclass(frozen=True, slots=True)
class RegisterDescription:
    """One register of the capture profile: its OBIS code, unit and scaler."""

    name: str
    logical_name: bytes
    unit: int
    scaler: int


class Members(Protocol):
    """The meters behind one concentrator that are nodes of their own, by number within it."""

    def __len__(self) -> int:
        """Return how many there are."""

    def __getitem__(self, meter: int, /) -> Credentials:
        """Return what a meter shares with the head-end; ``name`` is its device name.

        Raises `IndexError`: there is no such meter.
        """

    def __iter__(self) -> Iterator[Credentials]:
        """Go through them in order."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What one device and its head-end share. ``repr`` shows no secret.

    ``system_title`` is what it is called on the wire (a DLMS system title, a C12.22 ApTitle as the
    octets of its element); ``name`` its device name, where the protocol needs it; ``members`` the
    meters behind it that have credentials of their own, ``behind`` what the concentrator of a
    meter is called on the wire.
    """

    system_title: bytes
    encryption_key: bytes
    authentication_key: bytes
    secret: bytes
    name: bytes = b""
    members: Members = ()
    behind: bytes = b""

    def __repr__(self) -> str:
        return f"Credentials(system_title={self.system_title.hex()})"


PeerLookup: TypeAlias = Callable[[bytes], Credentials | None]
"""From what a peer is called on the wire to what is shared with it."""


class MeterMode(IntEnum):
    """What a meter is doing (C12.19 table 3, ED_MODE)."""

    METERING = 0
    TEST = 1
    SHOP = 2
    FACTORY = 3


@dataclass(slots=True)
class MeterState:
    """What somebody has made of a meter since it was switched on; the only thing it remembers.

    ``status_bits``: standard status of C12.19 table 3, bit n for status n. ``busy``, ``locked`` and
    ``ready`` make it answer that it cannot just now; where it is not ``reachable`` it does not
    answer at all, and whoever carries messages to it says so. ``told_mode``: a client has set the
    mode, so that it stays. ``written`` holds tables that were written, by number.
    """

    mode: MeterMode = MeterMode.METERING
    status_bits: int = 0
    busy: bool = False
    locked: bool = False
    ready: bool = True
    reachable: bool = True
    told_mode: bool = False
    written: dict[int, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """How the sessions of a run protect what they say.

    ``authentication``: "none", "lls" or "gmac"; ``protection``: "ciphered", "authenticated" or
    "clear"; ``timeout_s``: real seconds a client waits for one answer;
    ``particular`` is what one protocol only understands, by name.
    """

    authentication: str = "gmac"
    protection: str = "ciphered"
    confirmed: bool = True
    timeout_s: float = 30.0
    particular: Mapping[str, object] = field(default_factory=dict)
