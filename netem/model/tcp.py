"""One sending end of a TCP connection over two paths, as Linux 6.1 behaves.

What is modelled: initial window of ten segments, slow start, every acknowledgement opening the
window, restart after idling, round-trip estimate, RACK with its reordering window, tail loss
probes, retransmission timeouts with back-off, and the undoing of a timeout that proves needless.
What is not: the receiver's window, delayed acknowledgements, pacing, the curve of cubic (the
window grows by one a round trip after a loss). Sources: RFC 6298, RFC 6928, RFC 8985, RFC 3522 and
the behaviour measured in docs/explanation/links.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Final

from netem.model.delay import NANOSECONDS
from netem.model.sender import INITIAL_WINDOW, MAXIMUM_TIMEOUT_NS, NEVER, SenderState
from netem.profiles import TCP_IP_HEADERS

MINIMUM_WINDOW: Final = 2
LONE_PROBE_EXTRA_NS: Final = NANOSECONDS // 5
"""A probe waits this much longer where only one segment is out: its answer may be delayed."""
MAXIMUM_TIMEOUTS: Final = 15
"""Timeouts in a row after which a connection is given up (Linux: tcp_retries2)."""
REORDERING_SEGMENTS: Final = 3
MAXIMUM_STEPS: Final = 255

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


class _Flight:
    """The life of one transfer, from its first segment to its last acknowledgement."""

    __slots__ = (
        "acked",
        "acks_at",
        "arrived_at",
        "backoff",
        "events",
        "held",
        "highest_acked",
        "last_new_ns",
        "lost",
        "most_out",
        "next_new",
        "out",
        "prior_threshold",
        "prior_window",
        "probe_ns",
        "probed",
        "rack",
        "rack_rtt_ns",
        "received",
        "recovery_end",
        "reorder_ns",
        "retransmitted_from_ns",
        "sender",
        "sent_at",
        "sizes",
        "timeout_at_ns",
        "transmissions",
        "unacked",
        "widened_ns",
    )

    def __init__(self, sender: SenderState, now_ns: int, octets: int) -> None:
        full, rest = divmod(octets, sender.segment_octets)
        self.sender = sender
        self.sizes = [sender.segment_octets] * full + ([rest] if rest or not octets else [])
        count = len(self.sizes)
        self.sent_at = [0] * count
        self.arrived_at = [NEVER] * count
        self.transmissions = [0] * count
        self.events: list[tuple[int, int, int, int, int]] = []
        self.acks_at: list[int] = []
        # Sets of segments are bit masks: an acknowledgement carries all that was received.
        self.received = self.acked = self.lost = 0
        self.held = 0
        """Segments still in the sending host's own queue, which Linux will not send again."""
        self.unacked = 0
        self.highest_acked = -1
        self.next_new = 0
        self.last_new_ns = now_ns
        self.out = self.most_out = 0
        self.backoff = 0
        self.timeout_at_ns = self.probe_ns = self.reorder_ns = NEVER
        self.probed = False
        self.recovery_end = -1
        self.prior_window = self.prior_threshold = 0
        self.retransmitted_from_ns = NEVER
        self.rack = (-1, -1)
        self.rack_rtt_ns = 0
        self.widened_ns = 0
        for at_ns in sender.earlier_acks:
            if at_ns > now_ns:
                self.out += 1
                heappush(self.events, (at_ns, _EARLIER_ACK, 0, 0, 0))
        self._send_allowed(now_ns)
        self._arm_probe(now_ns, self.sender.timeout_ns)

    def run(self) -> Transfer:
        count = len(self.sizes)
        now_ns = 0
        while self.unacked < count and self.backoff <= MAXIMUM_TIMEOUTS:
            timer_ns = min(self.timeout_at_ns, self.probe_ns, self.reorder_ns)
            if self.events and self.events[0][0] <= timer_ns:
                now_ns = self._next_event()
            else:
                now_ns = timer_ns
                self._timer(timer_ns)
        return self._result(now_ns)

    # -- packets ------------------------------------------------------------------------------

    def _send_allowed(self, now_ns: int) -> None:
        """Send what the window lets out: lost segments first, then new ones."""
        window = self.sender.window
        while self.lost and self.out < window:
            lowest = (self.lost & -self.lost).bit_length() - 1
            if self.held >> lowest & 1:
                break
            self.lost &= self.lost - 1
            self._transmit(lowest, now_ns)
        while self.next_new < len(self.sizes) and self.out < window:
            segment = self.next_new
            self.next_new += 1
            self.last_new_ns = now_ns
            self._transmit(segment, now_ns)

    def _transmit(self, segment: int, now_ns: int) -> None:
        sender = self.sender
        transmission = self.transmissions[segment]
        self.transmissions[segment] = transmission + 1
        self.sent_at[segment] = now_ns
        self.out += 1
        self.most_out = max(self.most_out, self.out)
        path = sender.forward
        path.statistics.segments += 1
        if transmission:
            path.statistics.retransmitted += 1
            path.statistics.spurious += self.arrived_at[segment] != NEVER
            self.retransmitted_from_ns = min(self.retransmitted_from_ns, now_ns)
        number = sender.segments + segment
        packet = DATA_KIND | number << _SEGMENT_SHIFT | transmission
        at_ns = path.enter(path.data, now_ns, self.sizes[segment] + TCP_IP_HEADERS, packet)
        if at_ns is not None:
            self.held |= path.holds_in_host << segment
            heappush(self.events, (at_ns, _AT_LIMITER, segment, transmission, now_ns))

    def _next_event(self) -> int:
        at_ns, kind, detail, transmission, sent_ns = heappop(self.events)
        if kind == _AT_LIMITER:
            self._leave(at_ns, detail, transmission, sent_ns)
        elif kind == _ARRIVED:
            self._receive(at_ns, detail, transmission, sent_ns)
        elif kind == _ACK_AT_LIMITER:
            self._leave_ack(at_ns, detail, transmission, sent_ns)
        elif kind == _ACK_ARRIVED:
            self._acknowledge(at_ns, detail, transmission, sent_ns)
        else:
            self.out -= 1
            self._send_allowed(at_ns)
        return at_ns

    def _leave(self, at_ns: int, segment: int, transmission: int, sent_ns: int) -> None:
        path = self.sender.forward
        passed_ns = path.leave(path.data, at_ns, self.sizes[segment] + TCP_IP_HEADERS)
        if passed_ns is None:
            self.held &= ~(1 << segment)
        if passed_ns == at_ns:
            self._receive(at_ns, segment, transmission, sent_ns)
        elif passed_ns is not None:
            heappush(self.events, (passed_ns, _ARRIVED, segment, transmission, sent_ns))

    def _receive(self, at_ns: int, segment: int, transmission: int, sent_ns: int) -> None:
        """The far end has a segment and answers at once with all it has."""
        duplicate = self.received >> segment & 1
        self.arrived_at[segment] = min(at_ns, self.arrived_at[segment])
        self.received |= 1 << segment
        self.held &= ~(1 << segment)
        number = self.sender.segments + segment
        packet = ACKNOWLEDGEMENT_KIND | number << _SEGMENT_SHIFT | transmission
        path = self.sender.backward
        back_ns = path.enter(path.acknowledgements, at_ns, TCP_IP_HEADERS, packet)
        if back_ns is not None:
            heappush(self.events, (back_ns, _ACK_AT_LIMITER, self.received, duplicate, sent_ns))

    def _leave_ack(self, at_ns: int, received: int, duplicate: int, sent_ns: int) -> None:
        path = self.sender.backward
        passed_ns = path.leave(path.acknowledgements, at_ns, TCP_IP_HEADERS)
        if passed_ns == at_ns:
            self._acknowledge(at_ns, received, duplicate, sent_ns)
        elif passed_ns is not None:
            heappush(self.events, (passed_ns, _ACK_ARRIVED, received, duplicate, sent_ns))

    # -- acknowledgements ---------------------------------------------------------------------

    def _acknowledge(self, now_ns: int, received: int, duplicate: int, sent_ns: int) -> None:
        """An acknowledgement is back; it echoes when the segment that caused it was sent."""
        if duplicate and sent_ns >= self.widened_ns:
            # A needless retransmission widens the reordering window, once a round trip.
            self.sender.reordering_steps = min(self.sender.reordering_steps + 1, MAXIMUM_STEPS)
            self.widened_ns = now_ns
        new = received & ~self.acked
        if not new:
            return
        sender = self.sender
        sender.sample_round_trip(now_ns, now_ns - sent_ns)
        self._take_acked(now_ns, new, sent_ns)
        advanced = self._advance(new)
        if advanced and sent_ns < self.retransmitted_from_ns < NEVER:
            self._undo()
        if self.unacked > self.recovery_end:
            self.recovery_end = -1
            self.prior_window = 0
            self.retransmitted_from_ns = NEVER
        self._find_lost(now_ns)
        self._send_allowed(now_ns)
        if advanced:
            self.backoff = 0
            self.timeout_at_ns = now_ns + sender.timeout_ns
            self._arm_probe(now_ns, sender.timeout_ns)

    def _take_acked(self, now_ns: int, new: int, sent_ns: int) -> None:
        self.acked |= new
        while new:
            segment = (new & -new).bit_length() - 1
            new &= new - 1
            self.acks_at.append(now_ns)
            if self.lost >> segment & 1:
                self.lost &= ~(1 << segment)
            else:
                self.out -= 1
            self._open_window()
            if segment < self.highest_acked and self.transmissions[segment] == 1:
                self.sender.reordering_seen = True
            self.highest_acked = max(self.highest_acked, segment)
            self._advance_rack(now_ns, segment)

    def _advance_rack(self, now_ns: int, segment: int) -> None:
        """Note the last-sent segment that got through, and how long it took (RFC 8985, 6.2)."""
        sent_ns = self.sent_at[segment]
        rtt_ns = now_ns - sent_ns
        if self.transmissions[segment] > 1 and rtt_ns < self.sender.min_rtt_ns:
            return  # more likely the first transmission got through after all
        if (sent_ns, segment) > self.rack:
            self.rack = (sent_ns, segment)
            self.rack_rtt_ns = rtt_ns

    def _open_window(self) -> None:
        sender = self.sender
        if self.recovery_end >= 0 and sender.window >= sender.slow_start_threshold:
            return
        if sender.window >= 2 * self.most_out:
            return  # a window that is not used does not grow
        if sender.window < sender.slow_start_threshold or len(self.acks_at) % sender.window == 0:
            sender.window += 1

    def _advance(self, new: int) -> bool:
        """Move to the first segment that is not acknowledged; say whether that moved."""
        if not new >> self.unacked & 1:
            return False
        missing = ~(self.acked >> self.unacked)
        self.unacked += (missing & -missing).bit_length() - 1
        return True

    def _undo(self) -> None:
        """What was retransmitted had not been lost: the echo is older than the retransmission."""
        sender = self.sender
        self.out += self.lost.bit_count()
        self.lost = 0
        if self.prior_window:
            sender.window = max(sender.window, self.prior_window)
            sender.slow_start_threshold = self.prior_threshold
            self.prior_window = 0
        self.recovery_end = -1
        self.retransmitted_from_ns = NEVER

    # -- loss ---------------------------------------------------------------------------------

    def _reordering_window_ns(self) -> int:
        sender = self.sender
        sacked = (self.acked >> self.unacked).bit_count()
        if not sender.reordering_seen and (self.recovery_end >= 0 or sacked >= REORDERING_SEGMENTS):
            return 0
        return min(sender.min_rtt_ns // 4 * sender.reordering_steps, sender.srtt_ns)

    def _find_lost(self, now_ns: int) -> None:
        """Mark what was sent well before the last segment that got through (RFC 8985)."""
        self.reorder_ns = NEVER
        if self.unacked > self.highest_acked and self.recovery_end < 0:
            return
        window_ns = self.rack_rtt_ns + self._reordering_window_ns()
        for segment in range(self.unacked, self.next_new):
            if (self.acked | self.lost) >> segment & 1:
                continue
            sent_ns = self.sent_at[segment]
            if (sent_ns, segment) > self.rack:
                continue
            if sent_ns + window_ns <= now_ns:
                self._mark_lost(segment)
            else:
                self.reorder_ns = min(self.reorder_ns, sent_ns + window_ns)

    def _mark_lost(self, segment: int) -> None:
        sender = self.sender
        self.lost |= 1 << segment
        self.out -= 1
        if self.recovery_end < 0:
            self._remember_window()
            self.recovery_end = self.next_new - 1
            sender.slow_start_threshold = max(sender.window * 7 // 10, MINIMUM_WINDOW)
            sender.window = sender.slow_start_threshold
            self.probe_ns = NEVER

    def _remember_window(self) -> None:
        self.prior_window = self.sender.window
        self.prior_threshold = self.sender.slow_start_threshold

    # -- timers -------------------------------------------------------------------------------

    def _arm_probe(self, now_ns: int, timeout_ns: int) -> None:
        """Set the tail loss probe, which Linux sends only while nothing looks lost."""
        self.probe_ns = NEVER
        if self.timeout_at_ns == NEVER:
            self.timeout_at_ns = now_ns + timeout_ns
        sender = self.sender
        in_order = not self.acked >> self.unacked
        if not sender.srtt_ns or self.recovery_end >= 0 or not in_order:
            return
        wait_ns = 2 * sender.srtt_ns
        if self.next_new - self.unacked == 1:
            wait_ns += LONE_PROBE_EXTRA_NS
        self.probe_ns = now_ns + min(wait_ns, timeout_ns)

    def _timer(self, now_ns: int) -> None:
        if now_ns == self.reorder_ns:
            self._find_lost(now_ns)
            self._send_allowed(now_ns)
        elif now_ns == self.probe_ns:
            self._probe(now_ns)
        else:
            self._time_out(now_ns)

    def _probe(self, now_ns: int) -> None:
        self.probe_ns = NEVER
        if self.next_new < len(self.sizes):
            segment = self.next_new
            self.next_new += 1
            self.last_new_ns = now_ns
        else:
            segment = self._highest_open()
            if self.held >> segment & 1:
                return
            self.out -= 1
        self._transmit(segment, now_ns)
        self.retransmitted_from_ns = NEVER
        head_ns = self.sent_at[self.unacked]
        self.timeout_at_ns = max(head_ns + self.sender.timeout_ns, now_ns + 1)

    def _highest_open(self) -> int:
        """Return the highest segment out that is not acknowledged."""
        open_ = ~self.acked & ((1 << self.next_new) - 1)
        return open_.bit_length() - 1

    def _time_out(self, now_ns: int) -> None:
        """Nothing came back: take all for lost and begin again with one segment at a time."""
        sender = self.sender
        self.backoff += 1
        if not self.prior_window:
            self._remember_window()
            sender.slow_start_threshold = max(sender.window // 2, MINIMUM_WINDOW)
        sender.window = 1
        open_ = ~self.acked & ((1 << self.next_new) - 1) & ~((1 << self.unacked) - 1)
        self.out -= (open_ & ~self.lost).bit_count()
        self.lost = open_
        self.recovery_end = self.next_new - 1
        self.retransmitted_from_ns = NEVER
        self.probe_ns = self.reorder_ns = NEVER
        self._send_allowed(now_ns)
        wait_ns = min(sender.timeout_ns << self.backoff, MAXIMUM_TIMEOUT_NS)
        self.timeout_at_ns = now_ns + wait_ns

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
