"""The construct pieces that the service declarations share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from construct import (
    Adapter,
    Bytes,
    ExprValidator,
    GreedyBytes,
    GreedyRange,
    Int8ub,
    OneOf,
    Prefixed,
    Rebuild,
    Struct,
    Terminated,
    ValidationError,
    len_,
    this,
)

if TYPE_CHECKING:
    _Adapter = Adapter[Any, Any, Any, Any]
else:  # construct's classes are generic in their stubs only
    _Adapter = Adapter

TITLE_TAGS: Final = (0x06, 0x80, 0x0D)
"""Absolute; relative as in the ACSE header; relative as some write it in Register."""

SHORT_LENGTH: Final = ExprValidator(Int8ub, lambda value, _: value < 0x80)
"""A BER length of one octet; no title is longer than 127 octets."""


class _Element(_Adapter):
    """A BER element as its own octets, tag and length included."""

    def _decode(self, obj: Any, _context: object, _path: str) -> bytes:  # noqa: ANN401
        contents: bytes = obj["contents"]
        return bytes((obj["tag"], len(contents))) + contents

    def _encode(self, obj: bytes, _context: object, path: str) -> dict[str, Any]:
        if len(obj) < 2 or obj[1] != len(obj) - 2:
            raise ValidationError(f"{obj.hex()} is no element", path=path)
        return {"tag": obj[0], "contents": obj[2:]}


ELEMENT: Final = _Element(
    Struct("tag" / OneOf(Int8ub, TITLE_TAGS), "contents" / Prefixed(SHORT_LENGTH, GreedyBytes))
)
"""A title or an identifier: BER tag 06, 80 or 0D, one octet of length, contents."""

ELEMENTS: Final = Struct("titles" / GreedyRange(ELEMENT), Terminated)
"""Elements up to the end, and nothing but elements."""

ADDRESS: Final = Struct(
    "length" / Rebuild(Int8ub, len_(this.address)) * "octets of the address",
    "address" / Bytes(this.length),
)
"""A native address behind its length."""
