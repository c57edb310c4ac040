"""What a C12.18 or C12.21 device is, and what it does where the standards leave a choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocols.c12.psem import options
from protocols.c12.psem.authentication import Authentication
from protocols.c12.psem.options import LinkOptions
from protocols.c12.services import Dialect, Feature, ResponseCode, Standard


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """One device's end of the line.

    * ``standard`` (a `Standard`), ``version`` and ``revision`` are the answer to Identify, with
      ``features``; the standards' number for C12.21, 2, has one source only.
    * ``authentication`` offers Authenticate, C12.21's; its feature is put before the others. A
      wrong ticket is answered with ``wrong_ticket``: ERROR, which the clients in the field take
      for it, C12.21 having no code of its own.
    * ``baud_codes`` are the rates that the line can have; Negotiate takes the fastest one offered,
      and ``baud_code`` (9600 bit/s) is in force before, and after when none fits.
    * ``too_large_response`` answers what would not fit the negotiated packets. The code is from
      C12.22 and carries the octets that would; older clients know codes up to 0A only.
    * ``identify_restarts`` lets Identify begin a new session in any state, for clients that come
      back without Terminate. The standard says INVALID_SERVICE_SEQUENCE_STATE, the default.
    """

    dialect: Dialect = Dialect.C12_18
    link: LinkOptions = options.C12_18
    standard: int = Standard.C12_18
    version: int = 2
    revision: int = 0
    features: tuple[Feature, ...] = ()
    authentication: Authentication | None = None
    wrong_ticket: ResponseCode = ResponseCode.ERROR
    baud_code: int = 6
    baud_codes: tuple[int, ...] = (6, 7, 8, 9, 10)
    too_large_response: ResponseCode = ResponseCode.RESPONSE_TOO_LARGE
    identify_restarts: bool = False


C12_18_DEVICE: Final = ServerOptions()
"""A meter at its optical port."""

C12_21_DEVICE: Final = ServerOptions(
    dialect=Dialect.C12_21,
    link=options.C12_21,
    standard=Standard.C12_21,
    version=1,
    authentication=Authentication(),
)
"""A meter behind a modem; Authenticate is listed and no key is known."""
