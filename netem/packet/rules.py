"""A link's profile in the units of the packet tier: the laws are the link model's own.

The model carries one connection on a path, so its rule holds the packet rate of the connection
and everything of the link in one. Here a link carries many connections, so the rule is split: a
limiter for each connection, and the path of the link that all of them share.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import Path
from typing import Final

from netem.lab import Direction, DirectionCounters
from netem.model.delay import NANOSECONDS
from netem.model.path import Path as LinkPath
from netem.model.path import PathRule, path_rule
from netem.model.statistics import DirectionStatistics
from netem.profiles import LinkDirection, LinkOptions, LinkProfile
from netem.shared_medium import Media
from netem.traces import read_trace


@dataclass(slots=True)
class ClassCounts:
    """What one link class met in one direction."""

    packets: int = 0
    """Packets that came for the link, whatever became of them."""
    delivered: int = 0
    delivered_octets: int = 0
    """Octets of the frames of what was delivered."""
    overflowed: int = 0
    """Packets dropped because too many were held, on their link or in all."""
    drawn: DirectionStatistics = field(default_factory=DirectionStatistics)
    """What the laws did: lost, policed, overflowed at a shared capacity, delays drawn."""
    media: Media = field(default_factory=Media)
    """What links of the class share: cells and traces."""

    def summary(self) -> DirectionCounters:
        """Return what became of the packets so far."""
        drawn = self.drawn
        overflowed = drawn.overflowed + self.overflowed
        dropped = drawn.lost + drawn.policed + overflowed
        return DirectionCounters(
            packets=self.delivered,
            octets=self.delivered_octets,
            lost=drawn.lost,
            limited=drawn.policed,
            overflowed=overflowed,
            backlog=self.packets - self.delivered - dropped,
        )


class Stage(IntEnum):
    """Where a packet is on its way; see `netem.packet.scheduler` for their order."""

    ENTER = 0
    LIMIT = 1
    LEAVE = 2
    OUT = 3


_LINK_ORDER: Final = (Stage.LIMIT, Stage.ENTER, Stage.OUT)
_NETEM_ORDER: Final = (Stage.ENTER, Stage.LIMIT, Stage.LEAVE, Stage.OUT)


@dataclass(frozen=True, slots=True)
class LinkRule:
    """What happens to packets in one direction of the links of one class."""

    counts: ClassCounts
    way: LinkDirection
    path: PathRule
    """Loss, delay, order and bit rate: of the whole link."""
    tcp: LinkPath | None
    """Limits the packets of a TCP connection; None where they are not limited."""
    other: LinkPath | None
    """The same for the connections of all other protocols."""
    first: Stage
    behind: Mapping[Stage, Stage]
    """Which stage comes behind each; those that do nothing under this rule are passed over."""


def link_rule(
    profile: LinkProfile, direction: Direction, options: LinkOptions, counts: ClassCounts
) -> LinkRule:
    """Return the rule of one direction of ``profile``, as `LinkProfile.each_way` made it.

    Raises:
        TraceError: the trace cannot be read.
    """
    figures = profile.way(direction)
    if figures.trace is not None:
        read_trace(Path(figures.trace.file))
    # Without the packet rate, which is the limiters'.
    path = path_rule(figures.model_copy(update={"packet_rate": None}), options)
    packets = figures.packet_rate
    if packets is None:
        first, behind = _stages(figures, path)
        return LinkRule(counts, figures, path, None, None, first, behind)
    packet_ns = NANOSECONDS // packets.per_second
    tcp, other = (
        LinkPath(_limiter_rule(figures, options, packet_ns * (burst - 1)), counts.drawn)
        for burst in (packets.burst, packets.burst_other)
    )
    first, behind = _stages(figures, path)
    return LinkRule(counts, figures, path, tcp, other, first, behind)


def _stages(figures: LinkDirection, path: PathRule) -> tuple[Stage, Mapping[Stage, Stage]]:
    """Return the first stage, and the one behind each; a packet may wait for one of another rule.

    A link in order has its capacity in `LinkPath.enter`, and nothing in `LinkPath.leave`.
    """
    order = _LINK_ORDER if path.in_order else _NETEM_ORDER
    has_capacity = path.bit_ns or figures.shared or figures.trace
    idle = {Stage.LIMIT: figures.packet_rate is None, Stage.LEAVE: not has_capacity}
    used = [stage for stage in order if not idle.get(stage)]
    behind = {
        stage: next(one for one in order[at:] if one in used)
        for at, stage in enumerate(order[:-1], start=1)
    }
    return used[0], behind


def _limiter_rule(figures: LinkDirection, options: LinkOptions, burst_ns: int) -> PathRule:
    """Return a rule that knows the packet rate only, and applies it in `LinkPath.leave`."""
    limits = LinkDirection(packet_rate=figures.packet_rate)
    return replace(path_rule(limits, options), burst_ns=burst_ns, in_order=False)
