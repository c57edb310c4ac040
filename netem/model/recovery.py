"""What a sending end makes of its acknowledgements: loss, recovery, its window, and taking it back.

This follows Linux 6.1 (``net/ipv4/tcp_input.c`` as its documentation and the RFCs describe it):
RACK marks segments lost by time (RFC 8985), the window comes down by proportional rate reduction
(RFC 6937), timeouts are probed by F-RTO (RFC 5682), and a recovery that timestamps or D-SACK prove
needless is undone (RFC 3522, RFC 3708) - but with retransmissions still out it is not, and
then recovery sends no more than was delivered. That is what reordering costs.
"""

from __future__ import annotations

from typing import Final

from netem.model.delay import NANOSECONDS
from netem.model.sender import NEVER, SenderState

MINIMUM_WINDOW: Final = 2
REORDERING_SEGMENTS: Final = 3
MAXIMUM_STEPS: Final = 255
TWO_TICKS_NS: Final = NANOSECONDS // 125
"""The shortest timer, of a kernel with 250 ticks a second."""

OPEN: Final = 0
RECOVERY: Final = 1
LOSS: Final = 2


class Recovery:
    """The segments of one transfer, as their sender knows them. Sets of segments are bit masks."""

    __slots__ = (
        "acked",
        "again",
        "count",
        "delivered",
        "earlier",
        "ever",
        "forward",
        "high",
        "highest",
        "lost",
        "most_out",
        "next_new",
        "prior_threshold",
        "prior_window",
        "prr_delivered",
        "prr_out",
        "rack",
        "rack_rtt_ns",
        "reorder_ns",
        "retransmitted_from_ns",
        "sender",
        "sent_at",
        "state",
        "timeouts",
        "unacked",
        "undo_from",
        "undo_left",
        "widened_ns",
    )

    def __init__(self, sender: SenderState, count: int) -> None:
        self.sender = sender
        self.count = count
        self.sent_at = [0] * count
        self.acked = self.lost = 0
        self.again = 0
        """Sent again, and neither acknowledged nor taken for lost since."""
        self.ever = 0
        """Sent again at any time."""
        self.unacked = self.next_new = 0
        self.highest = 0
        """Behind the highest segment that is acknowledged."""
        self.earlier = 0
        """Segments of earlier transfers that are still out."""
        self.most_out = self.delivered = 0
        self.state = OPEN
        self.high = 0
        """The state ends when all before this is acknowledged."""
        self.forward = False
        """F-RTO is in doubt whether the timeout was needless."""
        self.timeouts = 0
        self.undo_from = -1
        self.undo_left = 0
        """Retransmissions that D-SACK has not proved needless; -1 where there were none yet."""
        self.retransmitted_from_ns = NEVER
        self.prior_window = self.prior_threshold = 0
        self.prr_delivered = self.prr_out = 0
        self.rack = (-1, -1)
        self.rack_rtt_ns = 0
        self.reorder_ns = NEVER
        """When a segment that may have been overtaken is taken for lost."""
        self.widened_ns = 0

    @property
    def out(self) -> int:
        """Segments under way, as the sender believes."""
        gone = self.acked.bit_count() + self.lost.bit_count()
        return self.earlier + self.next_new - gone + self.again.bit_count()

    # -- what an acknowledgement says ---------------------------------------------------------

    def note_duplicate(self, now_ns: int, segment: int, sent_ns: int) -> None:
        """D-SACK: ``segment``, sent at ``sent_ns``, had been received before."""
        sender = self.sender
        if sender.reordering_seen and sent_ns >= self.widened_ns:
            # A needless retransmission widens the reordering window, once a round trip.
            sender.reordering_steps = min(sender.reordering_steps + 1, MAXIMUM_STEPS)
            self.widened_ns = now_ns
        if self.undo_left > 0 and 0 <= self.undo_from <= segment < self.unacked:
            self.undo_left -= 1

    def take(self, now_ns: int, new: int, echo_ns: int) -> bool:
        """Take the segments ``new`` for delivered; say whether a round trip was measured."""
        if not self.ever and self.acked == new - 1 and not new & self.acked:
            return self._take_next(now_ns, new)
        originals = new & ~self.ever
        before = self.highest
        first = self.unacked
        rest = new
        while rest:
            segment = (rest & -rest).bit_length() - 1
            rest &= rest - 1
            self._advance_rack(now_ns, segment)
        self.acked |= new
        self.lost &= ~new
        self.again &= ~new
        self.delivered += new.bit_count()
        self.highest = max(before, new.bit_length())
        missing = ~(self.acked >> first)
        self.unacked = first + (missing & -missing).bit_length() - 1
        if originals:
            lowest = (originals & -originals).bit_length() - 1
            if lowest < before:
                self.sender.reordering_seen = True
                distance = self.highest - lowest
                self.sender.reordering = max(self.sender.reordering, distance)
        return self._measure(now_ns, first, originals, echo_ns)

    def _take_next(self, now_ns: int, new: int) -> bool:
        """As `take`, of the one segment that is due where nothing was overtaken or sent again."""
        segment = self.unacked
        sent_ns = self.sent_at[segment]
        self.rack_rtt_ns = rtt_ns = now_ns - sent_ns
        self.rack = (sent_ns, segment)
        self.acked |= new
        self.lost &= ~new
        self.delivered += 1
        self.unacked = self.highest = segment + 1
        self.sender.sample_round_trip(now_ns, rtt_ns)
        return True

    def _measure(self, now_ns: int, first: int, originals: int, echo_ns: int) -> bool:
        """Measure a round trip: of what was sent once only, or by the echoed timestamp."""
        sender = self.sender
        passed = (1 << self.unacked) - (1 << first)
        fresh = originals & passed if passed and not self.ever & passed else originals & ~passed
        if fresh:
            rtt_ns = now_ns - self.sent_at[(fresh & -fresh).bit_length() - 1]
            sender.min_rtt_ns = min(
                sender.min_rtt_ns, now_ns - self.sent_at[fresh.bit_length() - 1]
            )
        elif passed:
            rtt_ns = now_ns - echo_ns
        else:
            return False
        sender.sample_round_trip(now_ns, rtt_ns)
        return True

    def _advance_rack(self, now_ns: int, segment: int) -> None:
        """Note the last-sent segment that got through, and how long it took (RFC 8985, 6.2)."""
        sent_ns = self.sent_at[segment]
        rtt_ns = now_ns - sent_ns
        if self.ever >> segment & 1 and rtt_ns < self.sender.min_rtt_ns:
            return  # more likely the first transmission got through after all
        self.rack_rtt_ns = rtt_ns
        if (sent_ns, segment) > self.rack:
            self.rack = (sent_ns, segment)

    # -- what is made of it -------------------------------------------------------------------

    def react(self, now_ns: int, echo_ns: int, originals: int, *, advanced: bool) -> bool:
        """Change the state; say whether lost segments may be sent again now."""
        if self.state == OPEN:
            self.retransmitted_from_ns = NEVER
        elif self.state == RECOVERY and self.unacked >= self.high:
            self._end_recovery(echo_ns)
        if self.state == RECOVERY:
            if advanced and self._keeps_recovering(echo_ns):
                return False
            if self.undo_from >= 0 and self.undo_left == 0:
                self._undo(unmark=False)
                self.state = OPEN
            self.find_lost(now_ns)
            if self.state == RECOVERY:
                return True
        elif self.state == LOSS:
            again = self.again
            may_send = self._go_on_after_timeout(echo_ns, originals, advanced=advanced)
            self.find_lost(now_ns)
            if self.state == LOSS and not again & ~self.again & self.lost:
                return may_send
        else:
            if self.undo_from >= 0 and self.undo_left == 0:
                self._undo(unmark=False)
            self.find_lost(now_ns)
        if not self.lost:
            return False
        self.enter_recovery()
        return True

    def _end_recovery(self, echo_ns: int) -> None:
        if self._may_undo(echo_ns):
            self._undo(unmark=False)
        elif self.state == RECOVERY and self.undo_from >= 0:
            self.sender.window = self.sender.slow_start_threshold
        self.state = OPEN

    def _keeps_recovering(self, echo_ns: int) -> bool:
        """Undo a recovery whose hole the first transmission filled.

        Not so while retransmissions are out: then nothing more is taken for lost, no more.
        """
        if self.undo_from < 0 or echo_ns >= self.retransmitted_from_ns:
            return False
        if self.again:
            return True
        self._undo(unmark=True)
        self.state = OPEN
        return False

    def _go_on_after_timeout(self, echo_ns: int, originals: int, *, advanced: bool) -> bool:
        if advanced and self._may_undo(echo_ns):
            self._undo(unmark=True)
            self.state = OPEN
            return False
        if self.forward:
            if originals & ((1 << self.high) - 1):
                self._undo(unmark=True)
                self.state = OPEN
                return False
            if self.next_new > self.high:
                self.forward = advanced
            elif advanced and self.unacked < self.high:
                self.high = self.next_new
                if self.next_new < self.count:
                    return False  # new segments tell whether the timeout was needless
                self.forward = False
        if self.unacked >= self.high:
            self._end_recovery(echo_ns)
            return False
        return True

    def enter_recovery(self) -> None:
        """Segments are lost: begin to reduce the window."""
        sender = self.sender
        self.prior_threshold = self._current_threshold()
        self.prior_window = sender.window
        self.undo_from = self.unacked
        self.undo_left = self.again.bit_count() or -1
        self.prr_delivered = self.prr_out = 0
        self.high = self.next_new
        sender.slow_start_threshold = max(sender.window * 717 // 1024, MINIMUM_WINDOW)
        self.state = RECOVERY

    def enter_loss(self, now_ns: int) -> None:
        """Nothing came back in time: take for lost what was not sent just now."""
        sender = self.sender
        anew = self.state == OPEN
        for segment in range(self.unacked, self.next_new):
            bit = 1 << segment
            if self.acked & bit:
                continue
            recent = self.sent_at[segment] + self.rack_rtt_ns > now_ns
            if segment == self.unacked or not recent:
                self.lost |= bit
                self.again &= ~bit
        if anew or self.high <= self.unacked or (self.state == LOSS and not self.timeouts):
            self.prior_threshold = self._current_threshold()
            self.prior_window = sender.window
            sender.slow_start_threshold = max(sender.window * 717 // 1024, MINIMUM_WINDOW)
            self.undo_from = self.unacked
            self.undo_left = self.again.bit_count() or -1
        sender.window = self.out + 1
        self.state = LOSS
        self.high = self.next_new
        self.forward = anew or self.timeouts > 0
        self.timeouts += 1

    def _current_threshold(self) -> int:
        sender = self.sender
        if self.state == RECOVERY:
            return sender.slow_start_threshold
        return max(sender.slow_start_threshold, sender.window // 2 + sender.window // 4)

    def _may_undo(self, echo_ns: int) -> bool:
        is_delayed = echo_ns < self.retransmitted_from_ns < NEVER
        return self.undo_from >= 0 and (self.undo_left == 0 or is_delayed)

    def _undo(self, *, unmark: bool) -> None:
        """What was taken for lost was not."""
        sender = self.sender
        if unmark:
            self.lost = 0
        sender.window = max(sender.window, self.prior_window)
        sender.slow_start_threshold = max(sender.slow_start_threshold, self.prior_threshold)
        self.undo_from = -1
        self.timeouts = 0

    # -- loss ---------------------------------------------------------------------------------

    def _reordering_window_ns(self) -> int:
        sender = self.sender
        sacked = (self.acked >> self.unacked).bit_count()
        if not sender.reordering_seen and (self.state != OPEN or sacked >= REORDERING_SEGMENTS):
            return 0
        return min(sender.min_rtt_ns // 4 * sender.reordering_steps, sender.srtt_ns)

    def find_lost(self, now_ns: int) -> None:
        """Mark what was sent well before the last segment that got through (RFC 8985, 6.2)."""
        self.reorder_ns = NEVER
        window_ns = self.rack_rtt_ns + self._reordering_window_ns()
        last_ns = -1
        open_ = ((1 << self.next_new) - 1) & ~self.acked & (~self.lost | self.again)
        while open_:
            bit = open_ & -open_
            open_ ^= bit
            segment = bit.bit_length() - 1
            sent_ns = self.sent_at[segment]
            if (sent_ns, segment) >= self.rack:
                continue
            if sent_ns + window_ns <= now_ns:
                self.lost |= bit
                self.again &= ~bit
            else:
                last_ns = max(last_ns, sent_ns + window_ns)
        if last_ns >= 0:
            self.reorder_ns = last_ns + TWO_TICKS_NS

    # -- window -------------------------------------------------------------------------------

    def set_window(self, new: int, newly_lost: int, *, advanced: bool) -> None:
        """Reduce or open the window for ``new`` segments delivered."""
        if self.state == RECOVERY:
            self.reduce_window(new, newly_lost, advanced=advanced)
        elif advanced or self.sender.reordering > REORDERING_SEGMENTS:
            self._open_window(new)

    def reduce_window(self, new: int, newly_lost: int, *, advanced: bool) -> None:
        """Proportional rate reduction, RFC 6937, with its slow start bound."""
        if new <= 0:
            return
        sender, out = self.sender, self.out
        threshold = sender.slow_start_threshold
        self.prr_delivered += new
        room = threshold - out
        if room < 0:
            count = -(-threshold * self.prr_delivered // self.prior_window) - self.prr_out
        else:
            count = max(self.prr_delivered - self.prr_out, new) + (advanced and not newly_lost)
            count = min(room, count)
        sender.window = out + max(count, 0 if self.prr_out else 1)

    def _open_window(self, new: int) -> None:
        sender = self.sender
        for _ in range(new):
            if sender.window >= 2 * self.most_out:
                return  # a window that is not used does not grow
            if sender.window < sender.slow_start_threshold or self.delivered % sender.window == 0:
                sender.window += 1
