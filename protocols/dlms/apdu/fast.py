"""The hot APDUs without construct: pushes, ciphered envelopes, blocks.

Each way handles what is well formed and gives up (``None``) on everything else: then the
declaration decodes, or says what is wrong. So there is one source of errors, and a property test
holds these against the declarations.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct, error
from typing import Any, Final

from protocols.dlms.apdu.ciphering import PLAIN_TAGS, GeneralGloCiphering, GloApdu
from protocols.dlms.apdu.get import GetResponseWithDataBlock
from protocols.dlms.apdu.notification import DataNotification, DataNotificationConfirm
from protocols.dlms.axdr.decode import read_data
from protocols.dlms.axdr.encode import write_data
from protocols.dlms.axdr.length import read_octets, write_length
from protocols.dlms.axdr.problem import Problem

_NOTIFICATION: Final = Struct(">BI")
_BLOCK: Final = Struct(">BBBBIB")  # tag, choice, invoke id, last, block number, choice of result


def _decode_notification(buffer: bytes) -> DataNotification | None:
    _, invoke = _NOTIFICATION.unpack_from(buffer)
    date_time, offset = read_octets(buffer, _NOTIFICATION.size)
    body, end = read_data(buffer, offset)
    return DataNotification(invoke, date_time, body) if end == len(buffer) else None


def _encode_notification(apdu: DataNotification) -> bytes:
    out = bytearray(_NOTIFICATION.pack(0x0F, apdu.long_invoke_id_and_priority))
    out += write_length(len(apdu.date_time))
    out += apdu.date_time
    write_data(apdu.body, out)
    return bytes(out)


def _decode_confirmation(buffer: bytes) -> DataNotificationConfirm | None:
    _, invoke = _NOTIFICATION.unpack_from(buffer)
    date_time, end = read_octets(buffer, _NOTIFICATION.size)
    return DataNotificationConfirm(invoke, date_time) if end == len(buffer) else None


def _encode_confirmation(apdu: DataNotificationConfirm) -> bytes:
    head = _NOTIFICATION.pack(0x10, apdu.long_invoke_id_and_priority)
    return b"".join((head, write_length(len(apdu.date_time)), apdu.date_time))


def _decode_general_glo(buffer: bytes) -> GeneralGloCiphering | None:
    system_title, offset = read_octets(buffer, 1)
    content, end = read_octets(buffer, offset)
    return GeneralGloCiphering(system_title, content) if end == len(buffer) else None


def _encode_general_glo(apdu: GeneralGloCiphering) -> bytes:
    title, content = apdu.system_title, apdu.content
    return b"".join((b"\xdb", write_length(len(title)), title, write_length(len(content)), content))


def _decode_glo(buffer: bytes) -> GloApdu | None:
    content, end = read_octets(buffer, 1)
    return GloApdu(buffer[0], content) if end == len(buffer) else None


def _encode_glo(apdu: GloApdu) -> bytes | None:
    if apdu.tag not in PLAIN_TAGS:
        return None
    return b"".join((bytes((apdu.tag,)), write_length(len(apdu.content)), apdu.content))


def _decode_block(buffer: bytes) -> GetResponseWithDataBlock | None:
    _, _, invoke, last, number, choice = _BLOCK.unpack_from(buffer)
    if choice != 0:
        return None
    raw_data, end = read_octets(buffer, _BLOCK.size)
    if end != len(buffer):
        return None
    return GetResponseWithDataBlock(invoke, bool(last), number, raw_data)


def _encode_block(apdu: GetResponseWithDataBlock) -> bytes | None:
    raw_data = apdu.result
    if not isinstance(raw_data, bytes):
        return None
    header = _BLOCK.pack(
        0xC4, 2, apdu.invoke_id_and_priority, bool(apdu.last), apdu.block_number, 0
    )
    return b"".join((header, write_length(len(raw_data)), raw_data))


DECODERS: Final[dict[type[Any], Callable[[bytes], Any]]] = {
    DataNotification: _decode_notification,
    DataNotificationConfirm: _decode_confirmation,
    GeneralGloCiphering: _decode_general_glo,
    GloApdu: _decode_glo,
    GetResponseWithDataBlock: _decode_block,
}
ENCODERS: Final[dict[type[Any], Callable[[Any], bytes | None]]] = {
    DataNotification: _encode_notification,
    DataNotificationConfirm: _encode_confirmation,
    GeneralGloCiphering: _encode_general_glo,
    GloApdu: _encode_glo,
    GetResponseWithDataBlock: _encode_block,
}
GIVES_UP_ON: Final = (Problem, error, TypeError)
"""What these may raise besides: the declaration then says what is wrong."""
