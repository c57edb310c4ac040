"""The services that are about the network itself: Register, Resolve, Trace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from protocols.c12.native_address import ConnectionType
from protocols.c12.services import (
    Register,
    RegisterBody,
    Resolve,
    ResolveBody,
    Response,
    ResponseCode,
    Trace,
    TraceBody,
    ok,
)
from protocols.c12.titles import ApTitle
from protocols.errors import CodecError

RELAY: Final = 0x01
END_DEVICE: Final = 0x20
"""Bits of a node type."""
PERIOD_MAX_S: Final = 0xFF_FFFF
TRACED_MAX: Final = 32
"""Titles in a Trace, ours included: a list that only grows would be sent round for ever."""
_TCP: Final = ConnectionType.CONNECTIONS | ConnectionType.ACCEPTS_CONNECTIONS


def registration_of(
    title: bytes,
    *,
    is_relay: bool,
    device_class: bytes,
    period_s: int,
    address: bytes = b"",
    rejects_playback: bool = True,
) -> Register:
    """Return the request with which the node called ``title`` makes itself known.

    Its serial number is its title: the name of an emulated device says no more. An empty
    ``address`` leaves it to the receiver where the node is reached: whence the request came, or
    where it was told.
    """
    rejects = ConnectionType.PLAYBACK_REJECTION if rejects_playback else ConnectionType(0)
    return Register(
        node_type=RELAY if is_relay else END_DEVICE,
        connection_type=_TCP | rejects,
        device_class=device_class,
        title=title,
        serial_number=title,
        address=address,
        period_s=min(period_s, PERIOD_MAX_S),
    )


def grant(request: Register, longest_s: int) -> RegisterBody:
    """Return what a node that registers is granted: what it asks for, ``longest_s`` at most.

    A node that asks for no time, 0, gets the longest: what asks for none is not said anywhere.
    """
    period_s = min(request.period_s or longest_s, longest_s)
    return RegisterBody(request.title, delay_s=0, period_s=period_s, registration_info=0)


def answer_resolve(request: Resolve, address_of: Callable[[ApTitle], bytes | None]) -> Response:
    """Return the native address of a node, or that there is no such node."""
    try:
        address = address_of(ApTitle.decode(request.title))
    except CodecError:
        return Response(ResponseCode.INAPPROPRIATE_ACTION_REQUESTED)
    if address is None:
        return Response(ResponseCode.UNKNOWN_APPLICATION_TITLE)
    return ok(ResolveBody(address))


def answer_trace(request: Trace, own: bytes) -> Response:
    """Return the way that the request took, with the ``own`` title at its end."""
    if len(request.titles) >= TRACED_MAX:
        return Response(ResponseCode.REQUEST_TOO_LARGE)
    return ok(TraceBody((*request.titles, own)))
