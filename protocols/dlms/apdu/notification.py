"""Notifications: DataNotification, its confirmation, EventNotification (Green Book 9.3.10, 9.3.11).

The body of data-notification-confirm is uncertain: public sources show tag 0x10, the
long-invoke-id-and-priority and a date-time octet-string, and no peer implements it. It has one
declaration, so that a correction is one line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from construct import Int32ub

from protocols.dlms.apdu.descriptors import CosemAttributeDescriptor
from protocols.dlms.apdu.fields import ATTRIBUTE, DATA, OCTETS, optional
from protocols.dlms.apdu.layout import layout
from protocols.dlms.data import Data

LONG_INVOKE_ID_MASK: Final = 0x00FF_FFFF
LONG_SELF_DESCRIPTIVE: Final = 0x1000_0000
LONG_BREAK_ON_ERROR: Final = 0x2000_0000
LONG_CONFIRMED: Final = 0x4000_0000
LONG_HIGH_PRIORITY: Final = 0x8000_0000


@dataclass(frozen=True, slots=True)
class WithLongInvokeId:
    """The 32-bit invoke id: 24 bits of number, 8 of service class, priority and options."""

    long_invoke_id_and_priority: int

    @property
    def long_invoke_id(self) -> int:
        """The number (24 bits) that ties a confirmation to its notification."""
        return self.long_invoke_id_and_priority & LONG_INVOKE_ID_MASK

    @property
    def confirmed(self) -> bool:
        """Whether a confirmation is asked for (service-class bit)."""
        return bool(self.long_invoke_id_and_priority & LONG_CONFIRMED)

    @property
    def high_priority(self) -> bool:
        """Whether the service has high priority."""
        return bool(self.long_invoke_id_and_priority & LONG_HIGH_PRIORITY)


@dataclass(frozen=True, slots=True)
class DataNotification(WithLongInvokeId):
    """A push: when it was sent (12 octets of date-time, or none) and what."""

    date_time: bytes
    body: Data


@dataclass(frozen=True, slots=True)
class DataNotificationConfirm(WithLongInvokeId):
    """Says that a confirmed push arrived."""

    date_time: bytes


@dataclass(frozen=True, slots=True)
class EventNotificationRequest:
    """One attribute, sent unasked; ``time`` is 12 octets of date-time, or ``None``."""

    time: bytes | None
    attribute: CosemAttributeDescriptor
    value: Data


_LONG_INVOKE: Final = "long_invoke_id_and_priority" / Int32ub
# An octet-string, not an optional one: 00 for none, 0c and twelve octets otherwise.
_DATE_TIME: Final = "date_time" / OCTETS

LAYOUTS: Final = (
    layout(DataNotification, b"\x0f", _LONG_INVOKE, _DATE_TIME, "body" / DATA),
    layout(DataNotificationConfirm, b"\x10", _LONG_INVOKE, _DATE_TIME),
    layout(
        EventNotificationRequest,
        b"\xc2",
        "time" / optional(OCTETS),
        "attribute" / ATTRIBUTE,
        "value" / DATA,
    ),
)
