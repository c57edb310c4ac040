"""What a sender makes of reordering and loss, segment by segment, as Linux and the RFCs have it."""

from __future__ import annotations

import math

import pytest

from netem.model import LinkIdentity, LinkModel, LinkStatistics
from netem.model.path import Lane, Path, path_rule
from netem.model.recovery import LOSS, OPEN, RECOVERY, Recovery
from netem.model.sender import NEVER
from netem.model.statistics import DirectionStatistics
from netem.model.tcp import HANDSHAKE_KIND, TcpSender
from netem.profiles import LinkDirection, LinkOptions, LinkProfile

MILLISECOND = 1_000_000
SECOND = 1_000_000_000
IN_NETEM_ORDER = LinkOptions(order="netem")


class Scripted(Path):
    """Takes 100 ms for every packet but those that are told otherwise, in ms; None loses it."""

    def __init__(self, told: dict[tuple[int, int], int | None] | None = None) -> None:
        super().__init__(path_rule(LinkDirection(), IN_NETEM_ORDER), DirectionStatistics())
        self.told = told or {}
        self.sent_ms: list[tuple[int, int]] = []

    def enter(self, lane: Lane, at_ns: int, octets: int, packet: int) -> int | None:
        segment = packet >> 8 & 0xFFFF
        self.sent_ms.append((segment, round(at_ns / MILLISECOND)))
        delay_ms = self.told.get((segment, packet & 0xFF), 100)
        return None if delay_ms is None else at_ns + delay_ms * MILLISECOND


def sent(
    segments: int, told: dict[tuple[int, int], int | None]
) -> tuple[list[tuple[int, int]], float]:
    """Send so many segments over 200 ms there and back; return what was sent, and the end in s."""
    there = Scripted(told)
    sender = TcpSender(there, Scripted(), 1_000)
    sender.sample_round_trip(0, 200 * MILLISECOND)
    transfer = sender.transfer(0, segments * 1_000)
    assert sum(octets for _, octets in transfer.releases) == segments * 1_000
    return there.sent_ms, transfer.releases[-1][0] / SECOND


def test_three_segments_behind_a_hole_have_it_sent_again_at_once() -> None:
    again, end_s = sent(5, {(0, 0): None})
    assert again[5:] == [(0, 200)]
    assert end_s == 0.3


def test_a_receiver_drops_what_is_older_than_the_timestamp_it_has_taken() -> None:
    # The retransmission of 0 fills the hole; the first 4, sent before it, comes when its stamp is
    # too old (RFC 7323, 5.3), and its own repetition is lost: it takes another.
    told: dict[tuple[int, int], int | None] = {(0, 0): None, (4, 0): 900, (4, 1): None}
    _, end_s = sent(5, told)
    assert end_s > 0.95
    # Where nothing was sent again in between, 4 counts when it comes.
    _, end_s = sent(5, {(4, 0): 290})
    assert end_s == 0.29


def test_a_hole_that_fills_by_itself_undoes_the_recovery() -> None:
    there = Scripted({(0, 0): 250, (0, 1): 500})
    sender = TcpSender(there, Scripted(), 1_000)
    sender.sample_round_trip(0, 200 * MILLISECOND)
    sender.transfer(0, 10_000)
    assert there.statistics.spurious + there.statistics.retransmitted >= 1
    assert sender.window >= 10
    assert sender.slow_start_threshold == NEVER


def test_a_real_loss_costs_three_tenths_of_the_window() -> None:
    there = Scripted({(0, 0): None})
    sender = TcpSender(there, Scripted(), 1_000)
    sender.sample_round_trip(0, 200 * MILLISECOND)
    sender.transfer(0, 10_000)
    assert sender.slow_start_threshold == 7
    assert sender.window == 7


def recovering(window: int, count: int = 40) -> Recovery:
    sender = TcpSender(Scripted(), Scripted(), 1_000)
    sender.window = window
    one = Recovery(sender, count)
    one.next_new = window
    one.lost = 1
    one.enter_recovery()
    return one


def test_recovery_sends_seven_for_ten_that_are_delivered() -> None:
    # RFC 6937, 3.1: sndcnt = CEIL(prr_delivered * ssthresh / RecoverFS) - prr_out.
    one = recovering(20)
    threshold = one.sender.slow_start_threshold
    assert threshold == 20 * 717 // 1024 == 14
    for delivered in range(1, 11):
        one.acked |= 1 << delivered
        one.reduce_window(1, 0, advanced=False)
        one.prr_out += one.sender.window - one.out
        # What may go out goes out.
        one.next_new += one.sender.window - one.out
        assert one.prr_out == math.ceil(14 * delivered / 20)


def test_recovery_is_not_undone_while_what_it_sent_is_out() -> None:
    one = recovering(10)
    one.again = one.ever = 0b11
    one.lost = 0b11
    one.retransmitted_from_ns = 500
    # Segment 0 was overtaken: the echo is older than its retransmission. Segment 1 is still out.
    one.take(1_000, 0b1, echo_ns=100)
    assert not one.react(1_000, 100, 0, advanced=True)
    assert one.state == RECOVERY
    assert one.sender.slow_start_threshold == 7
    one.take(1_100, 0b10, echo_ns=100)
    one.react(1_100, 100, 0, advanced=True)
    assert one.state == OPEN
    assert one.sender.slow_start_threshold == NEVER
    assert one.sender.window == 10


def test_a_timeout_spares_what_was_sent_just_now() -> None:
    sender = TcpSender(Scripted(), Scripted(), 1_000)
    one = Recovery(sender, 10)
    one.next_new = 3
    one.sent_at[:3] = [0, 0, 950]
    one.rack_rtt_ns = 200
    one.enter_loss(1_000)
    assert one.lost == 0b011
    assert (one.state, sender.window) == (LOSS, 2)


LOSSY_AND_SLOW = LinkProfile.model_validate(
    {"name": "x", "description": "x", "sources": ()}
    | {way: {"latency": "1.6 s", "loss": "30 %"} for way in ("up", "down")}
)


def test_a_window_of_one_after_syns_that_were_not_repeated_in_vain() -> None:
    # Linux (tcp_init_transfer, RFC 6298 5.7): more than one repetition, and the answer echoes one.
    seen = set()
    for concentrator in range(300):
        identity = LinkIdentity(1, concentrator, "push")
        one = LinkModel(LOSSY_AND_SLOW, IN_NETEM_ORDER, identity, LinkStatistics("x"))
        one.connect(0)
        up = Path(path_rule(LOSSY_AND_SLOW.up, IN_NETEM_ORDER), DirectionStatistics())
        up.use_key(identity.key(0, 0, "up"))
        first_is_lost = up.enter(up.data, 0, 52, HANDSHAKE_KIND) is None
        # A round trip of 3.2 s: SYNs at 0, 1 and 3 s at least.
        assert one._senders["up"].window == (1 if first_is_lost else 10)
        seen.add(first_is_lost)
    assert seen == {True, False}


def test_one_repetition_costs_no_window() -> None:
    quick = LinkProfile.model_validate(
        {"name": "x", "description": "x", "sources": ()}
        | {way: {"latency": "600 ms", "loss": "0 %"} for way in ("up", "down")}
    )
    statistics = LinkStatistics("x")
    one = LinkModel(quick, IN_NETEM_ORDER, LinkIdentity(1, 1, "push"), statistics)
    assert one.connect(0).established_ns == 1.2 * SECOND
    assert statistics.syn_retransmitted == 1
    assert one._senders["up"].window == 10
    assert one._senders["up"].srtt_ns == pytest.approx(1.2 * SECOND)


@pytest.mark.parametrize("lossy", ["up", "down"])
def test_the_first_round_trip_is_counted_from_the_syn_that_got_there_first(lossy: str) -> None:
    ways = {
        way: {"latency": "300 ms", "loss": "40 %" if way == lossy else "0 %"}
        for way in ("up", "down")
    }
    link = LinkProfile.model_validate({"name": "x", "description": "x", "sources": ()} | ways)
    repeated = 0
    for concentrator in range(60):
        statistics = LinkStatistics("x")
        identity = LinkIdentity(1, concentrator, "push")
        one = LinkModel(link, IN_NETEM_ORDER, identity, statistics)
        established_ns = one.connect(0).established_ns
        repeated += statistics.syn_retransmitted > 0
        # All answers echo that SYN: where answers are lost, it is the first of all.
        expected_ns = 0.6 * SECOND if lossy == "up" else established_ns
        assert one._senders["up"].srtt_ns == pytest.approx(expected_ns)
    assert repeated > 10
