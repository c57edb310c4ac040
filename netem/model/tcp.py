"""One sending end of a TCP connection over two paths, as Linux 6.1 behaves.

What is modelled: initial window of ten segments, slow start, every acknowledgement opening the
window, restart after idling, round-trip estimate, RACK with its reordering window, tail loss
probes, retransmission timeouts with back-off, recovery and its undoing (`netem.model.recovery`),
and a receiver that drops what is older than its newest timestamp (RFC 7323, 5.3).
What is not: the receiver's window, delayed acknowledgements, pacing, the curve of cubic (the
window grows by one a round trip after a loss), the limit of three SACK blocks. Sources: RFC 6298,
RFC 6928, RFC 8985 and the behaviour measured in docs/explanation/links.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Final

from netem.model.delay import NANOSECONDS
from netem.model.recovery import OPEN, RECOVERY, TWO_TICKS_NS, Recovery
from netem.model.sender import INITIAL_WINDOW, MAXIMUM_TIMEOUT_NS, NEVER, SenderState
from netem.profiles import TCP_IP_HEADERS

LONE_PROBE_EXTRA_NS: Final = NANOSECONDS // 5
"""A probe waits this much longer where only one segment is out: its answer may be delayed."""
MAXIMUM_TIMEOUTS: Final = 15
"""Timeouts in a row after which a connection is given up (Linux: tcp_retries2)."""
STALE_NS: Final = NANOSECONDS // 1_000
"""A receiver drops a segment whose timestamp is older than the newest by more than this."""

# The numbers of a connection's packets within an exchange: kind, segment, transmission.
_SEGMENT_SHIFT: Final = 8
_KIND_SHIFT: Final = 56
DATA_KIND: Final = 0
ACKNOWLEDGEMENT_KIND: Final = 1 << _KIND_SHIFT
HANDSHAKE_KIND: Final = 2 << _KIND_SHIFT

_AT_LIMITER: Final = 0
_ARRIVED: Final = 1
_ACK_AT_LIMITER: Final = 2
_ACK_ARRIVED: Final = 3
_EARLIER_ACK: Final = 4

_NO_DUPLICATE: Final = -1


@dataclass(frozen=True, slots=True)
class Transfer:
    """When the octets of one transfer come out at the far end."""

    releases: tuple[tuple[int, int], ...]
    """(time in nanoseconds, octets), times ascending; all octets unless the connection broke."""
    broken_ns: int | None = None
    """When the sender gave the connection up; the octets missing in ``releases`` are lost."""


class TcpSender(SenderState):
    """One sending end."""

    __slots__ = ()

    def transfer(self, now_ns: int, octets: int) -> Transfer:
        """Hand over ``octets`` now; 0 octets is the end of the stream, which is a packet too.

        Calls must come in order of time.
        """
        if now_ns - self.free_ns > self.timeout_ns:
            self.window = min(self.window, INITIAL_WINDOW)
        transfer = _Flight(self, max(now_ns, self.free_ns), octets).run()
        statistics = self.forward.statistics
        statistics.transfers += 1
        statistics.octets += octets
        return transfer


class _Flight(Recovery):
    """The life of one transfer, from its first segment to its last acknowledgement."""

    __slots__ = (
        "acks_at",
        "arrived_at",
        "backoff",
        "events",
        "last_new_ns",
        "probe_ns",
        "probed",
        "received",
        "sizes",
        "stamp_ns",
        "timeout_at_ns",
        "transmissions",
    )

    def __init__(self, sender: SenderState, now_ns: int, octets: int) -> None:
        full, rest = divmod(octets, sender.segment_octets)
        self.sizes = [sender.segment_octets] * full + ([rest] if rest or not octets else [])
        count = len(self.sizes)
        super().__init__(sender, count)
        self.arrived_at = [NEVER] * count
        self.transmissions = [0] * count
        self.events: list[tuple[int, int, int, int, int]] = []
        self.acks_at: list[int] = []
        self.received = 0
        self.stamp_ns = now_ns
        """The timestamp that the receiver has last taken, and echoes."""
        self.last_new_ns = now_ns
        self.backoff = 0
        self.timeout_at_ns = self.probe_ns = NEVER
        self.probed = False
        """A tail loss probe is out."""
        for at_ns in sender.earlier_acks:
            if at_ns > now_ns:
                self.earlier += 1
                heappush(self.events, (at_ns, _EARLIER_ACK, 0, 0, 0))
        self._send_new(now_ns)

    def run(self) -> Transfer:
        count, events = self.count, self.events
        now_ns = 0
        while self.unacked < count and self.timeouts <= MAXIMUM_TIMEOUTS:
            timer_ns = self.timeout_at_ns
            if self.probe_ns < timer_ns:
                timer_ns = self.probe_ns
            if self.reorder_ns < timer_ns:
                timer_ns = self.reorder_ns
            if events and events[0][0] <= timer_ns:
                now_ns = self._next_event()
            else:
                now_ns = timer_ns
                self._timer(timer_ns)
        return self._result(now_ns)

    # -- packets ------------------------------------------------------------------------------

    def _send_lost(self, now_ns: int) -> None:
        """Send again what is lost, as far as the window lets it out."""
        room = self.sender.window - self.out
        waiting = self.lost & ~self.again
        while waiting and room > 0:
            bit = waiting & -waiting
            waiting ^= bit
            room -= 1
            self._repeat(bit.bit_length() - 1, now_ns)

    def _repeat(self, segment: int, now_ns: int) -> None:
        self.again |= 1 << segment
        self.retransmitted_from_ns = min(self.retransmitted_from_ns, now_ns)
        self.undo_left = max(self.undo_left, 0) + 1
        self.prr_out += self.state == RECOVERY
        self._transmit(segment, now_ns)
        if segment == self.unacked and self.reorder_ns == NEVER:
            self._arm_timeout(now_ns)

    def _send_new(self, now_ns: int) -> None:
        if self.next_new == self.count:
            return
        room = min(self.sender.window - self.out, self.count - self.next_new)
        if room <= 0:
            return
        if self.timeout_at_ns == NEVER:
            self._arm_timeout(now_ns)
        self.last_new_ns = now_ns
        for segment in range(self.next_new, self.next_new + room):
            self.next_new += 1
            self._transmit(segment, now_ns)
        self.prr_out += room * (self.state == RECOVERY)
        self.most_out = max(self.most_out, self.out)
        if self.reorder_ns == NEVER:
            self._arm_probe(now_ns, self.sent_at[self.unacked])

    def _transmit(self, segment: int, now_ns: int) -> None:
        sender = self.sender
        transmission = self.transmissions[segment]
        self.transmissions[segment] = transmission + 1
        self.sent_at[segment] = now_ns
        path = sender.forward
        path.statistics.segments += 1
        if transmission:
            self.ever |= 1 << segment
            path.statistics.retransmitted += 1
            path.statistics.spurious += self.arrived_at[segment] != NEVER
        number = sender.segments + segment
        packet = DATA_KIND | number << _SEGMENT_SHIFT | transmission
        at_ns = path.enter(path.data, now_ns, self.sizes[segment] + TCP_IP_HEADERS, packet)
        if at_ns is not None:
            heappush(self.events, (at_ns, _AT_LIMITER, segment, transmission, now_ns))

    def _next_event(self) -> int:
        at_ns, kind, detail, more, sent_ns = heappop(self.events)
        if kind == _AT_LIMITER:
            self._leave(at_ns, detail, more, sent_ns)
        elif kind == _ARRIVED:
            self._receive(at_ns, detail, more, sent_ns)
        elif kind == _ACK_AT_LIMITER:
            self._leave_ack(at_ns, detail, more, sent_ns)
        elif kind == _ACK_ARRIVED:
            self._acknowledge(at_ns, detail, more, sent_ns)
        else:
            self.earlier -= 1
            self._send_new(at_ns)
        return at_ns

    def _leave(self, at_ns: int, segment: int, transmission: int, sent_ns: int) -> None:
        path = self.sender.forward
        passed_ns = path.leave(path.data, at_ns, self.sizes[segment] + TCP_IP_HEADERS)
        if passed_ns == at_ns:
            self._receive(at_ns, segment, transmission, sent_ns)
        elif passed_ns is not None:
            heappush(self.events, (passed_ns, _ARRIVED, segment, transmission, sent_ns))

    def _receive(self, at_ns: int, segment: int, transmission: int, sent_ns: int) -> None:
        """The far end has a segment and answers at once with all it has."""
        bit = 1 << segment
        duplicate = segment if self.received & bit else _NO_DUPLICATE
        if duplicate < 0 and sent_ns >= self.stamp_ns - STALE_NS:
            self.arrived_at[segment] = at_ns
            if sent_ns > self.stamp_ns and not (self.received + 1) & (bit - 1):
                self.stamp_ns = sent_ns  # all before it was there
            self.received |= bit
        number = self.sender.segments + segment
        packet = ACKNOWLEDGEMENT_KIND | number << _SEGMENT_SHIFT | transmission
        path = self.sender.backward
        back_ns = path.enter(path.acknowledgements, at_ns, TCP_IP_HEADERS, packet)
        if back_ns is not None:
            said = (back_ns, _ACK_AT_LIMITER, self.received, duplicate, self.stamp_ns)
            heappush(self.events, said)

    def _leave_ack(self, at_ns: int, received: int, duplicate: int, echo_ns: int) -> None:
        path = self.sender.backward
        passed_ns = path.leave(path.acknowledgements, at_ns, TCP_IP_HEADERS)
        if passed_ns == at_ns:
            self._acknowledge(at_ns, received, duplicate, echo_ns)
        elif passed_ns is not None:
            heappush(self.events, (passed_ns, _ACK_ARRIVED, received, duplicate, echo_ns))

    # -- acknowledgements ---------------------------------------------------------------------

    def _acknowledge(self, now_ns: int, received: int, duplicate: int, echo_ns: int) -> None:
        """An acknowledgement is back; it echoes the receiver's timestamp."""
        new = received & ~self.acked
        if duplicate >= 0:
            self.note_duplicate(now_ns, duplicate, self.sent_at[duplicate])
        elif not new:
            return
        originals = new & ~self.ever
        first, had_holes = self.unacked, self.acked >> self.unacked
        if new:
            if self.take(now_ns, new, echo_ns):
                self.backoff = 0
            self.acks_at += [now_ns] * new.bit_count()
        advanced = self.unacked > first
        if advanced:
            self.timeouts = 0
        lost = self.lost
        may_send = False
        self.reorder_ns = NEVER
        if self.unacked == self.count and self.state == OPEN:
            self.set_window(new.bit_count(), 0, advanced=advanced)
            return
        if self.state != OPEN or had_holes or self.acked >> self.unacked or duplicate >= 0:
            may_send = self.react(now_ns, echo_ns, originals, advanced=advanced)
        if advanced and self.unacked < self.next_new:
            self._arm_timeout(now_ns)
            self._arm_probe(now_ns, now_ns)
        newly_lost = (self.lost & ~lost).bit_count()
        self.set_window(new.bit_count(), newly_lost, advanced=advanced)
        if may_send:
            self._send_lost(now_ns)
        self._send_new(now_ns)

    # -- timers -------------------------------------------------------------------------------

    def _arm_timeout(self, now_ns: int) -> None:
        self.probe_ns = NEVER
        wait_ns = min(self.sender.timeout_ns << self.backoff, MAXIMUM_TIMEOUT_NS)
        self.timeout_at_ns = now_ns + wait_ns

    def _arm_probe(self, now_ns: int, head_ns: int) -> None:
        """Set the tail loss probe, which Linux sends only while nothing looks lost."""
        self.probe_ns = NEVER
        sender = self.sender
        if not sender.srtt_ns or self.state != OPEN or self.probed or self.acked >> self.unacked:
            return
        lone = self.next_new - self.unacked == 1
        at_ns = now_ns + 2 * sender.srtt_ns + (LONE_PROBE_EXTRA_NS if lone else TWO_TICKS_NS)
        latest_ns = head_ns + sender.timeout_ns
        self.probe_ns = at_ns if at_ns < latest_ns else max(now_ns, latest_ns)

    def _timer(self, now_ns: int) -> None:
        if now_ns == self.reorder_ns:
            self._look_again(now_ns)
        elif now_ns == self.probe_ns:
            self._probe(now_ns)
        else:
            self._time_out(now_ns)

    def _look_again(self, now_ns: int) -> None:
        """The reordering window is over."""
        lost = self.lost.bit_count()
        self.find_lost(now_ns)
        self.reorder_ns = NEVER
        newly_lost = self.lost.bit_count() - lost
        if newly_lost:
            if self.state != RECOVERY:
                self.enter_recovery()
                self.reduce_window(1, newly_lost, advanced=False)
            self._send_lost(now_ns)
        self.timeout_at_ns = max(self.timeout_at_ns, now_ns + 1)

    def _probe(self, now_ns: int) -> None:
        self.probe_ns = NEVER
        self.probed = True
        if self.next_new < self.count:
            segment = self.next_new
            self.next_new += 1
            self.last_new_ns = now_ns
        else:
            open_ = ~self.acked & ((1 << self.next_new) - 1)
            segment = open_.bit_length() - 1
        self._transmit(segment, now_ns)
        self._arm_timeout(now_ns)

    def _time_out(self, now_ns: int) -> None:
        """Nothing came back in time: begin again with one segment."""
        self.enter_loss(now_ns)
        self.backoff += 1
        self.probe_ns = self.reorder_ns = NEVER
        self._repeat(self.unacked, now_ns)
        self._arm_timeout(now_ns)

    # -- the end ------------------------------------------------------------------------------

    def _result(self, now_ns: int) -> Transfer:
        sender = self.sender
        sender.segments += len(self.sizes)
        sender.free_ns = self.last_new_ns
        still_out = [at_ns for at_ns in sender.earlier_acks if at_ns > self.last_new_ns]
        sender.earlier_acks = (*still_out, *self.acks_at)
        releases: list[tuple[int, int]] = []
        for size, arrived_ns in zip(self.sizes, self.arrived_at, strict=True):
            if arrived_ns == NEVER:
                return Transfer(tuple(releases), broken_ns=now_ns)
            # A stream is read in order: what overtook a missing segment waits for it.
            release_ns = sender.last_release_ns = max(arrived_ns, sender.last_release_ns)
            if releases and releases[-1][0] == release_ns:
                size += releases.pop()[1]
            releases.append((release_ns, size))
        return Transfer(tuple(releases))
