"""GET: read attributes, whole or in blocks (Green Book 9.3.6, tags 0xC0 and 0xC4)."""

from __future__ import annotations

from dataclasses import dataclass

from protocols.dlms.apdu.descriptors import (
    AccessResult,
    AttributeItem,
    CosemAttributeDescriptor,
    GetDataResult,
    SelectiveAccess,
    WithInvokeId,
)


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
