"""One direction of one connection: what happens to a packet between two ends."""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from netem.draws import mix_one
from netem.model.delay import NANOSECONDS, TABLE_SIZE, DelayLaw, blended, delay_law
from netem.model.statistics import DirectionStatistics
from netem.profiles import GilbertElliottLoss, LinkDirection, LinkOptions, RandomLoss
from netem.shared_medium import Medium

MILLION: Final = 1_000_000
# One 64-bit draw serves a packet: 12 bits choose its delay, 20 bits the change of the loss state,
# 32 bits its loss. The parts of a draw are independent of each other.
_STATE_SHIFT: Final = 12
_STATE_MASK: Final = (1 << 20) - 1
_LOSS_SHIFT: Final = 32

_FIRST_STATE: Final = 3 << 56
"""Stands for no packet: the numbers of packets have kinds 0 to 2 in these bits."""

_SPAN: Final = 4 << 56
"""Stands for a span of time: neither packets nor `_FIRST_STATE` have these bits."""

# How a link in order delays, calibrated beside the kernel (docs/explanation/links.md): no source
# says how fast the delay of a link changes, nor how much of it a burst has in common.
COHERENCE_NS: Final = 3 * NANOSECONDS // 2
"""A link in order keeps its delay for so long."""
BURST_NS: Final = NANOSECONDS // 50
"""What enters within this is one burst."""
BURST_OCTETS: Final = 1_000
"""What of a burst is behind so many octets has a part of its delay for itself."""


@dataclass(frozen=True, slots=True)
class PathRule:
    """The figures of one direction in the units of the model; shared by all its connections."""

    law: DelayLaw
    loss_ppm: int
    """Packets it loses of a million, in the long run."""
    loss_variance_ppm: int
    loss_good: int
    """A packet is lost where the upper 32 bits of its draw are below this."""
    loss_bad: int
    to_bad: int
    """The state changes where the 20 middle bits of the draw are below this."""
    to_good: int
    begins_bad: int
    """The first packet meets the bad state where the 20 middle bits of a draw are below this."""
    bit_ns: int
    """Nanoseconds for a million bits; 0 where the bit rate is unlimited."""
    packet_ns: int
    """Nanoseconds from packet to packet; 0 where the packet rate is unlimited."""
    burst_ns: int
    """How far packets may run ahead of their rate."""
    police: bool
    in_order: bool


@lru_cache(maxsize=256)
def path_rule(direction: LinkDirection, options: LinkOptions) -> PathRule:
    """Return the rule of ``direction``; equal directions share one."""
    loss = _as_two_states(direction.loss)
    loss_variance = direction.loss.variance
    packets = direction.packet_rate
    packet_ns = NANOSECONDS // packets.per_second if packets else 0
    return PathRule(
        law=delay_law(direction),
        loss_ppm=round(loss.mean_ppm),
        loss_variance_ppm=round(min(loss_variance, 1e6) * 1e6),
        loss_good=_threshold(loss.in_good, 32),
        loss_bad=_threshold(loss.in_bad, 32),
        to_bad=_threshold(loss.to_bad, 20),
        to_good=_threshold(loss.to_good, 20),
        begins_bad=_threshold(round(loss.bad_share * MILLION), 20),
        bit_ns=NANOSECONDS * MILLION // direction.rate if direction.rate else 0,
        packet_ns=packet_ns,
        burst_ns=packet_ns * (packets.burst - 1) if packets else 0,
        police=options.limit == "police",
        in_order=options.order == "link",
    )


def _as_two_states(loss: RandomLoss | GilbertElliottLoss) -> GilbertElliottLoss:
    if isinstance(loss, GilbertElliottLoss):
        return loss
    # Random loss is the case that never leaves the good state.
    return GilbertElliottLoss.model_construct(
        kind="gilbert-elliott", to_bad=0, to_good=0, in_bad=0, in_good=loss.share
    )


def _threshold(share_ppm: int, bits: int) -> int:
    return (share_ppm << bits) // MILLION


class Lane:
    """The queue of one kind of packet (data or acknowledgements) at the limiter of a path.

    The two kinds queue apart, because each is worked out ahead of time for a transfer of its own
    direction and neither may push the other into the future.
    """

    __slots__ = ("burst_from_ns", "burst_octets", "free_ns", "last_ns", "late", "next_ns")

    def __init__(self) -> None:
        self.next_ns = 0
        """When the next packet would be due if packets came evenly at their rate."""
        self.free_ns = 0
        """When the last bit on the line is sent."""
        self.late: list[tuple[int, int]] = []
        """When packets that were worked out ahead get to the limiter, and their octets."""
        self.last_ns = 0
        """Arrival of the last packet; none overtakes it where the link keeps order."""
        self.burst_from_ns = -BURST_NS - 1
        """When the burst began that the last packet was in, and its octets so far."""
        self.burst_octets = 0


class Path:
    """Carries the packets of one direction of one connection.

    A packet passes in two steps, `enter` and `leave`, because the kernel's HTB with a netem leaf
    delays first and limits then, while a real bottleneck limits first: with ``order="netem"`` the
    limit is in `leave`, with ``order="link"`` in `enter`. Calls must come in order of time for
    each lane.

    A link in order has one delay at a time, drawn anew for every span of `COHERENCE_NS`, where the
    spans begin somewhere that the key says. Spans have nothing to do with what is under way, or
    long delays, which are met more often, would make the link slower than it was set to be. What
    of a burst is behind its first `BURST_OCTETS` blends that delay with a draw of its own, so that
    a burst takes longer than a packet. None overtakes another.
    """

    __slots__ = (
        "_bad",
        "_common",
        "_first_ns",
        "_is_recorded",
        "_key",
        "_medium",
        "_rule",
        "_span_from_ns",
        "_span_to_ns",
        "acknowledgements",
        "data",
        "statistics",
    )

    def __init__(
        self, rule: PathRule, statistics: DirectionStatistics, medium: Medium | None = None
    ) -> None:
        self._rule = rule
        self._medium = medium
        self._key = 0
        self._bad: bool | None = None
        self._first_ns: int | None = None
        self._span_from_ns = self._span_to_ns = 0
        self._common = 0
        self._is_recorded = False
        self.data = Lane()
        self.acknowledgements = Lane()
        self.statistics = statistics

    def use_key(self, key: int) -> None:
        """Take the draws of the packets to come from the stream ``key``."""
        self._key = key
        self._first_ns = None
        self._span_from_ns = self._span_to_ns = 0

    def become(self, rule: PathRule, medium: Medium | None = None) -> None:
        """Treat the packets to come by ``rule``; none of them overtakes one that is under way.

        What already queues at the limiter keeps its place, and its time, ahead of them.
        """
        self._rule = rule
        self._medium = medium
        if not rule.to_bad:
            self._bad = None  # a law without a bad state knows no way out of it
        self._is_recorded = False  # what comes next is of another law

    def enter(self, lane: Lane, at_ns: int, octets: int, packet: int) -> int | None:
        """Return when the packet gets to the far side's `leave`, or None where it is lost."""
        rule = self._rule
        if rule.in_order:
            passed_ns = self._limit(lane, at_ns, octets)
            if passed_ns is None:
                return None
            at_ns = passed_ns
        draw = mix_one(self._key, packet)
        statistics = self.statistics
        statistics.set_loss_sum_ppm += rule.loss_ppm
        statistics.set_loss_variance_ppm += rule.loss_variance_ppm
        if self._is_lost(draw):
            statistics.lost += 1
            return None
        statistics.packets += 1
        if rule.in_order:
            return self._behind_the_last(lane, at_ns, octets, draw % TABLE_SIZE)
        delay_ns = rule.law.delays_ns[draw % TABLE_SIZE]
        statistics.expect_delay(rule.law)
        statistics.record_delay(delay_ns)
        return at_ns + delay_ns

    def _behind_the_last(self, lane: Lane, at_ns: int, octets: int, own: int) -> int:
        """Return when a packet of an ordered link arrives; ``own`` is the draw for it alone."""
        if not self._span_from_ns <= at_ns < self._span_to_ns:
            self._begin_span(at_ns)
        delays_ns, quantile = self._rule.law.delays_ns, self._common
        if not self._is_recorded:
            self._is_recorded = True
            self.statistics.expect_delay(self._rule.law)
            self.statistics.record_delay(delays_ns[quantile])
        if at_ns - lane.burst_from_ns > BURST_NS:
            lane.burst_from_ns, lane.burst_octets = at_ns, octets
        else:
            if lane.burst_octets > BURST_OCTETS:
                quantile = blended(quantile, own)
            lane.burst_octets += octets
        arrives_ns = at_ns + delays_ns[quantile]
        if arrives_ns > lane.last_ns:
            lane.last_ns = arrives_ns
        return lane.last_ns

    def _begin_span(self, at_ns: int) -> None:
        if self._first_ns is None:
            self._first_ns = at_ns - self._key % COHERENCE_NS
        span = (at_ns - self._first_ns) // COHERENCE_NS
        self._common = mix_one(self._key, _SPAN + span) % TABLE_SIZE
        from_ns = self._first_ns + span * COHERENCE_NS
        # Lanes are worked out one behind the other, so time may be in an earlier span again.
        if from_ns >= self._span_from_ns:
            self._is_recorded = False
        self._span_from_ns, self._span_to_ns = from_ns, from_ns + COHERENCE_NS

    def leave(self, lane: Lane, at_ns: int, octets: int) -> int | None:
        """Return when a packet that got to the far side is received, or None where dropped."""
        return at_ns if self._rule.in_order else self._limit(lane, at_ns, octets)

    def leave_ahead(self, lane: Lane, at_ns: int, octets: int) -> int | None:
        """As `leave`, in any order of time: a packet takes its turn only when it is there.

        What is handed over in between may overtake it, and must not wait for what it will take.
        """
        rule = self._rule
        if rule.in_order:
            return at_ns
        insort(lane.late, (at_ns, octets))
        passed_ns = at_ns + octets * 8 * rule.bit_ns // MILLION
        if self._medium is None:
            return passed_ns
        carried_ns = self._medium.carry(passed_ns, octets)
        self.statistics.overflowed += carried_ns is None
        return carried_ns

    def _catch_up(self, lane: Lane, at_ns: int) -> None:
        rule = self._rule
        while lane.late and lane.late[0][0] <= at_ns:
            late_ns, octets = lane.late.pop(0)
            lane.next_ns = max(late_ns, lane.next_ns) + rule.packet_ns
            lane.free_ns = max(late_ns, lane.free_ns) + octets * 8 * rule.bit_ns // MILLION

    def _limit(self, lane: Lane, at_ns: int, octets: int) -> int | None:
        rule = self._rule
        if lane.late:
            self._catch_up(lane, at_ns)
        passed_ns = at_ns
        if rule.packet_ns:
            passed_ns = max(at_ns, lane.next_ns - rule.burst_ns)
            if passed_ns > at_ns and rule.police:
                self.statistics.policed += 1
                return None
            lane.next_ns = max(at_ns, lane.next_ns) + rule.packet_ns
        if rule.bit_ns:
            passed_ns = max(passed_ns, lane.free_ns) + octets * 8 * rule.bit_ns // MILLION
            lane.free_ns = passed_ns
        if self._medium is not None:
            carried_ns = self._medium.carry(passed_ns, octets)
            if carried_ns is None:
                self.statistics.overflowed += 1
                return None
            passed_ns = carried_ns
        if passed_ns > at_ns:
            self.statistics.waited += 1
        return passed_ns

    def forget(self, before_ns: int) -> None:
        """Be told that no packet comes before ``before_ns`` any more, from any connection."""
        if self._medium is not None:
            self._medium.forget(before_ns)

    def _is_lost(self, draw: int) -> bool:
        rule = self._rule
        if rule.to_bad:
            change = (draw >> _STATE_SHIFT) & _STATE_MASK
            if self._bad is None:
                # Connections come and go while the link stays: it is in either state already.
                first = mix_one(self._key, _FIRST_STATE) >> _STATE_SHIFT & _STATE_MASK
                self._bad = first < rule.begins_bad
            if change < (rule.to_good if self._bad else rule.to_bad):
                self._bad = not self._bad
        return (draw >> _LOSS_SHIFT) < (rule.loss_bad if self._bad else rule.loss_good)
