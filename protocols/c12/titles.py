"""ApTitles: the names of C12.22 nodes, object identifiers absolute or relative to a base.

The wire forms are ``06 L octets`` (absolute) and ``80 L octets`` (relative). Inside service bodies
peers differ: one writes relative titles under ``0D`` (the universal tag RELATIVE-OID), another
reads only ``80``; we read both everywhere and `ApTitle.encode` says which one is written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from protocols.c12 import ber
from protocols.errors import CodecError

ABSOLUTE: Final = 0x06
RELATIVE: Final = 0x80
RELATIVE_UNIVERSAL: Final = 0x0D
MAX_TITLE_SIZE: Final = 64
"""Content octets of a relative title."""
MAX_BASE_SIZE: Final = 63
"""Content octets that an absolute title may have before them: its length stays one octet."""
NODES_REMEMBERED: Final = 1 << 18
"""What is remembered by node or title: a head-end's nodes pass in turn, and a memory too small for
all of them would remember none."""
CODEC: Final = "ApTitle"

# Subidentifiers in base 128, high bit on all octets but the last, none padded with 0x80.
_SUBIDENTIFIERS: Final = re.compile(rb"(?:(?:[\x81-\xff][\x80-\xff]*)?[\x00-\x7f])+", re.DOTALL)
_TEXT: Final = re.compile(r"(?P<first>\d+)?(?P<rest>(?:\.\d+)+)", re.ASCII)
_MAX_FIRST_ARC: Final = 2
_ROOT_ARCS: Final = 40


@dataclass(frozen=True, slots=True)
class ApTitle:
    """The name of a node: the content octets of its object identifier.

    1 to 64 of a relative one, 1 to 127 of an absolute one, so that every relative title below a
    base of at most 63 has an absolute form.

    Compare and look up titles in their `absolute` form: a node has one absolute title.
    """

    octets: bytes
    relative: bool = False

    def __post_init__(self) -> None:
        """Refuse what is no object identifier: `CodecError`."""
        most = MAX_TITLE_SIZE if self.relative else MAX_TITLE_SIZE + MAX_BASE_SIZE
        if len(self.octets) > most or not _SUBIDENTIFIERS.fullmatch(self.octets):
            raise CodecError(f"no object identifier: {self.octets[:80].hex()}", codec=CODEC)

    @classmethod
    def parse(cls, text: str) -> ApTitle:
        """Return the title written ``2.16.124...`` (absolute) or ``.1.5`` (relative).

        Raises:
            CodecError: another form, or a first arc over 2, or a second one over 39 below it.
        """
        found = _TEXT.fullmatch(text)
        if not found:
            raise CodecError(f"no title: {text[:80]!r}", codec=CODEC)
        arcs = [int(arc) for arc in found["rest"][1:].split(".")]
        if found["first"] is None:
            return cls(b"".join(map(_subidentifier, arcs)), relative=True)
        first = int(found["first"])
        if first > _MAX_FIRST_ARC or (first < _MAX_FIRST_ARC and arcs[0] >= _ROOT_ARCS):
            raise CodecError(f"no object identifier: {text[:80]!r}", codec=CODEC)
        arcs[0] += first * _ROOT_ARCS
        return cls(b"".join(map(_subidentifier, arcs)))

    @classmethod
    def decode(cls, data: bytes) -> ApTitle:
        """Return the title that the element ``data`` is (tag included); raises `CodecError`."""
        return decode_title(data)

    def encode(self, relative_tag: int = RELATIVE) -> bytes:
        """Return the element, tag included; ``relative_tag`` is 0x80 or 0x0D."""
        size = len(self.octets)
        return bytes((relative_tag if self.relative else ABSOLUTE, size)) + self.octets

    def absolute(self, base: ApTitle | None = None) -> ApTitle:
        """Return the title counted from the root; ``base`` (absolute) defaults to `BASE`."""
        if not self.relative:
            return self
        return _absolute(self.octets, (base or BASE).octets)

    def relative_to(self, base: ApTitle | None = None) -> ApTitle:
        """Return the title counted from ``base``, or itself where it does not lie below it.

        Nor does it become relative where that would be too long for a relative title.
        """
        prefix = (base or BASE).octets
        if self.relative or not 0 < len(self.octets) - len(prefix) <= MAX_TITLE_SIZE:
            return self
        if not self.octets.startswith(prefix):
            return self
        return ApTitle(self.octets[len(prefix) :], relative=True)

    @property
    def arcs(self) -> tuple[int, ...]:
        """The numbers of the title; of a relative one those below its base."""
        values = _subidentifiers(self.octets)
        if self.relative:
            return tuple(values)
        first = min(values[0] // _ROOT_ARCS, _MAX_FIRST_ARC)
        return (first, values[0] - first * _ROOT_ARCS, *values[1:])

    def __str__(self) -> str:
        dotted = ".".join(map(str, self.arcs))
        return f".{dotted}" if self.relative else dotted

    def __repr__(self) -> str:
        return f"ApTitle({str(self)!r})"


def read_title(data: bytes, offset: int = 0) -> tuple[ApTitle, int]:
    """Return the title whose element is at ``offset``, and where it ends; raises `CodecError`."""
    tag, start, stop = ber.read_element(data, offset, len(data), "title")
    if tag not in (ABSOLUTE, RELATIVE, RELATIVE_UNIVERSAL):
        raise CodecError(f"tag {tag:#04x} is no title's", codec=CODEC)
    return ApTitle(data[start:stop], tag != ABSOLUTE), stop


@lru_cache(NODES_REMEMBERED)
def decode_title(data: bytes) -> ApTitle:
    """Return the title that the element ``data`` is, kept for next time; raises `CodecError`."""
    title, end = read_title(data)
    if end != len(data):
        raise CodecError(f"{len(data) - end} trailing octets", codec=CODEC)
    return title


@lru_cache(NODES_REMEMBERED)
def _absolute(octets: bytes, base: bytes) -> ApTitle:
    return ApTitle(base + octets)


def relay_title(concentrator: int) -> ApTitle:
    """Return the relative title of a relay; concentrators count from 0."""
    return _node_title(1, concentrator)


def meter_title(meter: int) -> ApTitle:
    """Return the relative title of a meter; meters count from 0 over the whole grid."""
    return _node_title(2, meter)


def head_end_title(shard: int) -> ApTitle:
    """Return the relative title of a head-end shard; shards count from 0."""
    return _node_title(3, shard)


def _node_title(kind: int, number: int) -> ApTitle:
    return ApTitle(_subidentifier(kind) + _subidentifier(number + 1), relative=True)


def _subidentifier(arc: int) -> bytes:
    octets = [arc & 0x7F]
    while arc := arc >> 7:
        octets.append(0x80 | arc & 0x7F)
    return bytes(reversed(octets))


def _subidentifiers(octets: bytes) -> list[int]:
    values = [0]
    for octet in octets:
        values[-1] = values[-1] << 7 | octet & 0x7F
        if octet < 0x80:
            values.append(0)
    return values[:-1]


BASE: Final = ApTitle.parse("2.16.124.113620.1.22.0")
"""What relative titles are relative to unless told otherwise."""
