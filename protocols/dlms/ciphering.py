"""Ciphering as an association uses it: envelopes opened and sealed, counters moved, HLS answered.

`protocols.dlms.security` has the cryptography; this module ties it to a pair of partners. It is
the same for both roles. IEC 62056-5-3 (Green Book 9.2.7).

* An envelope must be authenticated, always: the counter of one that is only encrypted could be
  moved to the end of its range by anybody.
* A counter is checked and accepted only once the tag has proved it, so neither the counters nor
  the memory they take can be moved by strangers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, IntFlag, auto
from typing import Final, TypeAlias

from protocols.dlms import apdu
from protocols.dlms.apdu import GLO_TAGS, GeneralGloCiphering, GloApdu
from protocols.dlms.refusals import RefusalKind
from protocols.dlms.security import (
    AUTHENTICATED,
    DecipherError,
    ReceiveCounter,
    ReplayError,
    SecurityControl,
    SecurityError,
    SecurityKeys,
    SecurityPolicyError,
    SendCounter,
    TruncatedError,
    UnsupportedSuiteError,
    gmac,
    protect,
    unprotect,
    verify_gmac,
)

HEADER_AND_TAG: Final = 5 + 12
LENGTH_SIZE: Final = 3
"""Octets of a length up to 65535."""
SYSTEM_TITLE_SIZE: Final = 8
SIZES: Final = frozenset({(SYSTEM_TITLE_SIZE, 16, 16), (SYSTEM_TITLE_SIZE, 16, 0)})
"""Octets of system title, encryption key and authentication key (or none) in suite 0."""


class Protection(IntFlag):
    """What is done to an APDU; the bits of the security control octet."""

    NONE = 0
    AUTHENTICATION = 0x10
    ENCRYPTION = 0x20


NO_PROTECTION: Final = Protection.NONE
AUTHENTICATED_AND_ENCRYPTED: Final = Protection.AUTHENTICATION | Protection.ENCRYPTION


class Envelope(Enum):
    """How an APDU travels."""

    PLAIN = auto()
    SERVICE_SPECIFIC = auto()
    GENERAL = auto()


Ciphered: TypeAlias = GloApdu | GeneralGloCiphering


class WrongSystemTitleError(SecurityError):
    """An envelope that names another sender than the association's partner."""


class DedicatedKeyError(SecurityError):
    """An envelope under a dedicated key; none is ever agreed here."""


KINDS: Final[tuple[tuple[type[SecurityError], RefusalKind], ...]] = (
    (ReplayError, RefusalKind.REPLAYED),
    (WrongSystemTitleError, RefusalKind.WRONG_SYSTEM_TITLE),
    (SecurityPolicyError, RefusalKind.NOT_PROTECTED_ENOUGH),
    (TruncatedError, RefusalKind.MALFORMED_APDU),
    (UnsupportedSuiteError, RefusalKind.SECURITY_NOT_SUPPORTED),
    (DedicatedKeyError, RefusalKind.SECURITY_NOT_SUPPORTED),
    (DecipherError, RefusalKind.WRONG_MAC),
)


def refusal_kind(problem: SecurityError) -> RefusalKind:
    """Return what ``problem`` counts as."""
    return next(kind for error, kind in KINDS if isinstance(problem, error))


@dataclass(frozen=True, slots=True)
class SecurityContext:
    """One side's security: who it is, its keys, its counters.

    ``receive_counter`` gives the counter of a partner by its system title, the same object every
    time, and outlives connections; so does ``send_counter``. Both belong to ``keys``.
    """

    system_title: bytes
    keys: SecurityKeys
    send_counter: SendCounter
    receive_counter: Callable[[bytes], ReceiveCounter]

    def __post_init__(self) -> None:
        """Refuse sizes that no peer's frame could ever be opened with."""
        sizes = (
            len(self.system_title),
            len(self.keys.unicast_encryption),
            len(self.keys.authentication),
        )
        if sizes not in SIZES:
            raise ValueError(f"system title and keys of {sizes} octets")


class ReceiveCounters:
    """Receive counters in memory, one for each partner that ever proved itself.

    ``last_accepted`` is where to go on from (system title -> counter); `snapshot` gives it back.
    """

    def __init__(
        self, last_accepted: Mapping[bytes, int] | None = None, *, zero_acceptable: bool = True
    ) -> None:
        self._zero_acceptable = zero_acceptable
        self._counters = {
            title: ReceiveCounter(counter) for title, counter in (last_accepted or {}).items()
        }

    def snapshot(self) -> dict[bytes, int]:
        """Return the last counter accepted from each partner."""
        found = {title: counter.last_accepted for title, counter in self._counters.items()}
        return {title: last for title, last in found.items() if last is not None}

    def __call__(self, system_title: bytes) -> ReceiveCounter:
        """Return the counter of ``system_title``."""
        counter = self._counters.get(system_title)
        if counter is None:
            counter = ReceiveCounter(zero_acceptable=self._zero_acceptable)
            self._counters[system_title] = counter
        return counter


@dataclass(frozen=True, slots=True)
class Opened:
    """An APDU out of its envelope: how it came and under which counter."""

    octets: bytes
    envelope: Envelope
    protection: Protection = NO_PROTECTION
    counter: int | None = None


class Cipher:
    """Opens what one partner sends and seals what it is sent."""

    def __init__(self, context: SecurityContext, partner: bytes) -> None:
        self._context = context
        self._partner = partner
        self._floor: int | None = None

    def open(self, message: Ciphered) -> Opened:
        """Return the APDU inside, its counter accepted. Raises `SecurityError` and moves nothing.

        A service-specific envelope around another service is a `DecipherError`.
        """
        general = isinstance(message, GeneralGloCiphering)
        if isinstance(message, GloApdu) and message.dedicated:
            raise DedicatedKeyError("no dedicated key was agreed")
        if isinstance(message, GeneralGloCiphering) and message.system_title != self._partner:
            raise WrongSystemTitleError(f"system title {message.system_title.hex()}")
        keys = self._context.keys
        header, octets = unprotect(
            keys.unicast_encryption,
            keys.authentication,
            self._partner,
            message.content,
            required=AUTHENTICATED,
        )
        self._accept(header.invocation_counter)
        if isinstance(message, GloApdu) and octets[:1] != bytes((message.plain_tag,)):
            raise DecipherError(f"tag {message.tag:#04x} around {octets[:1].hex()}")
        return Opened(
            octets,
            Envelope.GENERAL if general else Envelope.SERVICE_SPECIFIC,
            _protection(header.control),
            header.invocation_counter,
        )

    def seal(self, octets: bytes, envelope: Envelope, protection: Protection) -> tuple[bytes, int]:
        """Return ``octets`` in ``envelope``, and the invocation counter used.

        Raises `LocalProtocolError` when the counter is used up.
        """
        counter = self._context.send_counter.take()
        keys = self._context.keys
        content = protect(
            keys.unicast_encryption,
            keys.authentication,
            self._context.system_title,
            counter,
            _control(protection),
            octets,
        )
        if envelope is Envelope.GENERAL:
            sealed = apdu.encode_apdu(GeneralGloCiphering(self._context.system_title, content))
        else:
            sealed = apdu.encode_apdu(GloApdu(GLO_TAGS[octets[0]], content))
        return sealed, counter

    def answer(self, challenge: bytes) -> bytes:
        """Return our answer to the partner's HLS challenge."""
        keys = self._context.keys
        counter = self._context.send_counter.take()
        title = self._context.system_title
        return gmac(keys.unicast_encryption, keys.authentication, title, counter, challenge)

    def check_answer(self, challenge: bytes, answer: bytes) -> None:
        """Check the partner's answer to our challenge; raises `SecurityError` if it is wrong.

        The answer is made before the envelope that carries it, so its counter is held against
        what was acceptable before that envelope came.
        """
        keys = self._context.keys
        counter = verify_gmac(
            keys.unicast_encryption, keys.authentication, self._partner, challenge, answer
        )
        counters = self._context.receive_counter(self._partner)
        lowest = counters.lowest_acceptable if self._floor is None else self._floor
        if counter < lowest:
            raise ReplayError(counter, lowest)
        if counter >= counters.lowest_acceptable:
            counters.accept(counter)

    def _accept(self, counter: int) -> None:
        counters = self._context.receive_counter(self._partner)
        floor = counters.lowest_acceptable
        counters.accept(counter)
        self._floor = floor


def overhead(envelope: Envelope) -> int:
    """Return how many octets ``envelope`` adds to an APDU, at most."""
    match envelope:
        case Envelope.PLAIN:
            return 0
        case Envelope.SERVICE_SPECIFIC:
            return 1 + LENGTH_SIZE + HEADER_AND_TAG
        case Envelope.GENERAL:
            return 2 + SYSTEM_TITLE_SIZE + LENGTH_SIZE + HEADER_AND_TAG


def can_carry(envelope: Envelope, octets: bytes) -> bool:
    """Return whether ``envelope`` exists for that APDU: ExceptionResponse has no glo- form."""
    return envelope is Envelope.GENERAL or (
        envelope is Envelope.SERVICE_SPECIFIC and octets[0] in GLO_TAGS
    )


def _control(protection: Protection) -> SecurityControl:
    return SecurityControl(
        authentication=bool(protection & Protection.AUTHENTICATION),
        encryption=bool(protection & Protection.ENCRYPTION),
    )


def _protection(control: SecurityControl) -> Protection:
    protection = NO_PROTECTION
    if control.authentication:
        protection |= Protection.AUTHENTICATION
    if control.encryption:
        protection |= Protection.ENCRYPTION
    return protection
