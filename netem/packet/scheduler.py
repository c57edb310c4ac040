"""The emulated links of one direction: frames go in with a time, and come out when they are due.

Theory of operation. A packet passes three stages, each of which says when it is through, or that
it is dropped: the packet rate of its connection (*limit*), the laws of its link (*enter*: loss,
delay) and what the link does behind the delay (*leave*). With ``order = "link"`` the limit comes
first and the link's bit rate is in *enter*: packets queue at the sender, as at a modem, and none
overtakes another between *enter* and the end. With ``order = "netem"`` they are delayed first and
limited then, each for itself, as in the kernel's HTB with a netem leaf. The law of each stage is
the link model's (`netem.model.path`); what is here is the order of events.

A packet that a stage holds waits in one heap of the direction, by time and then in the order in
which it got there, so the path of a link hears of its packets in order of time. What is held is
bounded for each link and in all; packets beyond that are dropped and counted. Sans-IO: time comes
in as an argument, in integer nanoseconds of any one clock.

Every draw is keyed by the seed, the concentrator, the direction and the number of the packet on
that link, so the same packets in the same order meet the same fate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Final

from netem.draws import stream_key
from netem.lab import Direction
from netem.model.path import Path
from netem.packet.flows import FLOWS_MOST, FlowTable
from netem.packet.frames import (
    DESTINATION,
    ETHERNET_OCTETS,
    SOURCE,
    connection_of,
    is_ipv4,
    is_tcp,
)
from netem.packet.rules import ClassCounts, LinkRule, Stage, link_rule
from netem.profiles import LinkOptions, LinkProfile
from netem.shared_medium import Medium

HELD_ON_LINK_MOST: Final = 1_000
"""Packets held in one direction of one link; what netem holds where nothing else is set."""
HELD_IN_ALL_MOST: Final = 200_000
"""Packets held in one direction of all links, some 300 MB where all are full packets."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much one direction may hold."""

    on_link: int = HELD_ON_LINK_MOST
    in_all: int = HELD_IN_ALL_MOST
    flows: int = FLOWS_MOST


class _Link:
    """One direction of one concentrator's link."""

    __slots__ = ("held", "packets", "path", "rule")

    def __init__(self, rule: LinkRule, medium: Medium | None, key: int) -> None:
        self.rule = rule
        self.path = Path(rule.path, rule.counts.drawn, medium)
        self.path.use_key(key)
        self.packets = 0
        """Number of the packet to come."""
        self.held = 0

    def become(self, rule: LinkRule, medium: Medium | None) -> None:
        self.rule = rule
        self.path.become(rule.path, medium)


class Scheduler:
    """Carries the packets of all links in one direction.

    Args:
        direction: ``up`` takes the concentrator from the source address, ``down`` from the other.
        profiles: by link class, as `LinkProfile.each_way` made them.
        categories: link class of each concentrator.
        numbers: concentrator by the four octets of its address.
        options: limit and order.
        seed: of every draw.
        bounds: how much may be held.

    Raises:
        TraceError: a trace cannot be read.
    """

    def __init__(
        self,
        direction: Direction,
        profiles: Sequence[LinkProfile],
        categories: Sequence[int],
        numbers: Mapping[bytes, int],
        options: LinkOptions,
        seed: int,
        bounds: Bounds | None = None,
    ) -> None:
        self._direction: Direction = direction
        self._address = SOURCE if direction == "up" else DESTINATION
        self._options = options
        self._seed = seed
        self._bounds = bounds or Bounds()
        self._numbers = numbers
        self._categories = categories
        self.counts = [ClassCounts() for _ in profiles]
        """By link class."""
        rules = [
            link_rule(profile, direction, options, counts)
            for profile, counts in zip(profiles, self.counts, strict=True)
        ]
        self._rules = [rules[category] for category in categories]
        self._links: dict[int, _Link] = {}
        self._flows = FlowTable(self._bounds.flows)
        self._waiting: list[tuple[int, int, Stage, _Link, bytes, int]] = []
        self._pushed = 0
        self._now_ns = 0
        self._out: list[bytes] = []
        self.unclassified = 0
        """IPv4 packets of no concentrator, passed on at once."""
        self.other = 0
        """Frames of anything but IPv4, passed on at once."""

    @property
    def held(self) -> int:
        """Packets under way."""
        return len(self._waiting)

    @property
    def flows_forgotten(self) -> int:
        """Connections whose packet rate was forgotten too early, for want of room."""
        return self._flows.forgotten

    @property
    def due_ns(self) -> int | None:
        """When `take` has something to do next; None where nothing is under way."""
        if self._out:
            return self._now_ns
        return self._waiting[0][0] if self._waiting else None

    def arrive(self, at_ns: int, frame: bytes) -> None:
        """Take over ``frame``, which came in at ``at_ns``.

        A time before that of an earlier call counts as that one.
        """
        at_ns = self._advance(at_ns)
        if not is_ipv4(frame):
            self.other += 1
            self._out.append(frame)
            return
        number = self._numbers.get(frame[self._address])
        if number is None:
            self.unclassified += 1
            self._out.append(frame)
            return
        link = self._link(number)
        packet = link.packets
        link.packets = packet + 1
        counts = link.rule.counts
        counts.packets += 1
        bounds = self._bounds
        if link.held >= bounds.on_link or len(self._waiting) >= bounds.in_all:
            counts.overflowed += 1
            return
        link.held += 1
        link.path.forget(at_ns)
        self._carry(at_ns, link.rule.first, link, frame, packet)

    def take(self, now_ns: int) -> list[bytes]:
        """Return the frames that are due by ``now_ns``, in order of their time."""
        self._advance(now_ns)
        out, self._out = self._out, []
        return out

    def change(
        self, category: int, profile: LinkProfile, numbers: Sequence[int] | None = None
    ) -> None:
        """Treat the packets to come of a link class, or of some of it, by ``profile``.

        Packets whose delay is drawn already arrive when they would have; those that wait for the
        packet rate keep their turn and meet the new laws behind it.

        Raises:
            ValueError: no such class, one of ``numbers`` is not of it, or a trace cannot be read;
                nothing has changed then.
        """
        if not 0 <= category < len(self.counts):
            raise ValueError(f"there is no link class {category}")
        rule = link_rule(profile, self._direction, self._options, self.counts[category])
        if numbers is None:
            numbers = [n for n, one in enumerate(self._categories) if one == category]
        for number in numbers:
            if not 0 <= number < len(self._rules) or self._categories[number] != category:
                raise ValueError(f"concentrator {number} is not of link class {category}")
        for number in numbers:
            self._rules[number] = rule
            if number in self._links:
                self._links[number].become(rule, self._medium(rule, number))

    def _link(self, number: int) -> _Link:
        link = self._links.get(number)
        if link is None:
            key = stream_key(self._seed, "packets", number, self._direction)
            rule = self._rules[number]
            link = self._links[number] = _Link(rule, self._medium(rule, number), key)
        return link

    def _medium(self, rule: LinkRule, number: int) -> Medium | None:
        return rule.counts.media.medium(self._direction, rule.way, self._seed, number)

    def _advance(self, now_ns: int) -> int:
        """Let all happen that is due by ``now_ns``; return the time it is then."""
        waiting = self._waiting
        while waiting and waiting[0][0] <= now_ns:
            at_ns, _, stage, link, frame, packet = heappop(waiting)
            if stage is Stage.OUT:
                self._deliver(link, frame)
            else:
                self._carry(at_ns, stage, link, frame, packet)
        self._now_ns = max(now_ns, self._now_ns)
        return self._now_ns

    def _carry(self, at_ns: int, stage: Stage, link: _Link, frame: bytes, packet: int) -> None:
        """Take a packet from ``stage`` on as far as it gets at ``at_ns``."""
        rule, path = link.rule, link.path
        octets = len(frame) - ETHERNET_OCTETS
        while stage is not Stage.OUT:
            if stage is Stage.ENTER:
                through_ns = path.enter(path.data, at_ns, octets, packet)
            elif stage is Stage.LIMIT:
                through_ns = self._limit(at_ns, rule, frame, octets)
            else:
                through_ns = path.leave(path.data, at_ns, octets)
            if through_ns is None:
                link.held -= 1
                return
            stage = rule.behind[stage]
            if through_ns > at_ns:
                self._pushed += 1
                event = (through_ns, self._pushed, stage, link, frame, packet)
                heappush(self._waiting, event)
                return
        self._deliver(link, frame)

    def _limit(self, at_ns: int, rule: LinkRule, frame: bytes, octets: int) -> int | None:
        limiter = rule.tcp if is_tcp(frame) else rule.other
        if limiter is None:
            return at_ns
        return limiter.leave(self._flows.lane(connection_of(frame), at_ns), at_ns, octets)

    def _deliver(self, link: _Link, frame: bytes) -> None:
        link.held -= 1
        counts = link.rule.counts
        counts.delivered += 1
        counts.delivered_octets += len(frame)
        self._out.append(frame)
