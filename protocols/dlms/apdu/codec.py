"""Octets to APDUs and back: the tables of all kinds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from protocols.dlms.apdu import action, ciphering, exception, get, initiate, notification
from protocols.dlms.apdu import set as set_service
from protocols.dlms.apdu.acse import TABLES, decode_acse, encode_acse
from protocols.dlms.apdu.association import Aare, Aarq, Rlre, Rlrq
from protocols.dlms.apdu.ciphering import PLAIN_TAGS, GloApdu
from protocols.dlms.apdu.fast import DECODERS, ENCODERS, GIVES_UP_ON
from protocols.dlms.apdu.layout import CODEC, Layout
from protocols.errors import CodecError

Apdu: TypeAlias = (
    "Aarq | Aare | Rlrq | Rlre | initiate.InitiateRequest | initiate.InitiateResponse"
    " | get.GetRequestNormal | get.GetRequestNext | get.GetRequestWithList"
    " | get.GetResponseNormal | get.GetResponseWithDataBlock | get.GetResponseWithList"
    " | set_service.SetRequestNormal | set_service.SetRequestWithFirstDataBlock"
    " | set_service.SetRequestWithDataBlock | set_service.SetRequestWithList"
    " | set_service.SetRequestWithListAndFirstDataBlock | set_service.SetResponseNormal"
    " | set_service.SetResponseDataBlock | set_service.SetResponseLastDataBlock"
    " | set_service.SetResponseLastDataBlockWithList | set_service.SetResponseWithList"
    " | action.ActionRequestNormal | action.ActionRequestNextPBlock"
    " | action.ActionRequestWithList | action.ActionRequestWithFirstPBlock"
    " | action.ActionRequestWithListAndFirstPBlock | action.ActionRequestWithPBlock"
    " | action.ActionResponseNormal | action.ActionResponseWithPBlock"
    " | action.ActionResponseWithList | action.ActionResponseNextPBlock"
    " | notification.DataNotification | notification.DataNotificationConfirm"
    " | notification.EventNotificationRequest"
    " | exception.ExceptionResponse | exception.ConfirmedServiceError"
    " | GloApdu | ciphering.GeneralGloCiphering | ciphering.GeneralDedCiphering"
)

LAYOUTS: Final[tuple[Layout, ...]] = (
    *initiate.LAYOUTS,
    *get.LAYOUTS,
    *set_service.LAYOUTS,
    *action.LAYOUTS,
    *notification.LAYOUTS,
    *exception.LAYOUTS,
    *ciphering.LAYOUTS,
)
"""Every APDU that is declared in construct; the ACSE ones are tables in `acse`."""

RESERVED: Final = {
    0x05: "read-request (short names)",
    0x06: "write-request (short names)",
    0x0C: "read-response (short names)",
    0x0D: "write-response (short names)",
    0x16: "unconfirmed-write-request (short names)",
    0x18: "information-report-request (short names)",
    0xD9: "access-request",
    0xDA: "access-response",
    0xDD: "general-ciphering",
    0xDF: "general-signing",
    0xE0: "general-block-transfer",
    0xE6: "gateway request",
    0xE7: "gateway response",
}
"""Tags we know and do not speak yet: each gets a module with ``LAYOUTS`` and leaves this table."""

_LAYOUT_OF: Final = {layout.kind: layout for layout in LAYOUTS}
_BY_LEADING: Final = {layout.leading: layout for layout in LAYOUTS if layout.leading} | {
    bytes((tag,)): _LAYOUT_OF[GloApdu] for tag in PLAIN_TAGS
}
_CHOICE_TAGS: Final = {leading[0] for leading in _BY_LEADING if len(leading) == 2}
_ENCODE_ACSE: Final = {kind: encode_acse for kind, _ in TABLES.values()}


def decode_apdu(buffer: bytes) -> Apdu:
    """Return the APDU that ``buffer`` holds.

    Raises:
        CodecError: an unknown tag (path "tag"), an unknown choice (path "choice"), a field that
            is not what it must be, or octets missing or left over; the path names the field.
    """
    if not buffer:
        raise CodecError("no octets", codec=CODEC, path="tag")
    if buffer[0] in TABLES:
        acse: Apdu = decode_acse(buffer)
        return acse
    layout = _layout_for(buffer)
    decoded: Apdu | None = _try(DECODERS.get(layout.kind), buffer)
    return layout.decode(buffer) if decoded is None else decoded


def encode_apdu(apdu: Apdu) -> bytes:
    """Return ``apdu`` encoded; raises `CodecError` when a value does not fit its field."""
    kind = type(apdu)
    if kind in _ENCODE_ACSE:
        return encode_acse(apdu)
    encoded: bytes | None = _try(ENCODERS.get(kind), apdu)
    return _LAYOUT_OF[kind].encode(apdu) if encoded is None else encoded


def _layout_for(buffer: bytes) -> Layout:
    tag = buffer[0]
    layout = _BY_LEADING.get(buffer[:2] if tag in _CHOICE_TAGS else buffer[:1])
    if layout is not None:
        return layout
    if tag in _CHOICE_TAGS:
        choice = f"choice {buffer[1]:#04x}" if len(buffer) > 1 else "truncated"
        raise CodecError(f"{choice} of APDU {tag:#04x}", codec=CODEC, path="choice")
    what = f"{RESERVED[tag]}: not supported" if tag in RESERVED else "unknown APDU"
    raise CodecError(f"{what} ({tag:#04x})", codec=CODEC, path="tag")


def _try(way: Callable[[Any], Any] | None, value: Any) -> Any:  # noqa: ANN401 - any of the kinds
    if way is None:
        return None
    try:
        return way(value)
    except GIVES_UP_ON:
        return None
