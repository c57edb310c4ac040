"""ACTION: invoke methods, whole or in blocks (Green Book 9.3.8, tags 0xC3 and 0xC7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from protocols.dlms.apdu.descriptors import (
    CosemMethodDescriptor,
    GetDataResult,
    MethodResult,
    WithInvokeId,
)
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
