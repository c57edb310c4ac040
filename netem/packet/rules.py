"""A link's profile in the units of the packet tier: the laws are the link model's own.

The model carries one connection on a path, so its rule holds the packet rate of the connection
and everything of the link in one. Here a link carries many connections, so the rule is split: a
limiter for each connection, and the path of the link that all of them share.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from netem.lab import Direction
from netem.model.delay import NANOSECONDS
from netem.model.path import Path, PathRule, path_rule
from netem.model.statistics import DirectionStatistics
from netem.profiles import LinkDirection, LinkOptions, LinkProfile


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
    """What the laws did: lost, policed, delays drawn."""

    @property
    def held(self) -> int:
        """Packets under way."""
        dropped = self.drawn.lost + self.drawn.policed + self.overflowed
        return self.packets - self.delivered - dropped


@dataclass(frozen=True, slots=True)
class LinkRule:
    """What happens to packets in one direction of the links of one class."""

    counts: ClassCounts
    path: PathRule
    """Loss, delay, order and bit rate: of the whole link."""
    tcp: Path | None
    """Limits the packets of a TCP connection; None where they are not limited."""
    other: Path | None
    """The same for the connections of all other protocols."""


def link_rule(
    profile: LinkProfile, direction: Direction, options: LinkOptions, counts: ClassCounts
) -> LinkRule:
    """Return the rule of one direction of ``profile``, as `LinkProfile.each_way` made it."""
    figures: LinkDirection = profile.up if direction == "up" else profile.down
    # Without the packet rate, which is the limiters'.
    path = path_rule(figures.model_copy(update={"packet_rate": None}), options)
    packets = figures.packet_rate
    if packets is None:
        return LinkRule(counts, path, None, None)
    packet_ns = NANOSECONDS // packets.per_second
    tcp, other = (
        Path(_limiter_rule(figures, options, packet_ns * (burst - 1)), counts.drawn)
        for burst in (packets.burst, packets.burst_other)
    )
    return LinkRule(counts, path, tcp, other)


def _limiter_rule(figures: LinkDirection, options: LinkOptions, burst_ns: int) -> PathRule:
    """Return a rule that knows the packet rate only, and applies it in `Path.leave`."""
    limits = LinkDirection(packet_rate=figures.packet_rate)
    return replace(path_rule(limits, options), burst_ns=burst_ns, in_order=False)
