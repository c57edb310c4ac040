"""APDUs in pieces: cutting those that are too long for the way, and putting pieces together.

Source: ANSI C12.22 (application layer segmentation). What is cut is the whole APDU, from its tag
on, after it was protected. Each piece travels in an APDU that repeats application context, titles,
qualifier and invocation id, and says how long the whole is (A3) and where the piece belongs.

The size on the wire is a u16 in one peer and any INTEGER in the syntax; ours is bounded by
``max_apdu_size`` anyway.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from protocols.c12.acse import Header, ReadApdu, SegmentPosition, encode_apdu
from protocols.c12.acse.elements import interpret_apdu
from protocols.c12.framing import DEFAULT_MAX_APDU_SIZE
from protocols.c12.titles import ApTitle
from protocols.errors import LocalProtocolError

DEFAULT_TIMEOUT_S: Final = 60.0
DEFAULT_MAX_OPEN: Final = 16
MAX_PIECES: Final = 256
"""Pieces of one APDU; more of them would cost far more memory than they carry."""


class CannotSegmentError(LocalProtocolError):
    """Not one octet would fit beside the headers: what SEGMENTATION_NOT_POSSIBLE says."""


def segment(apdu: bytes, max_size: int) -> list[bytes]:
    """Return APDUs of at most ``max_size`` octets that carry ``apdu``, itself if it fits.

    Raises:
        CannotSegmentError: ``max_size`` does not hold the headers of a segment.
        CodecError: ``apdu`` is no APDU.
    """
    if len(apdu) <= max_size:
        return [apdu]
    header = replace(
        interpret_apdu(apdu).header,
        called_invocation=None,
        mechanism_name=None,
        authentication=None,
    )
    # The last offset is the longest to write, and so is the longest piece's length.
    worst = SegmentPosition(len(apdu), len(apdu) - 1)
    piece = max_size - len(encode_apdu(header, b"", worst))
    while piece > 0 and len(encode_apdu(header, bytes(piece), worst)) > max_size:
        piece -= 1
    if piece <= 0:
        raise CannotSegmentError(f"segments of {max_size} octets")
    return [
        encode_apdu(header, apdu[at : at + piece], SegmentPosition(len(apdu), at))
        for at in range(0, len(apdu), piece)
    ]


class Fate(StrEnum):
    """What became of a segment that completed nothing; the values are words for counters."""

    KEPT = "kept"
    DOUBLED = "segment doubled"
    INCONSISTENT = "segment inconsistent"
    OVERSIZED = "segmented APDU oversized"
    TOO_MANY = "too many reassemblies"


PROBLEMS: Final = (Fate.INCONSISTENT, Fate.OVERSIZED, Fate.TOO_MANY)
"""What a sender must be told."""


@dataclass(frozen=True, slots=True)
class Lost:
    """A reassembly that was given up: pieces of an APDU from ``header`` did not come in time."""

    header: Header
    received: int
    total_size: int


@dataclass(slots=True)
class _Partial:
    header: Header
    total_size: int
    deadline: float
    # Disjoint pieces by offset. Networks double segments; overlapping ones are a sender's fault.
    pieces: dict[int, bytes] = field(default_factory=dict)
    received: int = 0


_Key = tuple[ApTitle | None, ApTitle | None, bytes]


class Reassembly:
    """Puts segments together, in any order. Bounded in size, number and time.

    What was completed is remembered, as hashes, for as long as it might have taken: the double of
    a last segment must not look like the first of another APDU.
    """

    def __init__(
        self,
        *,
        max_apdu_size: int = DEFAULT_MAX_APDU_SIZE,
        max_open: int = DEFAULT_MAX_OPEN,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        self._max_apdu_size = max_apdu_size
        self._max_open = max_open
        self._timeout_s = timeout_s
        self._partials: dict[_Key, _Partial] = {}
        self._completed: dict[_Key, tuple[float, frozenset[tuple[int, int]]]] = {}

    @property
    def open(self) -> int:
        """How many APDUs are waiting for pieces."""
        return len(self._partials)

    @property
    def deadline(self) -> float | None:
        """When `expire` wants to be called; ``None`` with nothing open."""
        return min((partial.deadline for partial in self._partials.values()), default=None)

    def add(self, apdu: ReadApdu, *, now: float) -> bytes | Fate:
        """Return the whole APDU that this segment completes, or what became of the segment.

        Anything inconsistent ends the reassembly that it belongs to. The time to complete an APDU
        runs from its first segment.
        """
        position = apdu.segment
        assert position is not None, "only segments come here"
        header = apdu.header
        key = (header.called, header.calling, header.calling_invocation)
        piece = apdu.information
        if self._is_done(key, position.offset, piece, now):
            return Fate.DOUBLED
        partial = self._partials.get(key)
        if not piece or position.offset + len(piece) > position.total_size:
            return self._end(key, Fate.INCONSISTENT)
        if partial is None:
            if position.total_size > self._max_apdu_size:
                return Fate.OVERSIZED
            if len(self._partials) >= self._max_open:
                return Fate.TOO_MANY
            partial = _Partial(header, position.total_size, now + self._timeout_s)
            self._partials[key] = partial
        if position.total_size != partial.total_size:
            return self._end(key, Fate.INCONSISTENT)
        return self._place(key, partial, position.offset, piece)

    def expire(self, now: float) -> list[Lost]:
        """Return what is given up now, and forget it."""
        late = [key for key, partial in self._partials.items() if partial.deadline <= now]
        found = [self._partials.pop(key) for key in late]
        return [Lost(partial.header, partial.received, partial.total_size) for partial in found]

    def _place(self, key: _Key, partial: _Partial, offset: int, piece: bytes) -> bytes | Fate:
        if partial.pieces.get(offset) == piece:
            return Fate.DOUBLED
        end = offset + len(piece)
        overlaps = (at < end and offset < at + len(other) for at, other in partial.pieces.items())
        if any(overlaps) or len(partial.pieces) == MAX_PIECES:
            return self._end(key, Fate.INCONSISTENT)
        partial.pieces[offset] = piece
        partial.received += len(piece)
        if partial.received < partial.total_size:
            return Fate.KEPT
        del self._partials[key]
        self._remember(key, partial)
        return b"".join(piece for _, piece in sorted(partial.pieces.items()))

    def _remember(self, key: _Key, partial: _Partial) -> None:
        if len(self._completed) >= self._max_open:
            del self._completed[next(iter(self._completed))]
        pieces = frozenset((offset, hash(piece)) for offset, piece in partial.pieces.items())
        self._completed[key] = partial.deadline, pieces

    def _is_done(self, key: _Key, offset: int, piece: bytes, now: float) -> bool:
        if key not in self._completed:
            return False
        until, pieces = self._completed[key]
        if until <= now:
            del self._completed[key]
            return False
        return (offset, hash(piece)) in pieces

    def _end(self, key: _Key, fate: Fate) -> Fate:
        self._partials.pop(key, None)
        return fate
