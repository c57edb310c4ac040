"""What a relay does for a client by itself: say where its nodes are, and that it is on the way."""

from __future__ import annotations

from typing import Final

from protocols.c12.acse import Header, ReadApdu
from protocols.c12.epsem import Control, Epsem, ResponseControl, SecurityMode
from protocols.c12.message import Message, encode_message
from protocols.c12.message.seal import seal_of
from protocols.c12.relay import Place, Router, answer_resolve, answer_trace
from protocols.c12.services import (
    Deregister,
    Register,
    Request,
    Resolve,
    Response,
    ResponseCode,
    Trace,
    encode_response,
)
from protocols.c12.titles import ApTitle
from protocols.errors import CodecError

LOCAL_ADDRESS_OCTETS: Final = 2


def not_reachable(apdu: ReadApdu) -> bytes | None:
    """Return what a relay answers for a node that does not answer it: NETWORK_NOT_REACHABLE.

    ``None`` where nothing is to be answered: to a segment other than the first, to what cannot be
    read, and where the response control says never.
    """
    asked = apdu.header
    try:
        control = seal_of(apdu).control
    except CodecError:
        return None
    if control.response is ResponseControl.NEVER or asked.calling is None:
        return None
    header = Header(
        asked.calling,
        asked.called,
        asked.calling_invocation,
        called_invocation=asked.calling_invocation,
    )
    service = encode_response(Response(ResponseCode.NETWORK_NOT_REACHABLE))
    epsem = Epsem((service,), Control(SecurityMode.CLEAR, ResponseControl.ALWAYS))
    return encode_message(Message(header, epsem), None)


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
