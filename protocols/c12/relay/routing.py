"""Where a message goes that reaches a relay: to itself, down to one of its nodes, or up."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

from protocols.c12.titles import ApTitle


class Place(Enum):
    """Where a title lies that is no node below the relay."""

    HERE = auto()
    """It is the relay's own, or left out: the transport has brought it to whom it is meant for."""
    ELSEWHERE = auto()
    """Up, to the master relay; for a master relay nowhere."""


class Router:
    """Routes by ApTitle.

    Args:
        own: the relay's title.
        nodes: those below it, by title, and the number each is known by here.
        base: what relative titles count from, where that is not `protocols.c12.titles.BASE`.
    """

    def __init__(
        self, own: ApTitle, nodes: Mapping[ApTitle, int], base: ApTitle | None = None
    ) -> None:
        self._base = base
        self._own = own.absolute(base)
        self._nodes = {title.absolute(base): number for title, number in nodes.items()}

    def route(self, called: ApTitle | None) -> int | Place:
        """Return the number of the node below that is ``called`` so, or where else it lies."""
        if called is None:
            return Place.HERE
        title = called.absolute(self._base)
        if title == self._own:
            return Place.HERE
        return self._nodes.get(title, Place.ELSEWHERE)
