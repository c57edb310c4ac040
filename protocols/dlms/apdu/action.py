"""ACTION: invoke methods, whole or in blocks (Green Book 9.3.8, tags 0xC3 and 0xC7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from construct import Int8ub, Int32ub

from protocols.dlms.apdu.descriptors import (
    ActionResult,
    CosemMethodDescriptor,
    GetDataResult,
    MethodResult,
    WithInvokeId,
)
from protocols.dlms.apdu.fields import (
    DATA,
    DATA_LIST,
    GET_DATA_RESULT,
    LAST,
    METHOD,
    METHOD_LIST,
    OCTETS,
    Code,
    SequenceOf,
    optional,
    pair,
)
from protocols.dlms.apdu.layout import layout
from protocols.dlms.data import Data


@dataclass(frozen=True, slots=True)
class ActionRequestNormal(WithInvokeId):
    """Invokes one method."""

    method: CosemMethodDescriptor
    parameters: Data | None = None


@dataclass(frozen=True, slots=True)
class ActionRequestNextPBlock(WithInvokeId):
    """Acknowledges a block of a long answer and asks for the next."""

    block_number: int


@dataclass(frozen=True, slots=True)
class ActionRequestWithList(WithInvokeId):
    """Invokes several methods, one parameter each (null-data where a method takes none)."""

    methods: tuple[CosemMethodDescriptor, ...]
    parameters: tuple[Data, ...]


@dataclass(frozen=True, slots=True)
class ActionRequestWithFirstPBlock(WithInvokeId):
    """Begins a long invocation of one method."""

    method: CosemMethodDescriptor
    last: bool
    block_number: int
    raw_data: bytes


@dataclass(frozen=True, slots=True)
class ActionRequestWithListAndFirstPBlock(WithInvokeId):
    """Begins a long invocation of several methods."""

    methods: tuple[CosemMethodDescriptor, ...]
    last: bool
    block_number: int
    raw_data: bytes


@dataclass(frozen=True, slots=True)
class ActionRequestWithPBlock(WithInvokeId):
    """Goes on with a long invocation."""

    last: bool
    block_number: int
    raw_data: bytes


@dataclass(frozen=True, slots=True)
class ActionResponseNormal(WithInvokeId):
    """How the invocation ended, and what it returned (or why that cannot be had)."""

    result: MethodResult
    returned: GetDataResult | None = None


@dataclass(frozen=True, slots=True)
class ActionResponseWithPBlock(WithInvokeId):
    """One block of a long answer."""

    last: bool
    block_number: int
    raw_data: bytes


ActionItemResult: TypeAlias = "tuple[MethodResult, GetDataResult | None]"


@dataclass(frozen=True, slots=True)
class ActionResponseWithList(WithInvokeId):
    """One (result, returned) pair per method, in the order asked."""

    results: tuple[ActionItemResult, ...]


@dataclass(frozen=True, slots=True)
class ActionResponseNextPBlock(WithInvokeId):
    """Acknowledges a block of a long invocation and asks for the next."""

    block_number: int


_INVOKE: Final = "invoke_id_and_priority" / Int8ub
_BLOCK_NUMBER: Final = "block_number" / Int32ub
_BLOCK: Final = ("last" / LAST, _BLOCK_NUMBER, "raw_data" / OCTETS)
_METHOD: Final = "method" / METHOD
_METHODS: Final = "methods" / METHOD_LIST
_RESULT: Final = ("result" / Code(ActionResult), "returned" / optional(GET_DATA_RESULT))

LAYOUTS: Final = (
    layout(ActionRequestNormal, b"\xc3\x01", _INVOKE, _METHOD, "parameters" / optional(DATA)),
    layout(ActionRequestNextPBlock, b"\xc3\x02", _INVOKE, _BLOCK_NUMBER),
    layout(ActionRequestWithList, b"\xc3\x03", _INVOKE, _METHODS, "parameters" / DATA_LIST),
    layout(ActionRequestWithFirstPBlock, b"\xc3\x04", _INVOKE, _METHOD, *_BLOCK),
    layout(ActionRequestWithListAndFirstPBlock, b"\xc3\x05", _INVOKE, _METHODS, *_BLOCK),
    layout(ActionRequestWithPBlock, b"\xc3\x06", _INVOKE, *_BLOCK),
    layout(ActionResponseNormal, b"\xc7\x01", _INVOKE, *_RESULT),
    layout(ActionResponseWithPBlock, b"\xc7\x02", _INVOKE, *_BLOCK),
    layout(ActionResponseWithList, b"\xc7\x03", _INVOKE, "results" / SequenceOf(pair(*_RESULT))),
    layout(ActionResponseNextPBlock, b"\xc7\x04", _INVOKE, _BLOCK_NUMBER),
)
