"""What both roles do to every APDU: reassemble, find the key, verify, refuse replays; and back.

The checks, in order; the first that fails is the answer::

    header readable -> addressed to us -> segments complete -> key known -> MAC right
    -> protected enough -> vector new -> services readable
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeAlias

from protocols.c12 import ber
from protocols.c12.acse import (
    AuthenticationValue,
    Header,
    ReadApdu,
    decode_apdu,
    interpret_header,
)
from protocols.c12.association.events import Event, Opened, Refused
from protocols.c12.association.refusals import ANSWERS, Refusal, RefusalKind
from protocols.c12.eax_prime import WrongMacError
from protocols.c12.epsem import Control, Epsem, ResponseControl, SecurityMode
from protocols.c12.framing import Oversized
from protocols.c12.initialization_vectors import (
    AcceptedVectors,
    ReplayError,
    ReplayRule,
    SendsVectors,
    check_vector,
)
from protocols.c12.message import (
    Message,
    MissingKeyError,
    MissingVectorError,
    Sealed,
    encode_message,
    seal_of,
)
from protocols.c12.options import CHANNEL_OPTIONS, ChannelOptions
from protocols.c12.segmentation import CannotSegmentError, Fate, Reassembly, segment
from protocols.c12.services import Response, ResponseCode, SizeLimitBody, encode_response
from protocols.c12.titles import ApTitle
from protocols.errors import CodecError

KeyLookup: TypeAlias = Callable[[ApTitle, int | None], bytes | None]
"""Absolute title of the peer and key id -> the key, 16 octets, or ``None``."""

MAX_INVOCATION: Final = 0xFFFF_FFFF

_KIND_OF_FATE: Final = {
    Fate.DOUBLED: RefusalKind.SEGMENT_DOUBLED,
    Fate.INCONSISTENT: RefusalKind.SEGMENT_INCONSISTENT,
    Fate.OVERSIZED: RefusalKind.OVERSIZED,
    Fate.TOO_MANY: RefusalKind.TOO_MANY_REASSEMBLIES,
}


@dataclass(frozen=True, slots=True)
class Node:
    """What a node is and knows: its title (absolute), keys and vectors, and the time.

    ``utc_s`` gives the time that vectors are made of and held against, POSIX seconds.
    ``vectors`` and ``accepted`` outlive associations.
    """

    title: ApTitle
    keys: KeyLookup
    vectors: SendsVectors
    accepted: AcceptedVectors
    utc_s: Callable[[], float]


class Channel:
    """One node's way in and out of the network, whoever the peer.

    ``counts`` may be shared between channels. ``last_invocation`` (u32) is what the invocation ids
    go on from; a client that starts again within a minute should not start from the same one,
    because a server answers repeated ids from memory. Take all events after every call: nothing
    drops them.
    """

    __slots__ = (
        "_base",
        "_events",
        "_invocation",
        "_outgoing",
        "_reassembly",
        "_taken",
        "_titles",
        "counts",
        "node",
        "options",
    )

    def __init__(
        self,
        node: Node,
        options: ChannelOptions = CHANNEL_OPTIONS,
        *,
        counts: Counter[RefusalKind] | None = None,
        last_invocation: int = 0,
    ) -> None:
        self.node = node
        self.options = options
        self.counts: Counter[RefusalKind] = Counter() if counts is None else counts
        self._base = options.message.base
        self._titles = ((node.title, node.title),) * 2
        self._invocation = last_invocation
        self._outgoing: list[bytes] = []
        # A list and an index, because a deque takes 600 octets and there are many nodes.
        self._events: list[Event] = []
        self._taken = 0
        self._reassembly = Reassembly(
            max_apdu_size=options.max_apdu_size,
            max_open=options.max_reassemblies,
            timeout_s=options.reassembly_timeout_s,
        )

    @property
    def deadline(self) -> float | None:
        """When `expired` wants to be called."""
        return self._reassembly.deadline

    def expired(self, now: float) -> list[Refusal]:
        """Return the APDUs of which segments were lost."""
        return [
            Refusal(
                RefusalKind.SEGMENT_LOST,
                f"{lost.received} of {lost.total_size} octets came",
                lost.header,
            )
            for lost in self._reassembly.expire(now)
        ]

    def report(self, event: Event) -> None:
        """Queue an event for `next_event`."""
        self._events.append(event)

    def next_event(self) -> Event | None:
        """Return the next thing that happened, or ``None``."""
        if self._taken == len(self._events):
            self._events.clear()
            self._taken = 0
            return None
        self._taken += 1
        return self._events[self._taken - 1]

    def data_to_send(self) -> list[bytes]:
        """Return APDUs for the transport, once, in order."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def next_invocation(self) -> int:
        """Return an invocation id that was not used for long (1..2**32 - 1)."""
        self._invocation = self._invocation % MAX_INVOCATION + 1
        return self._invocation

    def count(self, refusal: Refusal) -> None:
        """Count and report what was refused, without an answer."""
        self.counts[refusal.kind] += 1
        calling = refusal.header.calling if refusal.header is not None else None
        peer = None if calling is None else self.absolute(calling)
        self.report(Refused(peer, refusal.kind, refusal.detail))

    def refuse(self, refusal: Refusal, body: bytes = b"") -> None:
        """Count and report what was refused, and answer if it was a request that wants to know.

        In clear: whoever got its key or MAC wrong could not verify anything else.
        """
        self.count(refusal)
        header, control, code = refusal.header, refusal.control, ANSWERS.get(refusal.kind)
        if header is None or header.is_response or header.calling is None or code is None:
            return
        if control is not None and control.response is ResponseControl.NEVER:
            return
        if code is ResponseCode.REQUEST_TOO_LARGE:
            body = SizeLimitBody(self.options.max_apdu_size).encode()
        answer = encode_response(Response(code, body))
        # A way too narrow for an error is too narrow to say so.
        with suppress(CannotSegmentError):
            self.send(self.answer_header(header), Epsem((answer,)))

    def answer_header(
        self, request: Header, authentication: AuthenticationValue | None = None
    ) -> Header:
        """Return the header of the answer to ``request``, its titles in the form they came in."""
        called = request.called
        if called is None or self.absolute(called) != self.node.title:
            called = self.node.title
        return Header(
            request.calling,
            called,
            ber.unsigned(self.next_invocation(), "calling_invocation"),
            request.calling_invocation,
            authentication=authentication,
        )

    def send(
        self, header: Header, epsem: Epsem, implied: AuthenticationValue | None = None
    ) -> None:
        """Queue the APDUs of a message to ``header.called``.

        Raises:
            MissingKeyError: protected, and no key for that peer.
            CannotSegmentError: longer than the way allows, which is too narrow for segments.
            CodecError: a field does not fit.
        """
        self.send_whole(self.seal(header, epsem, implied))

    def send_whole(self, apdu: bytes) -> None:
        """Queue ``apdu``, in segments if it is long; raises as `send` does."""
        self._outgoing += segment(apdu, self.options.max_send_size)

    def receive_oversized(self, oversized: Oversized) -> None:
        """Refuse an APDU that the framing skipped because it is too long."""
        detail = f"{oversized.size} octets"
        try:
            header = interpret_header(oversized.head)
        except CodecError:
            self.count(Refusal(RefusalKind.OVERSIZED, detail))
        else:
            self.refuse(Refusal(RefusalKind.OVERSIZED, detail, header))

    def absolute(self, title: ApTitle) -> ApTitle:
        """Return ``title`` counted from the root."""
        if not title.relative:
            return title
        # A channel mostly has to do with two titles, and titles read twice are the same object.
        newer, older = self._titles
        if title is newer[0]:
            return newer[1]
        if title is not older[0]:
            older = title, title.absolute(self._base)
        self._titles = older, newer
        return older[1]

    def receive(self, octets: bytes, now: float) -> Sealed | None:
        """Return the message that ``octets`` are or complete, not verified; raises `Refusal`."""
        try:
            apdu = decode_apdu(octets)
        except CodecError as exc:
            raise Refusal(RefusalKind.MALFORMED, str(exc)) from exc
        return self.receive_read(apdu, now)

    def receive_read(self, apdu: ReadApdu, now: float) -> Sealed | None:
        """Do the same with an APDU that somebody has read, such as to find out whom it is for."""
        self._check_called(apdu)
        if apdu.segment is None:
            return _sealed(apdu)
        whole = self._reassembly.add(apdu, now=now)
        if whole is Fate.KEPT:
            return None
        if isinstance(whole, Fate):
            detail = f"{apdu.segment} of {len(apdu.information)} octets"
            raise Refusal(_KIND_OF_FATE[whole], detail, apdu.header)
        return self._reassembled(whole, apdu.header)

    def open(
        self,
        sealed: Sealed,
        implied: AuthenticationValue | None = None,
        *,
        required: SecurityMode | None = None,
    ) -> Opened:
        """Return the message, verified; raises `Refusal`.

        ``implied`` is what a session agreed on; a message without a value of its own may use it.
        ``required`` is the least protection accepted, where that differs from the options'.
        The vector is checked here and accepted by `accept`.
        """
        peer = self._peer(sealed)
        header, control = sealed.header, sealed.control
        authentication = None
        key = None
        if control.security is not SecurityMode.CLEAR:
            authentication = header.authentication or implied
            key = self._key(peer, authentication)
        try:
            message = sealed.open(key, options=self.options.message, implied=implied)
        except WrongMacError as exc:
            raise Refusal(RefusalKind.WRONG_MAC, str(exc), header, control) from exc
        except MissingVectorError as exc:
            raise Refusal(RefusalKind.NO_VECTOR, str(exc), header, control) from exc
        except MissingKeyError as exc:
            raise Refusal(RefusalKind.UNKNOWN_KEY, str(exc), header, control) from exc
        except CodecError as exc:
            raise Refusal(RefusalKind.MALFORMED_SERVICE, str(exc), header, control) from exc
        if control.security < (self.options.required_security if required is None else required):
            what = control.security.name.lower()
            raise Refusal(RefusalKind.NOT_PROTECTED, what, header, control)
        opened = Opened(message, peer, authentication)
        self._check_vector(opened)
        return opened

    def accept(self, opened: Opened) -> None:
        """Remember the vector of ``opened``, if it had one of its own."""
        authentication = opened.message.header.authentication
        if authentication is not None and opened.security is not SecurityMode.CLEAR:
            self.node.accepted.accept(opened.peer.octets, authentication.vector)

    def authentication(self, key_id: int | None) -> AuthenticationValue:
        """Return a fresh authentication value; raises `LocalProtocolError` when used up."""
        vector = self.node.vectors.take(int(self.node.utc_s()))
        return AuthenticationValue(vector, key_id)

    def seal(
        self, header: Header, epsem: Epsem, implied: AuthenticationValue | None = None
    ) -> bytes:
        """Return a message as one APDU of any size.

        Raises:
            MissingKeyError: protected, and no key for that peer.
            CodecError: a field does not fit.
        """
        key = None
        authentication = header.authentication or implied
        protected = epsem.control.security is not SecurityMode.CLEAR
        if protected and authentication is not None and header.called is not None:
            key = self.node.keys(self.absolute(header.called), authentication.key_id)
        return encode_message(
            Message(header, epsem), key, options=self.options.message, implied=implied
        )

    def _check_called(self, apdu: ReadApdu) -> None:
        # Without a called title the transport has brought it to whom it is meant for.
        header = apdu.header
        if header.called is not None and self.absolute(header.called) != self.node.title:
            raise Refusal(RefusalKind.UNKNOWN_TITLE, str(header.called), header, _control(apdu))

    def _reassembled(self, octets: bytes, segment_header: Header) -> Sealed:
        try:
            apdu = decode_apdu(octets)
        except CodecError as exc:
            raise Refusal(RefusalKind.SEGMENT_INCONSISTENT, str(exc), segment_header) from exc
        header = apdu.header
        theirs = (header.called, header.calling, header.calling_invocation)
        ours = (segment_header.called, segment_header.calling, segment_header.calling_invocation)
        if apdu.segment is not None or theirs != ours:
            what = "the segments carry another APDU than they say"
            raise Refusal(RefusalKind.SEGMENT_INCONSISTENT, what, segment_header)
        return _sealed(apdu)

    def _peer(self, sealed: Sealed) -> ApTitle:
        calling = sealed.header.calling
        if calling is None:
            raise Refusal(RefusalKind.MALFORMED, "no calling ApTitle")
        return self.absolute(calling)

    def _key(self, peer: ApTitle, authentication: AuthenticationValue | None) -> bytes | None:
        return None if authentication is None else self.node.keys(peer, authentication.key_id)

    def _check_vector(self, opened: Opened) -> None:
        header = opened.message.header
        if header.authentication is None or opened.security is SecurityMode.CLEAR:
            return
        # The time is asked only where it decides: nodes take it out of their vectors, and refused
        # replays would push those ahead of the clock, until nobody believes them.
        in_time = self.options.replay is ReplayRule.WINDOW
        try:
            check_vector(
                header.authentication.vector,
                self.options.replay,
                last=self.node.accepted.last_accepted(opened.peer.octets),
                now_s=int(self.node.utc_s()) if in_time else 0,
                window_s=self.options.window_s,
            )
        except ReplayError as exc:
            control = opened.message.epsem.control
            raise Refusal(RefusalKind.REPEATED_VECTOR, str(exc), header, control) from exc


def _control(apdu: ReadApdu) -> Control | None:
    """Return what an APDU says about answers; ``None`` where nothing says it, as in segments."""
    with suppress(CodecError):
        return seal_of(apdu).control
    return None


def _sealed(apdu: ReadApdu) -> Sealed:
    try:
        return seal_of(apdu)
    except CodecError as exc:
        raise Refusal(RefusalKind.MALFORMED_SERVICE, str(exc), apdu.header) from exc
