"""Which code is which service, and how its request looks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from construct import Array, Bytes, Int8ub, Int16ub, Int24ub

from protocols.c12.services import requests as service
from protocols.c12.services.codes import MAX_BAUD_CODES, MAX_INDEXES, Dialect, ServiceCode
from protocols.c12.services.fields import ADDRESS, ELEMENT
from protocols.c12.services.layout import Layout, by_code, layout
from protocols.c12.services.tails import (
    CHANNELS,
    MESSAGE,
    PATTERN,
    SECURITY_USER,
    TABLE_DATA,
    TICKET,
    TIMEOUT,
    TITLES,
)

_SINCE_21: Final = frozenset({Dialect.C12_21, Dialect.C12_22})
_NETWORK: Final = frozenset({Dialect.C12_22})
_TABLE: Final = "table" / Int16ub
_OFFSET: Final = "offset" / Int24ub
_COUNT: Final = "count" / Int16ub
_ADDRESS: Final = ADDRESS.subcons
_CONTROL: Final = "control" / Int8ub


def _indexes(count: int) -> Any:  # noqa: ANN401 - construct's edge
    return "indexes" / Array(count, Int16ub)


LAYOUTS: Final[tuple[Layout, ...]] = (
    layout(ServiceCode.IDENTIFY, service.Identify),
    layout(ServiceCode.TERMINATE, service.Terminate),
    layout(ServiceCode.DISCONNECT, service.Disconnect, dialects=_SINCE_21),
    layout(ServiceCode.DEREGISTER, service.Deregister, "title" / ELEMENT, dialects=_NETWORK),
    layout(ServiceCode.RESOLVE, service.Resolve, "title" / ELEMENT, dialects=_NETWORK),
    layout(ServiceCode.TRACE, service.Trace, dialects=_NETWORK, tail=TITLES),
    layout(
        ServiceCode.REGISTER,
        service.Register,
        "node_type" / Int8ub,
        "connection_type" / Int8ub,
        "device_class" / Bytes(4),
        "title" / ELEMENT,
        "serial_number" / ELEMENT,
        *_ADDRESS,
        "period_s" / Int24ub,
        dialects=_NETWORK,
        tail=PATTERN,
    ),
    layout(ServiceCode.FULL_READ, service.FullRead, _TABLE),
    *(
        layout(ServiceCode.FULL_READ + n, service.IndexRead, _TABLE, _indexes(n), _COUNT)
        for n in range(1, MAX_INDEXES + 1)
    ),
    layout(ServiceCode.DEFAULT_READ, service.DefaultRead),
    layout(ServiceCode.OFFSET_READ, service.OffsetRead, _TABLE, _OFFSET, _COUNT),
    layout(ServiceCode.FULL_WRITE, service.FullWrite, _TABLE, tail=TABLE_DATA),
    *(
        layout(ServiceCode.FULL_WRITE + n, service.IndexWrite, _TABLE, _indexes(n), tail=TABLE_DATA)
        for n in range(1, MAX_INDEXES + 1)
    ),
    layout(ServiceCode.OFFSET_WRITE, service.OffsetWrite, _TABLE, _OFFSET, tail=TABLE_DATA),
    layout(ServiceCode.LOGON, service.Logon, "user_id" / Int16ub, "user" / Bytes(10), tail=TIMEOUT),
    layout(ServiceCode.SECURITY, service.Security, "password" / Bytes(20), tail=SECURITY_USER),
    layout(ServiceCode.LOGOFF, service.Logoff),
    layout(ServiceCode.AUTHENTICATE, service.Authenticate, dialects=_SINCE_21, tail=TICKET),
    *(
        layout(
            ServiceCode.NEGOTIATE + n,
            service.Negotiate,
            "packet_size" / Int16ub,
            "packets" / Int8ub,
            "baud_codes" / Bytes(n),
            tail=CHANNELS,
        )
        for n in range(MAX_BAUD_CODES + 1)
    ),
    layout(ServiceCode.WAIT, service.Wait, "seconds" / Int8ub),
    layout(
        ServiceCode.TIMING_SETUP,
        service.TimingSetup,
        "traffic_s" / Int8ub,
        "inter_character_s" / Int8ub,
        "response_s" / Int8ub,
        "retries" / Int8ub,
        dialects=_SINCE_21,
    ),
    layout(ServiceCode.GET_CONFIGURATION, service.GetConfiguration, dialects=_NETWORK),
    layout(ServiceCode.LINK_CONTROL, service.LinkControl, _CONTROL, dialects=_NETWORK),
    layout(
        ServiceCode.SEND_MESSAGE, service.SendMessage, *_ADDRESS, dialects=_NETWORK, tail=MESSAGE
    ),
    layout(ServiceCode.GET_STATUS, service.GetStatus, _CONTROL, dialects=_NETWORK),
    layout(ServiceCode.GET_REGISTRATION_STATUS, service.GetRegistrationStatus, dialects=_NETWORK),
    layout(
        ServiceCode.SEND_SHORT_MESSAGE,
        service.SendShortMessage,
        *_ADDRESS,
        dialects=_NETWORK,
        tail=MESSAGE,
    ),
)
"""Every service request; a count of indexes or baud rates is part of the code."""

BY_CODE: Final[Mapping[int, Layout]] = by_code(LAYOUTS)
"""`LAYOUTS` by the first octet of the request."""
