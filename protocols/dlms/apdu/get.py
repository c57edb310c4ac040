"""GET: read attributes, whole or in blocks (Green Book 9.3.6, tags 0xC0 and 0xC4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from construct import Int8ub, Int32ub

from protocols.dlms.apdu.descriptors import (
    AccessResult,
    AttributeItem,
    CosemAttributeDescriptor,
    GetDataResult,
    SelectiveAccess,
    WithInvokeId,
)
from protocols.dlms.apdu.fields import (
    ACCESS,
    ATTRIBUTE,
    ATTRIBUTE_LIST,
    GET_DATA_RESULT,
    LAST,
    RAW_OR_RESULT,
    SequenceOf,
)
from protocols.dlms.apdu.layout import layout


@dataclass(frozen=True, slots=True)
class GetRequestNormal(WithInvokeId):
    """Asks for one attribute, or for the part of it that ``access`` selects."""

    attribute: CosemAttributeDescriptor
    access: SelectiveAccess | None = None


@dataclass(frozen=True, slots=True)
class GetRequestNext(WithInvokeId):
    """Acknowledges block ``block_number`` (u32) and asks for the next."""

    block_number: int


@dataclass(frozen=True, slots=True)
class GetRequestWithList(WithInvokeId):
    """Asks for several attributes at once."""

    items: tuple[AttributeItem, ...]


@dataclass(frozen=True, slots=True)
class GetResponseNormal(WithInvokeId):
    """The attribute, or why it cannot be had."""

    result: GetDataResult


@dataclass(frozen=True, slots=True)
class GetResponseWithDataBlock(WithInvokeId):
    """One block of a long answer: raw octets, or why the transfer ended."""

    last: bool
    block_number: int
    result: bytes | AccessResult


@dataclass(frozen=True, slots=True)
class GetResponseWithList(WithInvokeId):
    """One result per attribute asked for, in the order asked."""

    results: tuple[GetDataResult, ...]


_INVOKE: Final = "invoke_id_and_priority" / Int8ub
_BLOCK_NUMBER: Final = "block_number" / Int32ub

LAYOUTS: Final = (
    layout(GetRequestNormal, b"\xc0\x01", _INVOKE, "attribute" / ATTRIBUTE, "access" / ACCESS),
    layout(GetRequestNext, b"\xc0\x02", _INVOKE, _BLOCK_NUMBER),
    layout(GetRequestWithList, b"\xc0\x03", _INVOKE, "items" / ATTRIBUTE_LIST),
    layout(GetResponseNormal, b"\xc4\x01", _INVOKE, "result" / GET_DATA_RESULT),
    layout(
        GetResponseWithDataBlock,
        b"\xc4\x02",
        _INVOKE,
        "last" / LAST,
        _BLOCK_NUMBER,
        "result" / RAW_OR_RESULT,
    ),
    layout(GetResponseWithList, b"\xc4\x03", _INVOKE, "results" / SequenceOf(GET_DATA_RESULT)),
)
