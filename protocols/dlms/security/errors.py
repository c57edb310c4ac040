"""What can be wrong with a ciphered APDU; all of it the peer's doing."""

from __future__ import annotations

from protocols.errors import RemoteProtocolError


class SecurityError(RemoteProtocolError):
    """Base of the family: catch it to answer or to count, never raise it."""


class TruncatedError(SecurityError):
    """Too short for its security header, or for the authentication tag it announces."""


class UnsupportedSuiteError(SecurityError):
    """A security suite, key set or compression that is not spoken here."""


class SecurityPolicyError(SecurityError):
    """Protected otherwise than agreed: authentication or encryption is missing."""


class DecipherError(SecurityError):
    """The authentication tag is wrong: another key, another sender, or a changed APDU."""


class ReplayError(SecurityError):
    """An invocation counter that is not greater than the last one accepted.

    ``received`` is the counter that came, ``lowest_acceptable`` the least that would have done.
    """

    def __init__(self, received: int, lowest_acceptable: int) -> None:
        super().__init__(f"invocation counter {received}, {lowest_acceptable} or more expected")
        self.received = received
        self.lowest_acceptable = lowest_acceptable
