"""From a run's options to what the engines want: keys, counters, protection, client SAPs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar

from protocols.dlms.apdu import MechanismName
from protocols.dlms.ciphering import Protection, SecurityContext
from protocols.dlms.security import (
    AUTHENTICATED,
    AUTHENTICATED_AND_ENCRYPTED,
    ReceiveCounter,
    SecurityControl,
    SecurityKeys,
    SendCounter,
)
from protocols.dlms.security.counters import MAX_COUNTER
from protocols.dlms.server import MANAGEMENT_CLIENT, PUBLIC_CLIENT, ClientPolicy
from protocols.errors import LocalProtocolError
from protocols.plugin import Counters, Credentials, SessionOptions

T = TypeVar("T")

MECHANISMS: Final[Mapping[str, MechanismName]] = {
    "none": MechanismName.LOWEST,
    "lls": MechanismName.LLS,
    "gmac": MechanismName.HLS_GMAC,
}
PROTECTIONS: Final[Mapping[str, Protection]] = {
    "clear": Protection.NONE,
    "authenticated": Protection.AUTHENTICATION,
    "ciphered": Protection.AUTHENTICATION | Protection.ENCRYPTION,
}
CONTROLS: Final[Mapping[str, SecurityControl | None]] = {
    "clear": None,
    "authenticated": AUTHENTICATED,
    "ciphered": AUTHENTICATED_AND_ENCRYPTED,
}
POLICIES: Final[Mapping[str, int]] = {"clear": 0, "authenticated": 1, "ciphered": 3}
"""What the security setup shows (Blue Book 4.4.7, security_policy of version 0)."""


def mechanism(options: SessionOptions) -> MechanismName:
    """Return how the management client proves itself; `LocalProtocolError` for an unknown word."""
    return _looked_up(MECHANISMS, options.authentication)


def protection(options: SessionOptions) -> Protection:
    """Return how requests and answers are protected; `LocalProtocolError` for an unknown word."""
    return _looked_up(PROTECTIONS, options.protection)


def push_protection(options: SessionOptions) -> SecurityControl | None:
    """Return how pushes are protected; `LocalProtocolError` for an unknown word."""
    return _looked_up(CONTROLS, options.protection)


def client_policies(options: SessionOptions) -> Mapping[int, ClientPolicy]:
    """Return the client SAPs: the public client, and the management client as ``options`` say."""
    return {
        PUBLIC_CLIENT: ClientPolicy(frozenset({MechanismName.LOWEST})),
        MANAGEMENT_CLIENT: ClientPolicy(
            frozenset({mechanism(options)}), protection=protection(options)
        ),
    }


def keys(credentials: Credentials) -> SecurityKeys:
    """Return the global keys of suite 0."""
    return SecurityKeys(credentials.encryption_key, credentials.authentication_key)


class SendsUnder(SendCounter):
    """The engines' view of counters that outlive the connection, and reserve of some of them."""

    def __init__(self, counters: Counters) -> None:
        super().__init__()
        self._counters = counters
        self._reserved: list[int] = []

    def take(self) -> int:
        """Return the next counter, reserved ones first."""
        if self._reserved:
            return self._reserved.pop(0)
        counter = self._counters.next()
        if counter >= MAX_COUNTER:
            raise LocalProtocolError("the invocation counter is used up: change the key")
        return counter

    def reserve(self, count: int) -> int:
        """Have the next ``count`` calls of `take` settled now; return what the last will give."""
        self.release()
        self._reserved = [self.take() for _ in range(count)]
        return self._reserved[-1]

    def release(self) -> None:
        """Give up what is reserved: those counters are never used."""
        self._reserved = []


class ReceivedFrom(ReceiveCounter):
    """The last counter accepted from one peer; what it accepts outlives the connection."""

    def __init__(self, counters: Counters, peer: bytes) -> None:
        super().__init__(counters.last_accepted(peer))
        self._counters = counters
        self._peer = peer

    def accept(self, counter: int) -> None:
        """Remember ``counter``; raises `ReplayError` unless it is new."""
        super().accept(counter)
        self._counters.accept(self._peer, counter)


def security_context(
    system_title: bytes, credentials: Credentials, counters: Counters, sending: SendCounter
) -> SecurityContext:
    """Return one side's security: ``system_title`` is its own, the keys are shared."""
    return SecurityContext(
        system_title, keys(credentials), sending, lambda peer: ReceivedFrom(counters, peer)
    )


def _looked_up(table: Mapping[str, T], word: str) -> T:
    if word not in table:
        raise LocalProtocolError(f'"{word}" is none of {", ".join(table)}')
    return table[word]
