"""Hypothesis strategies for every APDU: one strategy per field name, as names mean one thing."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from hypothesis import strategies as st

from protocols.dlms.apdu import (
    LAYOUTS,
    PLAIN_TAGS,
    Aare,
    Aarq,
    ActionRequestWithList,
    ActionResponseNormal,
    ActionResponseWithList,
    ActionResult,
    Conformance,
    CosemAttributeDescriptor,
    CosemMethodDescriptor,
    DataAccessResult,
    ExceptionResponse,
    GetResponseNormal,
    GetResponseWithDataBlock,
    GetResponseWithList,
    Rlre,
    Rlrq,
    SelectiveAccess,
    ServiceError,
)
from protocols.dlms.data import BitString
from tests.support.cosem_data import data_values

Strategy = st.SearchStrategy[Any]

U8 = st.integers(0, 0xFF)
U16 = st.integers(0, 0xFFFF)
U32 = st.integers(0, 0xFFFF_FFFF)
I8 = st.integers(-128, 127)
I32 = st.integers(-(2**31), 2**31 - 1)
OCTETS = st.binary(max_size=140)
LOGICAL_NAMES = st.binary(min_size=6, max_size=6)
DATA: Strategy = data_values()

# Known codes as their enumeration members, others as integers: equal either way.
ACCESS_RESULTS = st.one_of(st.sampled_from(DataAccessResult), U8)
ACTION_RESULTS = st.one_of(st.sampled_from(ActionResult), U8)
GET_DATA_RESULTS = st.one_of(DATA, ACCESS_RESULTS)
ATTRIBUTES = st.builds(CosemAttributeDescriptor, U16, LOGICAL_NAMES, I8)
METHODS = st.builds(CosemMethodDescriptor, U16, LOGICAL_NAMES, I8)
ACCESSES = st.none() | st.builds(SelectiveAccess, U8, DATA)


def tuples_of(item: Strategy) -> Strategy:
    return st.lists(item, max_size=3).map(tuple)


FIELDS: dict[str, Strategy] = {
    "invoke_id_and_priority": U8,
    "long_invoke_id_and_priority": U32,
    "date_time": st.sampled_from([b"", bytes(12)]),
    "time": st.none() | st.binary(min_size=12, max_size=12),
    "attribute": ATTRIBUTES,
    "access": ACCESSES,
    "items": tuples_of(st.tuples(ATTRIBUTES, ACCESSES)),
    "method": METHODS,
    "methods": tuples_of(METHODS),
    "parameters": st.none() | DATA,
    "block_number": U32,
    "last": st.booleans(),
    "raw_data": OCTETS,
    "value": DATA,
    "values": tuples_of(DATA),
    "body": DATA,
    "result": ACCESS_RESULTS,
    "results": tuples_of(ACCESS_RESULTS),
    "returned": st.none() | GET_DATA_RESULTS,
    "system_title": st.sampled_from([b"", b"MSC\x00\x00\x00\x00\x01"]),
    "content": OCTETS,
    "tag": st.sampled_from(sorted(PLAIN_TAGS)),
    "service": U8,
    "error": U8,
    "state_error": U8,
    "service_error": U8.filter(lambda code: code != ServiceError.INVOCATION_COUNTER_ERROR),
    "invocation_counter": st.none(),
    "conformance": st.integers(0, 2**24 - 1).map(Conformance),
    "max_receive_pdu_size": U16,
    "dedicated_key": st.none() | st.binary(min_size=16, max_size=16),
    "response_allowed": st.booleans(),
    "quality_of_service": st.none() | I8,
    "dlms_version": U8,
    "vaa_name": st.integers(-(2**15), 2**15 - 1),
    "application_context_name": st.binary(max_size=9),
    "protocol_version": st.none() | st.just(BitString(1, b"\x80")),
    "sender_acse_requirements": st.booleans(),
    "responder_acse_requirements": st.booleans(),
    "diagnostic_source": st.sampled_from([1, 2]),
    "diagnostic": st.integers(0, 14),
    "reason": st.none() | st.sampled_from([0, 1, 30, 7]),
}
_OCTETS_OR_NONE = st.none() | OCTETS
_OWN: dict[tuple[type[Any], str], Strategy] = {
    (GetResponseNormal, "result"): GET_DATA_RESULTS,
    (GetResponseWithList, "results"): tuples_of(GET_DATA_RESULTS),
    (GetResponseWithDataBlock, "result"): st.one_of(OCTETS, ACCESS_RESULTS),
    (ActionRequestWithList, "parameters"): tuples_of(DATA),
    (ActionResponseNormal, "result"): ACTION_RESULTS,
    (ActionResponseWithList, "results"): tuples_of(
        st.tuples(ACTION_RESULTS, st.none() | GET_DATA_RESULTS)
    ),
}
_BYTE_VALUE = {"ConfirmedServiceError"}


def _field(kind: type[Any], name: str) -> Strategy:
    if (kind, name) in _OWN:
        return _OWN[kind, name]
    if kind.__name__ in _BYTE_VALUE:
        return U8
    if name.endswith(("_ap_invocation_id", "_ae_invocation_id")):
        return st.none() | I32
    return FIELDS.get(name, _OCTETS_OR_NONE)


def apdus_of(kind: type[Any]) -> Strategy:
    """Any value of one kind of APDU."""
    return st.builds(kind, **{field.name: _field(kind, field.name) for field in fields(kind)})


COUNTED_EXCEPTIONS = st.builds(
    ExceptionResponse, U8, st.just(ServiceError.INVOCATION_COUNTER_ERROR), U32
)
KINDS: tuple[type[Any], ...] = (*(layout.kind for layout in LAYOUTS), Aarq, Aare, Rlrq, Rlre)


def apdus() -> Strategy:
    """Any APDU of any kind."""
    return st.one_of([COUNTED_EXCEPTIONS, *(apdus_of(kind) for kind in KINDS)])
