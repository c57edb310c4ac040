"""What a relay does for a client by itself: say where its nodes are, and that it is on the way."""

from __future__ import annotations

from typing import Final

from protocols.c12.relay import Place, Router, answer_resolve, answer_trace
from protocols.c12.services import (
    Deregister,
    Register,
    Request,
    Resolve,
    Response,
    ResponseCode,
    Trace,
)
from protocols.c12.titles import ApTitle

LOCAL_ADDRESS_OCTETS: Final = 2


class RelayServices:
    """The relay called ``own`` (an element), as an application; it has no tables.

    A node's native address is its number on the relay's own network, u16: nobody reaches it there
    but through the relay. The nodes are wired to it, so nobody else can register.
    """

    def __init__(self, own: bytes, router: Router) -> None:
        self._own = own
        self._router = router

    def handle(self, request: Request, *, now: float) -> Response:
        """Return the answer to ``request``."""
        match request:
            case Resolve():
                return answer_resolve(request, self._address_of)
            case Trace():
                return answer_trace(request, self._own)
            case Register() | Deregister():
                return Response(ResponseCode.NETWORK_NOT_REACHABLE)
        return Response(ResponseCode.SERVICE_NOT_SUPPORTED)

    def session_ended(self) -> None:
        """Do nothing: nobody logs on to a relay."""

    def _address_of(self, title: ApTitle) -> bytes | None:
        match self._router.route(title):
            case Place.HERE:
                return b""
            case Place.ELSEWHERE:
                return None
            case number:
                return number.to_bytes(LOCAL_ADDRESS_OCTETS, "big")
