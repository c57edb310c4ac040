"""The ACSE APDUs on the wire: which element of AARQ, AARE, RLRQ, RLRE holds which field.

Source: IEC 62056-5-3 (Green Book 9.4.2.2, ASN.1 "COSEM-ACSE-APDUs"). The tables are the
specification: one row per element, in the order of the standard. Elements may come in any order;
unknown ones are skipped, doubled ones refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from protocols.dlms.apdu import ber
from protocols.dlms.apdu.association import (
    Aare,
    Aarq,
    AssociationResult,
    DiagnosticSource,
    ReleaseReason,
    Rlre,
    Rlrq,
)
from protocols.dlms.axdr.problem import Problem
from protocols.dlms.data import BitString
from protocols.errors import CodecError

CODEC: Final = "ACSE"
_AUTHENTICATION: Final = BitString(1, b"\x80")
_CHARSTRING: Final = 0x80
_SOURCES: Final = {0xA0 + source: source for source in DiagnosticSource}


@dataclass(frozen=True, slots=True)
class _Form:
    """How a value lies in its element: content octets to value, and back."""

    read: Callable[[bytes], Any]
    write: Callable[[Any], bytes]


def _explicit(tag: int, inner: _Form) -> _Form:
    return _Form(
        lambda octets: inner.read(ber.read_only_element(tag, octets)),
        lambda value: ber.write_element(tag, inner.write(value)),
    )


def _read_diagnostic(octets: bytes) -> tuple[DiagnosticSource, int]:
    elements = ber.read_elements(octets)
    if len(elements) != 1 or elements[0][0] not in _SOURCES:
        raise Problem("neither a service-user nor a service-provider diagnostic")
    tag, content = elements[0]
    return _SOURCES[tag], ber.read_integer(ber.read_only_element(ber.INTEGER, content))


def _write_diagnostic(value: tuple[int, int]) -> bytes:
    source, diagnostic = value
    inner = ber.write_element(ber.INTEGER, ber.write_integer(diagnostic))
    return ber.write_element(0xA0 + source, inner)


def _code(known: type[AssociationResult] | type[ReleaseReason]) -> _Form:
    members: dict[int, int] = {member.value: member for member in known}
    return _Form(
        lambda octets: members.get(value := ber.read_integer(octets), value), ber.write_integer
    )


_OCTETS: Final = _Form(bytes, bytes)
_OCTET_STRING: Final = _explicit(ber.OCTET_STRING, _OCTETS)
_OBJECT_IDENTIFIER: Final = _explicit(ber.OBJECT_IDENTIFIER, _OCTETS)
_INTEGER: Final = _explicit(ber.INTEGER, _Form(ber.read_integer, ber.write_integer))
_RESULT: Final = _explicit(ber.INTEGER, _code(AssociationResult))
_BITS: Final = _Form(ber.read_bits, ber.write_bits)
_DIAGNOSTIC: Final = _Form(_read_diagnostic, _write_diagnostic)
# Only the authentication functional unit is defined; without it the element says nothing.
_REQUIREMENTS: Final = _Form(
    lambda octets: bool(ber.read_bits(octets).octets[:1] >= b"\x80"),
    lambda _: ber.write_bits(_AUTHENTICATION),
)
# A CHOICE of four; COSEM uses charstring only.
_AUTHENTICATION_VALUE: Final = _explicit(_CHARSTRING, _OCTETS)

_Table = tuple[tuple[int, str, _Form], ...]

_AARQ: Final[_Table] = (
    (0x80, "protocol_version", _BITS),
    (0xA1, "application_context_name", _OBJECT_IDENTIFIER),
    (0xA2, "called_ap_title", _OCTET_STRING),
    (0xA3, "called_ae_qualifier", _OCTET_STRING),
    (0xA4, "called_ap_invocation_id", _INTEGER),
    (0xA5, "called_ae_invocation_id", _INTEGER),
    (0xA6, "calling_ap_title", _OCTET_STRING),
    (0xA7, "calling_ae_qualifier", _OCTET_STRING),
    (0xA8, "calling_ap_invocation_id", _INTEGER),
    (0xA9, "calling_ae_invocation_id", _INTEGER),
    (0x8A, "sender_acse_requirements", _REQUIREMENTS),
    (0x8B, "mechanism_name", _OCTETS),
    (0xAC, "calling_authentication_value", _AUTHENTICATION_VALUE),
    (0xBD, "implementation_information", _OCTETS),
    (0xBE, "user_information", _OCTET_STRING),
)
_AARE: Final[_Table] = (
    (0x80, "protocol_version", _BITS),
    (0xA1, "application_context_name", _OBJECT_IDENTIFIER),
    (0xA2, "result", _RESULT),
    (0xA3, "diagnostic", _DIAGNOSTIC),
    (0xA4, "responding_ap_title", _OCTET_STRING),
    (0xA5, "responding_ae_qualifier", _OCTET_STRING),
    (0xA6, "responding_ap_invocation_id", _INTEGER),
    (0xA7, "responding_ae_invocation_id", _INTEGER),
    (0x88, "responder_acse_requirements", _REQUIREMENTS),
    (0x89, "mechanism_name", _OCTETS),
    (0xAA, "responding_authentication_value", _AUTHENTICATION_VALUE),
    (0xBD, "implementation_information", _OCTETS),
    (0xBE, "user_information", _OCTET_STRING),
)
_RELEASE: Final[_Table] = (
    (0x80, "reason", _code(ReleaseReason)),
    (0xBE, "user_information", _OCTET_STRING),
)

_MANDATORY: Final = {"application_context_name", "result", "diagnostic"}

TABLES: Final[dict[int, tuple[type[Any], _Table]]] = {
    0x60: (Aarq, _AARQ),
    0x61: (Aare, _AARE),
    0x62: (Rlrq, _RELEASE),
    0x63: (Rlre, _RELEASE),
}
"""Tag of the APDU -> its dataclass and its elements."""


def encode_acse(apdu: Any) -> bytes:  # noqa: ANN401 - one of four dataclasses
    """Return an ACSE APDU encoded; raises `CodecError` naming the field."""
    tag, table = next((tag, table) for tag, (kind, table) in TABLES.items() if kind is type(apdu))
    parts: list[bytes] = []
    for element, name, form in table:
        value = getattr(apdu, name)
        if name == "diagnostic":
            value = (apdu.diagnostic_source, value)
        if value is None or value is False:
            continue
        try:
            parts.append(ber.write_element(element, form.write(value)))
        except Problem as problem:
            raise CodecError(problem.message, codec=CODEC, path=name) from problem
    return ber.write_element(tag, b"".join(parts))


def decode_acse(buffer: bytes) -> Any:  # noqa: ANN401 - one of four dataclasses
    """Return the ACSE APDU in ``buffer``; raises `CodecError` naming the field."""
    kind, table = TABLES[buffer[0]]
    try:
        elements = ber.read_elements(ber.read_only_element(buffer[0], buffer))
    except Problem as problem:
        raise CodecError(problem.message, codec=CODEC, path=kind.__name__) from problem
    values = _read_fields(elements, {element: (name, form) for element, name, form in table})
    for _, name, _ in table:
        if name in _MANDATORY and name not in values:
            raise CodecError("missing", codec=CODEC, path=name)
    return kind(**values)


def _read_fields(
    elements: list[tuple[int, bytes]], table: dict[int, tuple[str, _Form]]
) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for element, content in elements:
        if element not in table:
            continue
        name, form = table[element]
        if name in values:
            raise CodecError("twice", codec=CODEC, path=name)
        try:
            values[name] = form.read(content)
        except Problem as problem:
            raise CodecError(problem.message, codec=CODEC, path=name) from problem
    if "diagnostic" in values:
        values["diagnostic_source"], values["diagnostic"] = values["diagnostic"]
    return values
