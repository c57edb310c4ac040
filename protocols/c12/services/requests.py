"""What one party asks of the other: one frozen dataclass for each service.

Titles are BER elements, tag and length included: ``06`` absolute, ``80`` or ``0D`` relative.
Integers are unsigned; the widths are the wire's, and encoding refuses what does not fit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Identify:
    """Who are you, and what can you do? (20)."""


@dataclass(frozen=True, slots=True)
class Terminate:
    """End the session at once, whatever its state (21)."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """End the session and hang up (22; C12.21, C12.22)."""


@dataclass(frozen=True, slots=True)
class Deregister:
    """Forget the node of this ``title`` (24, C12.22)."""

    title: bytes


@dataclass(frozen=True, slots=True)
class Resolve:
    """Which native address has this ``title``? (25, C12.22)."""

    title: bytes


@dataclass(frozen=True, slots=True)
class Trace:
    """Which relays lead there? Each one on the way appends its own title (26, C12.22)."""

    titles: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Register:
    """A node makes itself known (27, C12.22).

    ``device_class`` is 4 octets; ``serial_number`` is a BER element like a title; ``period_s``
    (u24) is how long the registration should hold; ``pattern`` is there when bit 7 of
    ``node_type`` is set and only then.
    """

    node_type: int
    connection_type: int
    device_class: bytes
    title: bytes
    serial_number: bytes
    address: bytes
    period_s: int
    pattern: bytes | None = None


@dataclass(frozen=True, slots=True)
class FullRead:
    """Read table ``table`` (u16; manufacturer tables are 2048 + n) whole (30)."""

    table: int


@dataclass(frozen=True, slots=True)
class IndexRead:
    """Read ``count`` elements from where 1 to 9 ``indexes`` (u16) point (31 to 39)."""

    table: int
    indexes: tuple[int, ...]
    count: int


@dataclass(frozen=True, slots=True)
class OffsetRead:
    """Read ``count`` octets (u16) from octet ``offset`` (u24) on (3F)."""

    table: int
    offset: int
    count: int


@dataclass(frozen=True, slots=True)
class DefaultRead:
    """Read the default table (3E)."""


@dataclass(frozen=True, slots=True)
class FullWrite:
    """Write table ``table`` whole (40)."""

    table: int
    data: bytes


@dataclass(frozen=True, slots=True)
class IndexWrite:
    """Write ``data`` to where 1 to 9 ``indexes`` (u16) point (41 to 49)."""

    table: int
    indexes: tuple[int, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class OffsetWrite:
    """Write ``data`` from octet ``offset`` (u24) on (4F)."""

    table: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Logon:
    """Open a session as ``user`` (10 octets); only C12.22 says after what silence it ends (50)."""

    user_id: int
    user: bytes
    timeout_s: int | None = None


@dataclass(frozen=True, slots=True)
class Security:
    """Prove who one is by a password of 20 octets; sessionless C12.22 adds ``user_id`` (51)."""

    password: bytes = field(repr=False)
    user_id: int | None = None


@dataclass(frozen=True, slots=True)
class Logoff:
    """Close the session (52)."""


@dataclass(frozen=True, slots=True)
class Authenticate:
    """Prove who one is by the ticket of Identify, encrypted under key ``key_id`` (53; not C12.18).

    ``ticket`` is 8 octets under DES, 16 under AES, and never more than 254.
    """

    key_id: int
    ticket: bytes


@dataclass(frozen=True, slots=True)
class Negotiate:
    """What this side can take: ``packet_size`` octets (u16), ``packets`` of them (u8) (60 to 6B).

    ``baud_codes`` are keys of `BAUD_RATES`, at most 11; ``channels`` is on the local port of
    C12.22 only.
    """

    packet_size: int
    packets: int
    baud_codes: bytes = b""
    channels: int | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Keep the session through this silence of ``seconds`` (u8) (70)."""

    seconds: int


@dataclass(frozen=True, slots=True)
class TimingSetup:
    """Use these timeouts, in whole seconds (u8 each), and this many retries (71)."""

    traffic_s: int
    inter_character_s: int
    response_s: int
    retries: int


@dataclass(frozen=True, slots=True)
class GetConfiguration:
    """The communication module asks the device for its configuration (72, local port)."""


@dataclass(frozen=True, slots=True)
class LinkControl:
    """Steer the communication module's interface by one octet of ``control`` bits (73)."""

    control: int


@dataclass(frozen=True, slots=True)
class SendMessage:
    """Carry an ACSE ``message`` to or from a native ``address`` of up to 255 octets (74)."""

    address: bytes
    message: bytes


@dataclass(frozen=True, slots=True)
class GetStatus:
    """Ask the communication module for the status that ``control`` names (75)."""

    control: int


@dataclass(frozen=True, slots=True)
class GetRegistrationStatus:
    """Ask the communication module whether the device is registered (76)."""


@dataclass(frozen=True, slots=True)
class SendShortMessage:
    """Carry a ``message`` that is not ACSE to or from a native ``address`` (77)."""

    address: bytes
    message: bytes


Request: TypeAlias = (
    "Identify | Terminate | Disconnect | Deregister | Resolve | Trace | Register"
    " | FullRead | IndexRead | OffsetRead | DefaultRead | FullWrite | IndexWrite | OffsetWrite"
    " | Logon | Security | Logoff | Authenticate | Negotiate | Wait | TimingSetup"
    " | GetConfiguration | LinkControl | SendMessage | GetStatus | GetRegistrationStatus"
    " | SendShortMessage"
)
