"""Texts and identifiers: octets of a fixed number, read by CHAR_FORMAT and ID_FORM of ST0.

The lengths of C12.19 are taken as octets in every character format: that is how the public readers
count (a choice; the standard's text was not at hand). Padding is spaces on the right.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final

from construct import Bytes

from protocols.c12.tables.formats.field import ByteOrder, ExactAdapter, refuse


class CharacterFormat(IntEnum):
    """CHAR_FORMAT of ST0."""

    UNSPECIFIED = 0
    ISO_7_BIT = 1
    LATIN_1 = 2
    UTF_8 = 3
    UTF_16 = 4
    UTF_32 = 5


# Octets that are none of the format's survive as surrogates.
_CODECS: Final = {
    CharacterFormat.UNSPECIFIED: ("ascii", "surrogateescape"),
    CharacterFormat.ISO_7_BIT: ("ascii", "surrogateescape"),
    CharacterFormat.LATIN_1: ("latin-1", "strict"),
    CharacterFormat.UTF_8: ("utf-8", "surrogateescape"),
    CharacterFormat.UTF_16: ("utf-16", "surrogatepass"),
    CharacterFormat.UTF_32: ("utf-32", "surrogatepass"),
}
_WIDE: Final = (CharacterFormat.UTF_16, CharacterFormat.UTF_32)


class Text(ExactAdapter):
    """A string of ``size`` octets without its trailing spaces."""

    def __init__(self, size: int, characters: CharacterFormat, order: ByteOrder) -> None:
        octets: Any = Bytes(size)
        super().__init__(octets)
        codec, self._errors = _CODECS[characters]
        suffix = "-le" if order.is_little else "-be"
        self._codec = codec + suffix if characters in _WIDE else codec
        self._size, self._space = size, " ".encode(self._codec)

    def _decode(self, obj: bytes, _context: object, _path: object) -> str:
        return obj.decode(self._codec, self._errors).rstrip(" ")

    def _encode(self, obj: str, _context: object, path: str) -> bytes:
        octets = obj.encode(self._codec, self._errors)
        missing = self._size - len(octets)
        if missing < 0 or missing % len(self._space):
            raise refuse(f"{len(octets)} octets of text in a field of {self._size}", path)
        return octets + self._space * (missing // len(self._space))


class PackedDigits(ExactAdapter):
    """An identifier in packed decimal: its digits as text, with leading zeros."""

    def __init__(self, size: int) -> None:
        octets: Any = Bytes(size)
        super().__init__(octets)
        self._digits = 2 * size

    def _decode(self, obj: bytes, _context: object, _path: object) -> str:
        # Nibbles above nine are legal fillers in the field: they show as hexadecimal digits.
        return obj.hex()

    def _encode(self, obj: str, _context: object, path: str) -> bytes:
        try:
            return bytes.fromhex(f"{obj:0>{self._digits}}"[-max(self._digits, len(obj)) :])
        except ValueError as exc:
            raise refuse(f"{obj!r} is not digits", path) from exc


def identifier(
    size: int, characters: CharacterFormat, order: ByteOrder, *, packed: bool
) -> ExactAdapter:
    """Return an identifier: text of ``size`` octets, or digits in half as many (ID_FORM)."""
    return PackedDigits(size // 2) if packed else Text(size, characters, order)
