"""Association LN (class 15, version 1): what the association shows of itself.

IEC 62056-6-2, Blue Book 4.4.3. The session makes one per association; its object list is read
from the logical device when somebody asks for it, with the rights this client has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum

from protocols.dlms.cosem.access import Level
from protocols.dlms.cosem.base import CosemObject, Method, Reader, Value
from protocols.dlms.cosem.classes import ASSOCIATION_LN
from protocols.dlms.cosem.device import CURRENT_ASSOCIATION, LogicalDevice
from protocols.dlms.data import (
    NULL,
    BitString,
    Data,
    DataType,
    array,
    enum,
    integer,
    long_unsigned,
    octet_string,
    structure,
    unsigned,
)

CONFORMANCE_BITS = 24


class AssociationStatus(IntEnum):
    """Attribute 8."""

    NON_ASSOCIATED = 0
    ASSOCIATION_PENDING = 1
    ASSOCIATED = 2


@dataclass(frozen=True, slots=True)
class Partners:
    """What both sides agreed on, as the class shows it.

    ``application_context`` and ``mechanism`` are the value octets of the object identifiers;
    ``conformance`` is the negotiated 24-bit block as a number, first bit most significant.
    """

    client_sap: int
    server_sap: int
    application_context: bytes
    mechanism: bytes
    conformance: int
    max_receive_pdu_size: int
    max_send_pdu_size: int
    security_setup: bytes = b""


def association_ln(
    device: LogicalDevice,
    level: Level,
    partners: Partners,
    *,
    status: Callable[[], AssociationStatus],
    reply_to_hls: Method,
) -> CosemObject:
    """Return the current association of ``device`` for a client of ``level``."""
    values: dict[int, Value | Reader] = {
        2: lambda: object_list((*device.visible(level), association), level),
        3: structure(integer(partners.client_sap), long_unsigned(partners.server_sap)),
        4: octet_string(partners.application_context),
        5: _context_info(partners),
        6: octet_string(partners.mechanism),
        8: lambda: enum(status()),
        9: octet_string(partners.security_setup),
    }
    association = CosemObject(
        ASSOCIATION_LN,
        CURRENT_ASSOCIATION,
        values,
        methods={1: reply_to_hls},
        visible_from=Level.PUBLIC,
    )
    return association


def object_list(items: Iterable[CosemObject], level: Level) -> Data:
    """Return attribute 2 for ``items`` with the rights of ``level``."""
    return array(_element(item, level) for item in items)


def _element(item: CosemObject, level: Level) -> Data:
    return structure(
        long_unsigned(item.class_id),
        unsigned(item.version),
        octet_string(item.logical_name),
        structure(
            array(
                structure(
                    integer(number),
                    enum(item.attribute_access(number, level)),
                    _selectors(item.selectors.get(number, ())),
                )
                for number in item.interface_class.attributes
            ),
            array(
                structure(integer(number), enum(item.method_access(number, level)))
                for number in item.interface_class.methods
            ),
        ),
    )


def _selectors(selectors: tuple[int, ...]) -> Data:
    return array(integer(selector) for selector in selectors) if selectors else NULL


def _context_info(partners: Partners) -> Data:
    conformance = BitString(
        CONFORMANCE_BITS, partners.conformance.to_bytes(CONFORMANCE_BITS // 8, "big")
    )
    return structure(
        Data(DataType.BIT_STRING, conformance),
        long_unsigned(partners.max_receive_pdu_size),
        long_unsigned(partners.max_send_pdu_size),
        unsigned(6),
        integer(0),
        octet_string(b""),
    )
