"""Switches for what the public sources of C12.22 disagree about, with default and reason."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from protocols.c12.epsem import SecurityMode
from protocols.c12.framing import DEFAULT_MAX_APDU_SIZE
from protocols.c12.initialization_vectors import WINDOW_S, ReplayRule
from protocols.c12.services import IdentifyBody, SessionControl, Standard
from protocols.c12.titles import BASE, ApTitle


@dataclass(frozen=True, slots=True)
class MessageOptions:
    """How messages are canonified for the message authentication code.

    ``base`` is the absolute title that relative ones count from: 2.16.124.113620.1.22.0 unless a
    network has a branch of its own.

    ``zero_for_absent_key_id``: a key id that the header leaves out counts as an octet of 0 in the
    canonical cleartext. Default false, no octet at all, because Wireshark's dissector verifies
    that and refuses the other; nothing published shows a message without key id.
    """

    base: ApTitle = BASE
    zero_for_absent_key_id: bool = False


MESSAGE_OPTIONS: Final = MessageOptions()
"""The defaults."""


class SessionAuthentication(StrEnum):
    """Which messages of a session carry an authentication value (key id and vector)."""

    FIRST = "first"
    EVERY = "every"


@dataclass(frozen=True, slots=True)
class ChannelOptions:
    """What both roles share.

    ``max_apdu_size`` bounds what is accepted, whole or reassembled; ``max_send_size`` is what one
    APDU may hold before it is segmented. Both default to RFC 6142's 2,048 octets.

    ``replay`` and ``window_s``: see `ReplayRule`. ``required_security``: the least protection
    that is accepted; clear by default, because reading without keys is how meters leave factories.

    ``session_authentication``: what we send in sessions; both ways are read. Default first, as the
    standard's own examples; a peer that cannot keep the value needs every.
    """

    message: MessageOptions = MESSAGE_OPTIONS
    max_apdu_size: int = DEFAULT_MAX_APDU_SIZE
    max_send_size: int = DEFAULT_MAX_APDU_SIZE
    max_reassemblies: int = 16
    reassembly_timeout_s: float = 60.0
    replay: ReplayRule = ReplayRule.STRICT
    window_s: int = WINDOW_S
    required_security: SecurityMode = SecurityMode.CLEAR
    session_authentication: SessionAuthentication = SessionAuthentication.FIRST


CHANNEL_OPTIONS: Final = ChannelOptions()
IDENTITY: Final = IdentifyBody(Standard.C12_22, 1, 0, (SessionControl(8, True),))


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How a node answers.

    ``identity``: the answer to Identify, C12.22 version 1 revision 0 with sessions and without.

    ``answers_to_security``: whether a Security request outside of a session gets an answer of its
    own. Default true: one widespread client requires it; the standard's example shows none.

    ``max_sessions`` bounds open sessions; ``max_session_timeout_s`` the silence that ends one,
    whatever was asked for.

    ``remembered_answers``: for how many of the last requests the answer is kept, so that a repeated
    request is answered again and not executed again, for ``remembered_for_s`` seconds; the
    standard leaves it open, and 0 executes repeated requests.

    ``max_response_size`` bounds an answer in all, segmented or not: more is RESPONSE_TOO_LARGE.

    ``ed_class``: the device class that goes into answers to requests that carry one, 4 octets.
    """

    identity: IdentifyBody = IDENTITY
    answers_to_security: bool = True
    max_sessions: int = 8
    max_session_timeout_s: int = 3600
    remembered_answers: int = 4
    remembered_for_s: float = 60.0
    max_response_size: int = 65_535
    ed_class: bytes | None = None


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """How a node asks.

    ``timeout_s`` is the time for one attempt, ``retries`` how many more there are. A retry repeats
    the invocation id under a new vector, so that a server can tell it from a new request and does
    not take it for a replay.

    ``max_outstanding`` bounds requests without an answer.

    ``accepts_clear_refusals``: an error in clear ends a protected request. Default true, because a
    peer that found a MAC wrong, or a relay that finds no way, has no key to protect its answer
    with. Data in clear never answers a protected request.

    ``relative_titles``: our own title is written relative to the base, which is shorter.
    """

    timeout_s: float = 30.0
    retries: int = 0
    max_outstanding: int = 4096
    accepts_clear_refusals: bool = True
    relative_titles: bool = True


SERVER_OPTIONS: Final = ServerOptions()
CLIENT_OPTIONS: Final = ClientOptions()
