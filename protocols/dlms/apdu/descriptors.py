"""What APDUs are made of: descriptors, selective access, result codes, the invoke id.

Source: IEC 62056-5-3 (Green Book 9.5, "COSEMpdu" ASN.1). Result codes a peer invents survive as
plain integers: what was received can be recorded and sent back as it came.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, TypeAlias

from protocols.dlms.data import Data

INVOKE_ID_MASK: Final = 0x0F
CONFIRMED: Final = 0x40
HIGH_PRIORITY: Final = 0x80


@dataclass(frozen=True, slots=True)
class CosemAttributeDescriptor:
    """One attribute of one object: class (u16), logical name (6 octets), attribute (i8)."""

    class_id: int
    instance_id: bytes
    attribute_id: int


@dataclass(frozen=True, slots=True)
class CosemMethodDescriptor:
    """One method of one object: class (u16), logical name (6 octets), method (i8)."""

    class_id: int
    instance_id: bytes
    method_id: int


@dataclass(frozen=True, slots=True)
class SelectiveAccess:
    """Which part of an attribute is meant: a selector (u8) and its parameters."""

    selector: int
    parameters: Data


AttributeItem: TypeAlias = "tuple[CosemAttributeDescriptor, SelectiveAccess | None]"


class DataAccessResult(IntEnum):
    """How reading or writing an attribute ended."""

    SUCCESS = 0
    HARDWARE_FAULT = 1
    TEMPORARY_FAILURE = 2
    READ_WRITE_DENIED = 3
    OBJECT_UNDEFINED = 4
    OBJECT_CLASS_INCONSISTENT = 9
    OBJECT_UNAVAILABLE = 11
    TYPE_UNMATCHED = 12
    SCOPE_OF_ACCESS_VIOLATED = 13
    DATA_BLOCK_UNAVAILABLE = 14
    LONG_GET_ABORTED = 15
    NO_LONG_GET_IN_PROGRESS = 16
    LONG_SET_ABORTED = 17
    NO_LONG_SET_IN_PROGRESS = 18
    DATA_BLOCK_NUMBER_INVALID = 19
    OTHER_REASON = 250


class ActionResult(IntEnum):
    """How invoking a method ended."""

    SUCCESS = 0
    HARDWARE_FAULT = 1
    TEMPORARY_FAILURE = 2
    READ_WRITE_DENIED = 3
    OBJECT_UNDEFINED = 4
    OBJECT_CLASS_INCONSISTENT = 9
    OBJECT_UNAVAILABLE = 11
    TYPE_UNMATCHED = 12
    SCOPE_OF_ACCESS_VIOLATED = 13
    DATA_BLOCK_UNAVAILABLE = 14
    LONG_ACTION_ABORTED = 15
    NO_LONG_ACTION_IN_PROGRESS = 16
    OTHER_REASON = 250


AccessResult: TypeAlias = "DataAccessResult | int"
MethodResult: TypeAlias = "ActionResult | int"
GetDataResult: TypeAlias = "Data | DataAccessResult | int"


@dataclass(frozen=True, slots=True)
class WithInvokeId:
    """What every service APDU starts with: invoke id, service class and priority in one octet."""

    invoke_id_and_priority: int

    @property
    def invoke_id(self) -> int:
        """The number (0..15) that ties a response to its request."""
        return self.invoke_id_and_priority & INVOKE_ID_MASK

    @property
    def confirmed(self) -> bool:
        """Whether the service is confirmed (service-class bit)."""
        return bool(self.invoke_id_and_priority & CONFIRMED)

    @property
    def high_priority(self) -> bool:
        """Whether the service has high priority."""
        return bool(self.invoke_id_and_priority & HIGH_PRIORITY)
