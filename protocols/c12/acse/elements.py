"""The ACSE PDU of C12.22: which element of the header holds which field.

Source: ANSI C12.22 (ACSE, tag 0x60), in the order of the standard, which is enforced::

    60 L
     A1 L 06 L oid                  application context
     A2 L (06 | 80) L title         called ApTitle
     A3 L 02 L n                    size of the whole APDU; on segments only
     A4 L 02 L n                    called AP invocation id: the A8 of the request
     A6 L (06 | 80) L title         calling ApTitle
     A7 L 02 01 q                   calling AE qualifier
     A8 L 02 L n                    calling AP invocation id
     8B L oid                       mechanism name
     AC L A2 L A0 L A1 L [80 01 key id] 81 04 iv      authentication value
     BE L 28 L [02 L segment offset] 81 L octets      information

``_ELEMENTS`` is the specification. Unknown and doubled elements are refused: the message
authentication covers known elements only, so anything else would be unprotected.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from protocols.c12 import ber
from protocols.c12.acse.header import (
    AeQualifier,
    AuthenticationValue,
    Header,
    ReadApdu,
    SegmentPosition,
    Spans,
)
from protocols.c12.titles import ABSOLUTE, RELATIVE, ApTitle, decode_title
from protocols.errors import CodecError

CODEC: Final = "ACSE"
APDU_TAG: Final = 0x60
INFORMATION_TAG: Final = 0xBE
CALLED_TAG: Final = 0xA2
TOTAL_SIZE_TAG: Final = 0xA3
CALLING_TAG: Final = 0xA6
C1222_CONTEXT: Final = bytes.fromhex("607c86f7540116")
"""The application context 2.16.124.113620.1.22, content octets."""

_EXTERNAL: Final = 0x28
_SEGMENT_OFFSET: Final = 0x02
_OCTETS: Final = 0x81
_KEY_ID: Final = 0x80
_VECTOR: Final = 0x81
_VECTOR_SIZE: Final = 4
# 0D is a matter of service bodies only: here it would change what was authenticated unnoticed.
_TITLE_TAGS: Final = (ABSOLUTE, RELATIVE)


@dataclass(frozen=True, slots=True)
class _Form:
    """How a value lies in its element: content octets to value, and back."""

    read: Callable[[bytes, str], Any]
    write: Callable[[Any, str], bytes]


def read_title(octets: bytes, path: str) -> ApTitle:
    """Return the title inside A2 or A6; raises `CodecError`."""
    if not octets or octets[0] not in _TITLE_TAGS:
        raise CodecError("neither an absolute nor a relative title", codec=CODEC, path=path)
    return decode_title(octets)


def _read_integer_octets(octets: bytes, path: str) -> bytes:
    content = ber.read_only(ber.INTEGER, octets, path)
    ber.read_unsigned(content, path)
    return content


def _write_integer_octets(value: bytes, path: str) -> bytes:
    ber.read_unsigned(value, path)
    return ber.element(ber.INTEGER, value)


def _read_qualifier(octets: bytes, path: str) -> AeQualifier:
    content = ber.read_only(ber.INTEGER, octets, path)
    if len(content) != 1:
        raise CodecError(f"a qualifier of {len(content)} octets", codec=CODEC, path=path)
    return QUALIFIERS[content[0]]


def _write_qualifier(value: AeQualifier, path: str) -> bytes:
    return ber.element(ber.INTEGER, _octet(value, path))


def _read_authentication(octets: bytes, path: str) -> AuthenticationValue:
    for tag in (0xA2, 0xA0, 0xA1):
        octets = ber.read_only(tag, octets, path)
    key_id = None
    if octets[:2] == bytes((_KEY_ID, 1)) and len(octets) > 2:
        key_id, octets = octets[2], octets[3:]
    vector = ber.read_only(_VECTOR, octets, path)
    if len(vector) != _VECTOR_SIZE:
        raise CodecError(f"a vector of {len(vector)} octets", codec=CODEC, path=path)
    return AuthenticationValue(int.from_bytes(vector, "big"), key_id)


def _write_authentication(value: AuthenticationValue, path: str) -> bytes:
    if not 0 <= value.vector <= 0xFFFF_FFFF:
        raise CodecError(f"{value.vector} in 32 bits", codec=CODEC, path=path)
    octets = ber.element(_VECTOR, value.vector.to_bytes(_VECTOR_SIZE, "big"))
    if value.key_id is not None:
        octets = ber.element(_KEY_ID, _octet(value.key_id, path)) + octets
    for tag in (0xA1, 0xA0, 0xA2):
        octets = ber.element(tag, octets)
    return octets


def _octet(value: int, path: str) -> bytes:
    if not 0 <= value <= 0xFF:
        raise CodecError(f"{value} in 8 bits", codec=CODEC, path=path)
    return bytes((value,))


QUALIFIERS: Final = tuple(AeQualifier(octet) for octet in range(256))
_TITLE: Final = _Form(read_title, lambda title, _: title.encode())
_NAME: Final = _Form(
    lambda octets, path: ber.read_only(ber.OBJECT_IDENTIFIER, octets, path),
    lambda octets, _: ber.element(ber.OBJECT_IDENTIFIER, octets),
)
_RAW: Final = _Form(lambda octets, _: octets, lambda octets, _: octets)
_INVOCATION: Final = _Form(_read_integer_octets, _write_integer_octets)
_INTEGER: Final = _Form(
    lambda octets, path: int.from_bytes(_read_integer_octets(octets, path), "big"),
    lambda value, path: ber.element(ber.INTEGER, ber.unsigned(value, path)),
)

_ELEMENTS: Final[tuple[tuple[int, str, _Form], ...]] = (
    (0xA1, "application_context", _NAME),
    (0xA2, "called", _TITLE),
    (0xA3, "total_size", _INTEGER),
    (0xA4, "called_invocation", _INVOCATION),
    (0xA6, "calling", _TITLE),
    (0xA7, "qualifier", _Form(_read_qualifier, _write_qualifier)),
    (0xA8, "calling_invocation", _INVOCATION),
    (0x8B, "mechanism_name", _RAW),
    (0xAC, "authentication", _Form(_read_authentication, _write_authentication)),
)
_ROW_OF: Final = {tag: row for row, (tag, _, _) in enumerate(_ELEMENTS)}


def encode_elements(header: Header, total_size: int | None = None) -> list[tuple[int, bytes]]:
    """Return tags and whole elements of ``header``, in order; raises `CodecError`."""
    elements = []
    for tag, name, form in _ELEMENTS:
        value = total_size if tag == TOTAL_SIZE_TAG else getattr(header, name)
        if value is not None:
            elements.append((tag, ber.element(tag, form.write(value, name))))
    return elements


def information_header(size: int, segment_offset: int | None = None) -> bytes:
    """Return what stands before ``size`` octets of information, from tag BE on."""
    head = bytes((_OCTETS,)) + ber.length(size)
    if segment_offset is not None:
        offset = ber.unsigned(segment_offset, "segment_offset")
        head = ber.element(_SEGMENT_OFFSET, offset) + head
    head = bytes((_EXTERNAL,)) + ber.length(len(head) + size) + head
    return bytes((INFORMATION_TAG,)) + ber.length(len(head) + size) + head


def encode_apdu(
    header: Header, information: bytes, segment: SegmentPosition | None = None
) -> bytes:
    """Return a whole APDU; raises `CodecError` naming the field that does not fit."""
    elements = encode_elements(header, segment.total_size if segment else None)
    head = information_header(len(information), segment.offset if segment else None)
    body = b"".join([octets for _, octets in elements])
    return ber.element(APDU_TAG, body + head + information)


def interpret_apdu(octets: bytes) -> ReadApdu:
    """Return the one APDU that ``octets`` are; raises `CodecError` naming the field."""
    end = len(octets)
    tag, elements_start, stop = ber.read_element(octets, 0, end, "apdu")
    if tag != APDU_TAG or stop != end:
        raise CodecError(f"tag {tag:#04x} and {end - stop} octets after it", codec=CODEC)
    values, spans, offset = _read_elements(octets, elements_start)
    _, start, stop = ber.read_element(octets, offset, end, "information")
    if stop != end:
        raise CodecError(f"{end - stop} octets after it", codec=CODEC, path="information")
    segment_offset, information_start = _read_information(octets, start)
    segment = _segment(values.pop("total_size", None), segment_offset)
    called = spans.get(CALLED_TAG, (elements_start, elements_start))
    calling = spans.get(CALLING_TAG, (called[1], called[1]))
    where = Spans(elements_start, *called, *calling, information_start)
    return ReadApdu(octets, _header(values), segment, where)


def interpret_header(octets: bytes) -> Header:
    """Return the header of an APDU of which ``octets`` are the first, down to its information.

    Raises:
        CodecError: malformed, or the header does not end in ``octets``.
    """
    first = octets[1] if len(octets) > 1 else 0
    start = 2 if first < 0x80 else 2 + (first & 0x7F)
    if octets[:1] != bytes((APDU_TAG,)):
        raise CodecError("no APDU", codec=CODEC)
    values, _, _ = _read_elements(octets, start)
    values.pop("total_size", None)
    return _header(values)


def _read_elements(
    octets: bytes, offset: int
) -> tuple[dict[str, Any], dict[int, tuple[int, int]], int]:
    """Return values by field, spans by tag, and where the information starts."""
    values: dict[str, Any] = {}
    spans: dict[int, tuple[int, int]] = {}
    row = 0
    while octets[offset : offset + 1] != bytes((INFORMATION_TAG,)):
        tag, start, stop = ber.read_element(octets, offset, len(octets), "element")
        if (found := _ROW_OF.get(tag, -1)) < row:
            raise CodecError(f"element {tag:#04x} has no place here", codec=CODEC, path="element")
        _, name, form = _ELEMENTS[found]
        values[name] = form.read(octets[start:stop], name)
        spans[tag] = offset, stop
        row, offset = found + 1, stop
    return values, spans, offset


def _segment(total_size: int | None, offset: int | None) -> SegmentPosition | None:
    if total_size is None and offset is None:
        return None
    if total_size is None or offset is None:
        raise CodecError("a segment has size and offset", codec=CODEC, path="total_size")
    return SegmentPosition(total_size, offset)


def _header(values: dict[str, Any]) -> Header:
    if "calling_invocation" not in values:
        raise CodecError("none there", codec=CODEC, path="calling_invocation")
    return Header(values.pop("called", None), values.pop("calling", None), **values)


def _read_information(octets: bytes, start: int) -> tuple[int | None, int]:
    """Return the segment offset and where the octets of the information start."""
    end = len(octets)
    tag, start, stop = ber.read_element(octets, start, end, "information")
    if tag != _EXTERNAL or stop != end:
        raise CodecError(f"tag {tag:#04x}, not an external", codec=CODEC, path="information")
    segment_offset = None
    tag, inner, stop = ber.read_element(octets, start, end, "information")
    if tag == _SEGMENT_OFFSET:
        segment_offset = ber.read_unsigned(octets[inner:stop], "segment_offset")
        tag, inner, stop = ber.read_element(octets, stop, end, "information")
    if tag != _OCTETS or stop != end:
        raise CodecError(f"tag {tag:#04x}, not octets", codec=CODEC, path="information")
    return segment_offset, inner
