"""Octets under way over one link: the pieces they come out in, and when, outages included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from netem.gate import LinkGate, retry_ns
from netem.model import Direction, LinkModel

MERGE_NS: Final = 2_000_000


@dataclass(frozen=True, slots=True)
class Piece:
    """Octets under way, or the end of the stream, or its closing."""

    sent_ns: int
    release_ns: int
    octets: bytes = b""
    what: Literal["octets", "end", "close"] = "octets"

    def split(self, octets: int) -> tuple[bytes, Piece | None]:
        """Return the first ``octets`` of it, and the rest as a piece of the same time."""
        rest = self.octets[octets:]
        return self.octets[:octets], Piece(self.sent_ns, self.release_ns, rest) if rest else None


class Transit:
    """What a link and its gates do to octets in time; nothing is kept of what was sent.

    Args:
        model: the link, or None for one that is perfect.
        gates: outages it is subject to.
    """

    __slots__ = ("_gates", "_model")

    def __init__(self, model: LinkModel | None, gates: Sequence[LinkGate]) -> None:
        self._model = model
        self._gates = gates

    @property
    def is_down(self) -> bool:
        """Whether an outage is on."""
        return any(gate.is_down for gate in self._gates)

    def pieces(
        self, direction: Direction, sent_ns: int, data: bytes
    ) -> tuple[list[Piece], int | None]:
        """Return the pieces of what is sent now, and when that breaks the connection, if it does.

        Sends over the link: draws are made.
        """
        if self._model is None:
            return [Piece(sent_ns, sent_ns, data)], None
        transfer = self._model.transfer(direction, sent_ns, len(data))
        pieces = []
        start = 0
        for release_ns, count in merged(transfer.releases):
            pieces.append(Piece(sent_ns, release_ns, data[start : start + count]))
            start += count
        return pieces, transfer.broken_ns

    def end_ns(self, sent_ns: int) -> int:
        """Return when the end of a stream that is sent up now comes out; draws are made."""
        if self._model is None:
            return sent_ns
        releases = self._model.transfer("up", sent_ns, 0).releases
        return releases[-1][0] if releases else sent_ns

    def due_ns(self, direction: Direction, piece: Piece) -> int:
        """Return when ``piece`` comes out, an outage since it was sent included."""
        due_ns = piece.release_ns
        for gate in self._gates:
            if gate.hit(piece.sent_ns, piece.release_ns):
                timeout_ns = self._model.timeout_ns(direction) if self._model else 0
                due_ns = max(due_ns, retry_ns(piece.sent_ns, gate.restored_ns, timeout_ns))
        return due_ns


def merged(releases: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join releases within `MERGE_NS` into the last of them: one waking and writing for all."""
    joined: list[tuple[int, int]] = []
    first_ns = 0
    for release_ns, octets in releases:
        if joined and release_ns - first_ns <= MERGE_NS:
            joined[-1] = (release_ns, joined[-1][1] + octets)
        else:
            first_ns = release_ns
            joined.append((release_ns, octets))
    return joined
