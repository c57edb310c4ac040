"""What a client believes of an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from protocols.c12.psem.packet import MAX_PACKET_SIZE, MIN_PACKET_SIZE
from protocols.c12.services import (
    Authenticate,
    AuthenticateBody,
    Body,
    DefaultRead,
    Dialect,
    FullRead,
    Identify,
    IdentifyBody,
    IndexRead,
    Logon,
    LogonBody,
    Negotiate,
    NegotiateBody,
    OffsetRead,
    ReadBody,
    Request,
    TimingSetup,
    TimingSetupBody,
)
from protocols.errors import CodecError

CODEC: Final = "C12 answer"

_DECODERS: Final[Mapping[type[Any], Callable[[bytes], Body]]] = {
    Identify: IdentifyBody.decode,
    FullRead: ReadBody.decode,
    IndexRead: ReadBody.decode,
    OffsetRead: ReadBody.decode,
    DefaultRead: ReadBody.decode,
    Authenticate: AuthenticateBody.decode,
    Negotiate: NegotiateBody.decode,
    TimingSetup: TimingSetupBody.decode,
}


def decode_answer(request: Request, body: bytes, dialect: Dialect) -> Body | None:
    """Return what an OK to ``request`` brings, ``None`` when nothing belongs there.

    Raises:
        CodecError: the body is not what belongs there, or cannot answer this very request.
    """
    if isinstance(request, Logon):
        return LogonBody.decode(body, dialect)
    decode = _DECODERS.get(type(request))
    if decode is None:
        if body:
            raise CodecError(f"{len(body)} octets too many", codec=CODEC)
        return None
    decoded = decode(body)
    _check(request, decoded)
    return decoded


def _check(request: Request, body: Body) -> None:
    match request, body:
        case OffsetRead(count=count), ReadBody(data) if len(data) > count:
            raise CodecError(f"{len(data)} octets of {count}", codec=CODEC, path="data")
        case Negotiate(), NegotiateBody(size, packets) if not (
            MIN_PACKET_SIZE <= size <= MAX_PACKET_SIZE and packets
        ):
            raise CodecError(f"{packets} packets of {size} octets", codec=CODEC)
        case _:
            pass
