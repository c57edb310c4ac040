"""What links, outages and servers need to know of things that have a link each.

Concentrators are such things, and so are batteries: `FleetConfig` and `Grid` are a `LinkedFleet`
and a `LinkedGrid` by having their attributes, and so are their counterparts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from emulator.fleet_config import LinkTier, OutageSpan
from emulator.grid_parameters import LinkShare
from netem.conditions import ConditionSpan
from netem.profiles import LinkOptions, LinkProfile
from protocols.plugin import ServedSession


class LinkParameters(Protocol):
    """The categories of links."""

    @property
    def links(self) -> Sequence[LinkShare]:
        """Categories by profile."""


class LinkedGrid(Protocol):
    """Which thing has which link."""

    @property
    def parameters(self) -> LinkParameters:
        """What the grid was made from."""

    @property
    def link_category(self) -> NDArray[np.uint8]:
        """Index into ``parameters.links``, (things,)."""


class LinkedFleet(Protocol):
    """What is said of the links of a fleet, and of what befalls them."""

    @property
    def seed(self) -> int:
        """Of the draws."""

    @property
    def first_s(self) -> int:
        """POSIX seconds of step 0."""

    @property
    def link(self) -> LinkTier:
        """What brings the links about."""

    @property
    def in_lab(self) -> bool:
        """Whether links are real ones."""

    @property
    def links(self) -> LinkOptions:
        """How profiles are read."""

    @property
    def profiles(self) -> Mapping[str, LinkProfile]:
        """By name."""

    @property
    def congestion(self) -> str | None:
        """TCP congestion control of every connection; the kernel's own choice when ``None``."""

    @property
    def outages(self) -> Sequence[OutageSpan]:
        """Who is cut off for a while."""

    @property
    def conditions(self) -> Sequence[ConditionSpan]:
        """What else befalls the network."""


class Served(Protocol):
    """Those whom callers reach."""

    @property
    def numbers(self) -> range:
        """Who is here."""

    def reachable(self, number: int) -> bool:
        """Tell whether a caller gets through to it now."""

    def served_session(self, number: int, connection: int) -> ServedSession:
        """Return its end of the ``connection``-th connection to it."""
