"""SET: write attributes, whole or in blocks (Green Book 9.3.7, tags 0xC1 and 0xC5)."""

from __future__ import annotations

from dataclasses import dataclass

from protocols.dlms.apdu.descriptors import (
    AccessResult,
    AttributeItem,
    CosemAttributeDescriptor,
    SelectiveAccess,
    WithInvokeId,
)
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
