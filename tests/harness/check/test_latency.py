"""Latency counts from the intended moment: the known answer of a server that stood still.

A hundred requests a second for 20 s; the server stands still from 5 s to 11 s and otherwise takes a
millisecond. The figures are those of facts/ux.md 4, where wrk2's and Locust's ways were compared.
"""

from __future__ import annotations

import pytest
import trio
import trio.testing

from emulator.tally import Tally
from harness.histograms import recorded
from reports.recording import latencies_at

RATE, LASTS_S = 100, 20.0
FROZEN_S = (5.0, 11.0)
SERVICE_S = 0.001
PERCENTS = (75.0, 90.0, 99.0, 99.9)


async def serve(since_s: float) -> None:
    """Answer one request, as a server that stands still for a while."""
    now_s = trio.current_time() - since_s
    if FROZEN_S[0] <= now_s < FROZEN_S[1]:
        await trio.sleep(FROZEN_S[1] - now_s)
    await trio.sleep(SERVICE_S)


async def open_loop(tally: Tally) -> int:
    """Send when the plan says, as our fleet does; return how many requests were sent."""
    since_s = trio.current_time()

    async def request(intended_s: float) -> None:
        await serve(since_s)
        tally.answered("push", "lte", trio.current_time() - intended_s, 1)

    async with trio.open_nursery() as nursery:
        for number in range(int(RATE * LASTS_S)):
            intended_s = since_s + number / RATE
            await trio.sleep_until(intended_s)
            nursery.start_soon(request, intended_s)
    return tally.counts["push.answered"]


async def closed_loop(tally: Tally) -> int:
    """Wait for each answer before the next request, counting from when it was sent."""
    since_s = trio.current_time()
    while (sent_s := trio.current_time()) < since_s + LASTS_S:
        await serve(since_s)
        tally.answered("push", "lte", trio.current_time() - sent_s, 1)
        # Paced by each user for itself: an answer that came late delays what follows.
        await trio.sleep(max(0.0, sent_s + 1 / RATE - trio.current_time()))
    return tally.counts["push.answered"]


def percentiles_ms(tally: Tally) -> list[float]:
    (part,) = tally.histograms()
    return [1000 * at_s for at_s in latencies_at(recorded(part["histogram"]), PERCENTS)]


async def test_counted_from_the_intended_moment_nothing_is_hidden(
    autojump_clock: trio.testing.MockClock,
) -> None:
    tally = Tally()
    assert await open_loop(tally) == 2_000
    assert percentiles_ms(tally) == pytest.approx([1_002, 4_002, 5_804, 5_984], rel=2e-3)


async def test_a_closed_loop_would_have_seen_nothing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    tally = Tally()
    assert await closed_loop(tally) == pytest.approx(1_402, abs=2)
    assert percentiles_ms(tally)[:3] == pytest.approx([1, 1, 1], rel=2e-3)
