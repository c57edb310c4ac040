"""Reads of runs of a circular list's elements."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from protocols.c12.services import IndexRead, OffsetRead, Request


@dataclass(frozen=True, slots=True)
class Element:
    """Elements of a list: the ``member`` that is their array, where it begins, their octets."""

    member: int
    start: int
    size: int


def reads_of(
    table: int,
    element: Element,
    first: int,
    last: int,
    room: int,
    max_read: int,
    *,
    by_index: bool = False,
) -> Iterator[Request]:
    """Return reads of the elements ``first`` to ``last``, which count on modulo ``room``.

    No read asks for more than ``max_read`` octets, but each for at least one element.
    """
    most = max(1, max_read // element.size)
    while first <= last:
        place = first % room
        count = min(last - first + 1, room - place, most)
        if by_index:
            yield IndexRead(table, (element.member, place), count)
        else:
            yield OffsetRead(table, element.start + place * element.size, count * element.size)
        first += count
