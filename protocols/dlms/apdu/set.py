"""SET: write attributes, whole or in blocks (Green Book 9.3.7, tags 0xC1 and 0xC5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from construct import Int8ub, Int32ub

from protocols.dlms.apdu.descriptors import (
    AccessResult,
    AttributeItem,
    CosemAttributeDescriptor,
    SelectiveAccess,
    WithInvokeId,
)
from protocols.dlms.apdu.fields import (
    ACCESS,
    ACCESS_RESULT,
    ATTRIBUTE,
    ATTRIBUTE_LIST,
    DATA,
    DATA_LIST,
    LAST,
    OCTETS,
    SequenceOf,
)
from protocols.dlms.apdu.layout import layout
from protocols.dlms.data import Data


@dataclass(frozen=True, slots=True)
class SetRequestNormal(WithInvokeId):
    """Writes one attribute, or the part of it that ``access`` selects."""

    attribute: CosemAttributeDescriptor
    access: SelectiveAccess | None
    value: Data


@dataclass(frozen=True, slots=True)
class SetRequestWithFirstDataBlock(WithInvokeId):
    """Begins a long write of one attribute; ``raw_data`` is the first part of its encoding."""

    attribute: CosemAttributeDescriptor
    access: SelectiveAccess | None
    last: bool
    block_number: int
    raw_data: bytes


@dataclass(frozen=True, slots=True)
class SetRequestWithDataBlock(WithInvokeId):
    """Goes on with a long write."""

    last: bool
    block_number: int
    raw_data: bytes


@dataclass(frozen=True, slots=True)
class SetRequestWithList(WithInvokeId):
    """Writes several attributes at once, one value each."""

    items: tuple[AttributeItem, ...]
    values: tuple[Data, ...]


@dataclass(frozen=True, slots=True)
class SetRequestWithListAndFirstDataBlock(WithInvokeId):
    """Begins a long write of several attributes."""

    items: tuple[AttributeItem, ...]
    last: bool
    block_number: int
    raw_data: bytes


@dataclass(frozen=True, slots=True)
class SetResponseNormal(WithInvokeId):
    """How writing one attribute ended."""

    result: AccessResult


@dataclass(frozen=True, slots=True)
class SetResponseDataBlock(WithInvokeId):
    """Acknowledges one block of a long write."""

    block_number: int


@dataclass(frozen=True, slots=True)
class SetResponseLastDataBlock(WithInvokeId):
    """Acknowledges the last block and says how the write ended."""

    result: AccessResult
    block_number: int


@dataclass(frozen=True, slots=True)
class SetResponseLastDataBlockWithList(WithInvokeId):
    """Acknowledges the last block and says how each write of the list ended."""

    results: tuple[AccessResult, ...]
    block_number: int


@dataclass(frozen=True, slots=True)
class SetResponseWithList(WithInvokeId):
    """How each write of the list ended, in the order asked."""

    results: tuple[AccessResult, ...]


_INVOKE: Final = "invoke_id_and_priority" / Int8ub
_BLOCK_NUMBER: Final = "block_number" / Int32ub
_BLOCK: Final = ("last" / LAST, _BLOCK_NUMBER, "raw_data" / OCTETS)
_ATTRIBUTE: Final = ("attribute" / ATTRIBUTE, "access" / ACCESS)
_ITEMS: Final = "items" / ATTRIBUTE_LIST
_RESULT: Final = "result" / ACCESS_RESULT
_RESULTS: Final = "results" / SequenceOf(ACCESS_RESULT)

LAYOUTS: Final = (
    layout(SetRequestNormal, b"\xc1\x01", _INVOKE, *_ATTRIBUTE, "value" / DATA),
    layout(SetRequestWithFirstDataBlock, b"\xc1\x02", _INVOKE, *_ATTRIBUTE, *_BLOCK),
    layout(SetRequestWithDataBlock, b"\xc1\x03", _INVOKE, *_BLOCK),
    layout(SetRequestWithList, b"\xc1\x04", _INVOKE, _ITEMS, "values" / DATA_LIST),
    layout(SetRequestWithListAndFirstDataBlock, b"\xc1\x05", _INVOKE, _ITEMS, *_BLOCK),
    layout(SetResponseNormal, b"\xc5\x01", _INVOKE, _RESULT),
    layout(SetResponseDataBlock, b"\xc5\x02", _INVOKE, _BLOCK_NUMBER),
    layout(SetResponseLastDataBlock, b"\xc5\x03", _INVOKE, _RESULT, _BLOCK_NUMBER),
    layout(SetResponseLastDataBlockWithList, b"\xc5\x04", _INVOKE, _RESULTS, _BLOCK_NUMBER),
    layout(SetResponseWithList, b"\xc5\x05", _INVOKE, _RESULTS),
)
