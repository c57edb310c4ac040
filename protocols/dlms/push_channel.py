"""What both roles of a push share: framing, sealing, and the checks on what a peer sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol, TypeAlias

from protocols.dlms.apdu import GeneralGloCiphering, decode_apdu, encode_apdu
from protocols.dlms.security import (
    AUTHENTICATED,
    DecipherError,
    ReplayError,
    SecurityControl,
    SecurityKeys,
    SecurityPolicyError,
    TruncatedError,
    UnsupportedSuiteError,
    protect,
    unprotect,
)
from protocols.dlms.security.suites import SYSTEM_TITLE_SIZE
from protocols.dlms.wrapper import Wpdu, WpduReader
from protocols.errors import CodecError, ProtocolError

GENERAL_GLO_CIPHERING: Final = 0xDB


class TakesCounters(Protocol):
    """Hands out invocation counters, each once (`SendCounter`)."""

    def take(self) -> int:
        """Return a counter greater than every one before."""


class ChecksCounters(Protocol):
    """Knows which invocation counters are new (`ReceiveCounter`)."""

    def check(self, counter: int) -> None:
        """Raise `ReplayError` unless ``counter`` is new."""

    def accept(self, counter: int) -> None:
        """Remember ``counter``; raise `ReplayError` unless it is new."""


@dataclass(frozen=True, slots=True)
class PushPeer:
    """What is shared with one peer, and the counters that came from it."""

    keys: SecurityKeys
    counter: ChecksCounters


Lookup: TypeAlias = Callable[[bytes], PushPeer | None]
"""System title (8 octets) -> the peer, or ``None`` for a stranger."""


class RefusalKind(StrEnum):
    """Why a PDU was refused; the values are words for counters and reports."""

    UNKNOWN_SYSTEM_TITLE = "unknown system title"
    WRONG_MAC = "wrong MAC"
    REPLAYED = "replayed"
    TRUNCATED = "truncated"
    OVERSIZED = "oversized"
    MALFORMED = "malformed"
    WRONGLY_TAGGED = "wrongly tagged"
    NOT_CIPHERED = "not ciphered"
    UNSUPPORTED_SUITE = "unsupported suite"
    UNASKED = "unasked confirmation"
    BAD_FRAME = "bad frame"


@dataclass(frozen=True, slots=True)
class PushRefused:
    """A PDU that was refused. ``system_title`` is what it claimed, ``None`` when it did not."""

    kind: RefusalKind
    detail: str
    system_title: bytes | None = None


@dataclass(slots=True)
class FramedStream:
    """Cuts a stream into PDUs, and knows when it has lost its framing."""

    max_apdu_size: int
    _reader: WpduReader = field(init=False)
    _broken: CodecError | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._reader = WpduReader(max_apdu_size=self.max_apdu_size)

    def feed(self, data: bytes) -> tuple[list[Wpdu], PushRefused | None]:
        """Return the PDUs that are whole now, and what ended the stream, if anything did.

        Raises:
            CodecError: it had ended before.
        """
        if self._broken is not None:
            raise self._broken
        self._reader.feed(data)
        pdus: list[Wpdu] = []
        try:
            while (pdu := self._reader.next_pdu()) is not None:
                pdus.append(pdu)
        except CodecError as exc:
            self._broken = exc
            kind = RefusalKind.OVERSIZED if exc.path == "length" else RefusalKind.BAD_FRAME
            return pdus, PushRefused(kind, str(exc))
        return pdus, None

    def end(self) -> list[PushRefused]:
        """Return what the end of the stream cut off."""
        if self._broken is not None or not self._reader.buffered:
            return []
        detail = f"stream ended after {self._reader.buffered} octets of a PDU"
        return [PushRefused(RefusalKind.TRUNCATED, detail)]


@dataclass(frozen=True, slots=True)
class Sealer:
    """Our side of the sealing: title and counter."""

    system_title: bytes
    counter: TakesCounters

    def seal(self, apdu: bytes, keys: SecurityKeys, control: SecurityControl) -> bytes:
        """Return ``apdu`` in general-glo-ciphering under the next counter."""
        content = protect(
            keys.unicast_encryption,
            keys.authentication,
            self.system_title,
            self.counter.take(),
            control,
            apdu,
        )
        return encode_apdu(GeneralGloCiphering(self.system_title, content))


@dataclass(frozen=True, slots=True)
class Opened:
    """An APDU that may be believed as far as ``protection`` goes."""

    apdu: bytes
    system_title: bytes | None = None
    peer: PushPeer | None = None
    counter: int | None = None
    protection: SecurityControl | None = None


class Refusal(Exception):
    """Carries the event out of the checks."""

    def __init__(self, kind: RefusalKind, detail: str, system_title: bytes | None = None) -> None:
        super().__init__(detail)
        self.event = PushRefused(kind, detail, system_title)


_KIND_OF: Final[dict[type[ProtocolError], RefusalKind]] = {
    DecipherError: RefusalKind.WRONG_MAC,
    ReplayError: RefusalKind.REPLAYED,
    TruncatedError: RefusalKind.TRUNCATED,
    SecurityPolicyError: RefusalKind.NOT_CIPHERED,
    UnsupportedSuiteError: RefusalKind.UNSUPPORTED_SUITE,
}


class Opener:
    """Checks tag, sender, protection and counter of what a peer sent."""

    def __init__(self, peers: Lookup, required: SecurityControl | None) -> None:
        self._peers = peers
        self._clear_allowed = required is None
        # Encryption alone authenticates neither the octets nor the counter.
        self._required = required or AUTHENTICATED
        self._highest: dict[bytes, int] = {}

    def open(self, apdu: bytes, tag: int) -> Opened:
        """Return the APDU inside, which has ``tag``; raises `Refusal`."""
        if not apdu:
            raise Refusal(RefusalKind.TRUNCATED, "an empty PDU")
        if apdu[0] == GENERAL_GLO_CIPHERING:
            return self._unseal(apdu, tag)
        _require_tag(apdu, tag, None)
        if not self._clear_allowed:
            raise Refusal(RefusalKind.NOT_CIPHERED, f"APDU {apdu[0]:#04x} in the clear")
        return Opened(apdu)

    def _unseal(self, apdu: bytes, tag: int) -> Opened:
        title, content = _envelope(apdu)
        peer = self._peers(title) if len(title) == SYSTEM_TITLE_SIZE else None
        if peer is None:
            raise Refusal(RefusalKind.UNKNOWN_SYSTEM_TITLE, title.hex(), title)
        keys = peer.keys
        try:
            header, inner = unprotect(
                keys.unicast_encryption,
                keys.authentication,
                title,
                content,
                required=self._required,
            )
            counter = header.invocation_counter
            self._check(title, peer, counter)
        except tuple(_KIND_OF) as exc:
            raise Refusal(_KIND_OF[type(exc)], str(exc), title) from exc
        _require_tag(inner, tag, title)
        return Opened(inner, title, peer, counter, header.control)

    def _check(self, title: bytes, peer: PushPeer, counter: int) -> None:
        """Refuse a counter that is old, also one not greater than another still in flight."""
        peer.counter.check(counter)
        highest = self._highest.get(title, -1)
        if counter <= highest:
            raise ReplayError(counter, highest + 1)
        self._highest[title] = counter


def _require_tag(apdu: bytes, tag: int, system_title: bytes | None) -> None:
    if not apdu or apdu[0] != tag:
        found = f"{apdu[0]:#04x}" if apdu else "nothing"
        detail = f"expected APDU {tag:#04x}, found {found}"
        raise Refusal(RefusalKind.WRONGLY_TAGGED, detail, system_title)


def _envelope(apdu: bytes) -> tuple[bytes, bytes]:
    try:
        envelope = decode_apdu(apdu)
    except CodecError as exc:
        raise Refusal(RefusalKind.MALFORMED, str(exc)) from exc
    assert isinstance(envelope, GeneralGloCiphering), "the tag was looked at"
    return envelope.system_title, envelope.content
