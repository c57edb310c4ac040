"""Pieces of what is under way, and when they come out."""

from __future__ import annotations

import trio

from netem.gate import LinkGate
from netem.transit import MERGE_NS, Piece, Transit, merged


def test_releases_near_the_first_of_them_come_out_with_the_last() -> None:
    releases = [(0, 1), (MERGE_NS, 2), (MERGE_NS + 1, 4), (3 * MERGE_NS, 8)]
    assert merged(releases) == [(MERGE_NS, 3), (MERGE_NS + 1, 4), (3 * MERGE_NS, 8)]
    assert merged([]) == []


def test_a_piece_is_split_in_octets_and_not_in_time() -> None:
    piece = Piece(1, 2, b"abcde")
    assert piece.split(3) == (b"abc", Piece(1, 2, b"de"))
    assert piece.split(5) == (b"abcde", None)
    assert piece.split(9) == (b"abcde", None)


def test_a_perfect_link_takes_no_time_and_breaks_nothing() -> None:
    transit = Transit(None, ())
    assert transit.pieces("up", 7, b"x") == ([Piece(7, 7, b"x")], None)
    assert transit.end_ns(7) == 7
    assert transit.due_ns("down", Piece(7, 9)) == 9
    assert not transit.is_down


async def test_what_an_outage_fell_on_comes_out_after_it(autojump_clock: None) -> None:
    gate = LinkGate()
    transit = Transit(None, (gate,))
    await trio.sleep(1.0)
    begun_ns = int(trio.current_time() * 1_000_000_000)
    gate.cut("hang")
    assert transit.is_down
    await trio.sleep(1.0)
    gate.restore()
    assert not transit.is_down
    before = Piece(begun_ns - 2, begun_ns - 1)
    under_way = Piece(begun_ns - 1, begun_ns + 1)
    assert transit.due_ns("up", before) == before.release_ns
    assert transit.due_ns("up", under_way) >= begun_ns + 1_000_000_000
