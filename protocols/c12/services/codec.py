"""Requests and responses to octets and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocols.c12.services.codes import Dialect, ResponseCode, ServiceCode
from protocols.c12.services.layout import CODEC
from protocols.c12.services.requests import IndexRead, IndexWrite, Negotiate, Request
from protocols.c12.services.table import BY_CODE, LAYOUTS
from protocols.errors import CodecError

_CODE_OF: Final = {layout.kind: layout.code for layout in reversed(LAYOUTS)}
_CODES: Final = {int(code): code for code in ResponseCode}


class UnknownServiceError(CodecError):
    """A service ``code`` that this dialect does not have: what SERVICE_NOT_SUPPORTED answers."""

    def __init__(self, code: int, dialect: Dialect) -> None:
        super().__init__(f"service {code:#04x} in {dialect.name}", codec=CODEC, path="code")
        self.code = code


@dataclass(frozen=True, slots=True)
class Response:
    """An answer: its code, and the ``body`` as on the wire behind it."""

    code: ResponseCode
    body: bytes = b""


def decode_request(data: bytes, dialect: Dialect) -> Request:
    """Return the request that ``data`` holds.

    Raises:
        UnknownServiceError: no such service in ``dialect``.
        CodecError: a field that is not what it must be; the path names it.
    """
    if not data:
        raise CodecError("no octets", codec=CODEC, path="code")
    layout = BY_CODE.get(data[0])
    if layout is None or dialect not in layout.dialects:
        raise UnknownServiceError(data[0], dialect)
    request: Request = layout.decode(data, dialect)
    return request


def encode_request(request: Request, dialect: Dialect) -> bytes:
    """Return ``request`` as octets.

    Raises:
        UnknownServiceError: no such service in ``dialect``.
        CodecError: a value that does not fit its field.
    """
    layout = BY_CODE.get(service_code(request))
    if layout is None or layout.kind is not type(request):
        raise CodecError("no code for so many", codec=CODEC, path=type(request).__name__)
    if dialect not in layout.dialects:
        raise UnknownServiceError(layout.code, dialect)
    return layout.encode(request, dialect)


def service_code(request: Request) -> int:
    """Return the first octet of ``request``, its count of indexes or baud rates included."""
    match request:
        case IndexRead(indexes=indexes):
            return ServiceCode.FULL_READ + len(indexes)
        case IndexWrite(indexes=indexes):
            return ServiceCode.FULL_WRITE + len(indexes)
        case Negotiate(baud_codes=codes):
            return ServiceCode.NEGOTIATE + len(codes)
        case _:
            return _CODE_OF[type(request)]


def decode_response(data: bytes) -> Response:
    """Return the response in ``data``; `CodecError` when it is empty or its code unknown."""
    code = _CODES.get(data[0]) if data else None
    if code is None:
        raise CodecError(f"response {data[:1].hex() or 'of no octets'}", codec=CODEC, path="code")
    return Response(code, bytes(data[1:]))


def encode_response(response: Response) -> bytes:
    """Return ``response`` as octets."""
    return bytes((response.code,)) + response.body
