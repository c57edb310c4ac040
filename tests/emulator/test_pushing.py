"""Pushing over real sockets to a head-end that does what a test tells it to."""

from __future__ import annotations

import socket
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trio
import trio.testing

from emulator import pushing
from emulator.clock import ScenarioClock
from emulator.delivery_record import Mark
from emulator.dialling import back_off_s
from emulator.fleet_config import Endpoint, OutageSpan, PushTimers
from emulator.identity import concentrator_address, meter_name
from emulator.readings import Truth
from netem.shaper import ShapedStream
from tests.support.fleets import (
    Behaviour,
    Caller,
    FakeHeadEnd,
    bits,
    clock_at,
    confirms,
    facing,
    fleet_config,
    grid_of,
    meters_at,
    open_site,
    plan_of,
)

RESET = struct.pack("ii", 1, 0)
HASTY = PushTimers(confirmation_s=0.5, back_off_min_s=0.002, back_off_max_s=0.004)


async def silent(caller: Caller) -> None:
    while await caller.next_push() is not None:
        pass


async def resets_unread(caller: Caller) -> None:
    caller.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    caller.stream.socket.close()


async def resets_when_it_came(caller: Caller) -> None:
    await caller.next_push()
    await resets_unread(caller)


async def closes_when_it_came(caller: Caller) -> None:
    await caller.next_push()


async def talks_nonsense(caller: Caller) -> None:
    await caller.next_push()
    await caller.stream.send_all(b"\xff" * 40)
    await silent(caller)


async def test_a_push_is_marked_sent_then_acknowledged_and_holds_the_truth(tmp_path: Path) -> None:
    config = fleet_config()
    head_end = FakeHeadEnd(config)
    async with facing(tmp_path, head_end) as site:
        await site.shard.pushers.deliver(1)
        meters = meters_at(config, 1)
        assert site.marked(Mark.SENT) == site.marked(Mark.ACKNOWLEDGED) == bits(config, meters)
        truth = Truth(grid_of(config), config.behaviour, config.first_s, config.seed)
        values, _ = truth.registers(np.array(meters), 0)
        assert head_end.readings == [
            (meter_name(meter), config.first_s, tuple(row))
            for meter, row in zip(meters, values.tolist(), strict=True)
        ]
        assert head_end.callers == [concentrator_address(1)]
        assert site.counts["readings pushed"] == len(meters)
        assert site.counts["push.answered"] == 1


async def test_a_connection_is_kept_from_push_to_push(tmp_path: Path) -> None:
    config = fleet_config(rows_per_push=2)
    head_end = FakeHeadEnd(config)
    clock = clock_at(config, 0.5)
    async with facing(tmp_path, head_end, clock) as site:
        await site.shard.pushers.deliver(0)
        clock.start(time.monotonic(), config.first_s + 1.5 * config.behaviour.step_s, 1e-6)
        await site.shard.pushers.deliver(0)
        assert head_end.connections == 1
        assert len(head_end.readings) == 2 * len(meters_at(config, 0))
        assert max(len(push.readings) for push in head_end.arrived) <= 2


async def test_marked_sent_before_the_first_octet_leaves(tmp_path: Path) -> None:
    config = fleet_config()
    seen: list[list[bool]] = []

    async def looks(caller: Caller) -> None:
        push = await caller.next_push()
        seen.append(site.marked(Mark.SENT))
        seen.append(site.marked(Mark.ACKNOWLEDGED))
        assert push is not None
        await caller.confirm(push)

    async with facing(tmp_path, FakeHeadEnd(config, [looks])) as site:
        await site.shard.pushers.deliver(0)
    assert seen == [bits(config, meters_at(config, 0)), bits(config, [])]


@pytest.mark.parametrize(
    ("behaviour", "causes"),
    [
        (silent, {"no confirmation in time"}),
        (resets_when_it_came, {"connection broken"}),
        (closes_when_it_came, {"closed by the head-end"}),
        (talks_nonsense, {"no confirmation in time"}),
        # Whether the push or its answer meets the reset first is up to the kernel.
        (resets_unread, {"connection broken", "closed by the head-end"}),
    ],
)
async def test_a_push_that_failed_is_pushed_again_over_a_new_connection(
    tmp_path: Path, behaviour: Behaviour, causes: set[str]
) -> None:
    config = fleet_config(timers=HASTY)
    head_end = FakeHeadEnd(config, [behaviour])
    async with facing(tmp_path, head_end) as site:
        await site.shard.pushers.deliver(0)
        assert head_end.connections == 2
        assert site.marked(Mark.ACKNOWLEDGED) == bits(config, meters_at(config, 0))
        assert site.counts["push.answered"] == site.counts["push.failed"] == 1
        assert any(f"push.failed: {cause}" in site.counts for cause in causes)
        counters = [counter for push in head_end.arrived for counter in push.counters.values()]
        assert len(set(counters)) == len(counters)  # ciphered anew


async def test_what_the_head_end_garbles_is_counted(tmp_path: Path) -> None:
    config = fleet_config(timers=HASTY)
    async with facing(tmp_path, FakeHeadEnd(config, [talks_nonsense])) as site:
        await site.shard.pushers.deliver(0)
        assert [name for name in site.counts if name.startswith("push.refused: ")]


async def test_the_confirmation_of_another_push_is_none(tmp_path: Path) -> None:
    """The head-end repeats its confirmation of the first push for the second."""
    config = fleet_config(rows_per_push=1, timers=HASTY)

    async def repeats(caller: Caller) -> None:
        first = await caller.next_push()
        assert first is not None
        octets = caller.session.confirm(first)
        await caller.stream.send_all(octets)
        await caller.next_push()
        await caller.stream.send_all(octets)
        await silent(caller)

    async with facing(tmp_path, FakeHeadEnd(config, [repeats])) as site:
        await site.shard.pushers.deliver(0)
        assert site.counts["push.failed: no confirmation in time"] == 1
        assert site.counts["push.refused: replayed"] == 1
        assert site.marked(Mark.ACKNOWLEDGED) == bits(config, meters_at(config, 0))


async def test_refused_until_the_head_end_is_there(tmp_path: Path) -> None:
    bound = socket.socket()
    bound.setblocking(False)
    bound.bind(("127.0.0.1", 0))
    endpoint = Endpoint(host="127.0.0.1", port=bound.getsockname()[1])
    config = fleet_config(head_ends=(endpoint,))
    head_end = FakeHeadEnd(config)
    async with open_site(tmp_path, config) as site, trio.open_nursery() as serving:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(site.shard.pushers.deliver, 0)
            while site.counts.get("push.failed: connection refused", 0) < 3:
                await trio.lowlevel.checkpoint()
            assert site.marked(Mark.SENT) == bits(config, [])
            bound.listen()
            listener = trio.SocketListener(trio.socket.from_stdlib_socket(bound))
            await serving.start(head_end.serve, listener)
        assert site.marked(Mark.ACKNOWLEDGED) == bits(config, meters_at(config, 0))
        serving.cancel_scope.cancel()


async def test_unconfirmed_pushes_are_done_when_they_are_sent(tmp_path: Path) -> None:
    config = fleet_config(confirmed=False)
    got = trio.Event()

    async def takes(caller: Caller) -> None:
        await caller.next_push()
        got.set()
        await silent(caller)

    head_end = FakeHeadEnd(config, [takes])
    async with facing(tmp_path, head_end) as site:
        await site.shard.pushers.deliver(0)
        await got.wait()
        assert site.marked(Mark.SENT) == bits(config, meters_at(config, 0))
        assert site.marked(Mark.ACKNOWLEDGED) == bits(config, [])


async def test_an_outage_breaks_the_push_under_way_and_it_recovers_afterwards(
    tmp_path: Path,
) -> None:
    step_s = 900.0
    span = OutageSpan(number=0, starts_s=600, lasts_s=step_s, share_ppm=1_000_000)
    config = fleet_config(outages=(span,), stations=1)
    clock = clock_at(config, 0.5)

    async def meets_the_outage(caller: Caller) -> None:
        push = await caller.next_push()
        assert push is not None
        clock.start(time.monotonic(), config.first_s + 650.0, 1e-6)
        site.shard.pushers.cut(0)
        assert await caller.next_push() is None

    head_end = FakeHeadEnd(config, [meets_the_outage])
    async with facing(tmp_path, head_end, clock) as site:
        await site.shard.pushers.deliver(0)
        assert site.counts["connections cut"] == 1
        assert site.marked(Mark.ACKNOWLEDGED) == bits(config, [])
        await site.shard.pushers.deliver(0)  # still cut off: nothing happens
        assert head_end.connections == 1
        clock.start(time.monotonic(), config.first_s + 1600.0, 1e-6)
        await site.shard.pushers.deliver(0)
        everybody = bits(config, meters_at(config, 0))
        assert site.marked(Mark.ACKNOWLEDGED, 0) == everybody
        assert site.marked(Mark.ACKNOWLEDGED, 1) == everybody
        # Due only at step 2, pushed ahead of it: no latency is negative.
        (batch,) = site.shard.tally.take_batches()
        assert min(batch["milliseconds"]) >= 0


async def test_an_outage_that_begins_while_dialling_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    span = OutageSpan(number=0, starts_s=600, lasts_s=900, share_ppm=1_000_000)
    config = fleet_config(outages=(span,), stations=1)
    clock = clock_at(config, 0.5)
    head_end = FakeHeadEnd(config)
    async with facing(tmp_path, head_end, clock) as site:
        dial = site.shard.links.connect

        async def dial_until_the_outage(*args: Any) -> ShapedStream:
            stream = await dial(*args)
            clock.start(time.monotonic(), config.first_s + 650.0, 1e-6)
            return stream

        monkeypatch.setattr(site.shard.links, "connect", dial_until_the_outage)
        await site.shard.pushers.deliver(0)
        assert site.counts["push.failed: cut off while dialling"] == 1
        assert site.marked(Mark.SENT) == bits(config, [])
    assert head_end.arrived == []


async def test_a_window_that_closes_lets_the_push_finish_and_ends_the_connection(
    tmp_path: Path,
) -> None:
    bad = {"name": "bad", "share": "100 %", "reachable": "25 %", "windows_per_day": 24}
    config = fleet_config(steps=96, behaviour={"concentrators": [bad]}, stations=1)
    plan = plan_of(config)
    is_open = [bool(plan.concentrator_reachable(np.array([0]), step)[0]) for step in range(96)]
    closes = next(step for step in range(1, 96) if is_open[step - 1] and not is_open[step])
    clock = clock_at(config, closes - 0.5)
    ended = trio.Event()

    async def is_slow(caller: Caller) -> None:
        push = await caller.next_push()
        assert push is not None
        clock.start(time.monotonic(), config.first_s + (closes + 0.5) * 900, 1e-6)
        await caller.confirm(push)
        assert await caller.next_push() is None
        ended.set()

    async with facing(tmp_path, FakeHeadEnd(config, [is_slow]), clock) as site:
        await site.shard.pushers.deliver(0)
        await ended.wait()
        assert site.marked(Mark.ACKNOWLEDGED, closes - 1) == bits(config, meters_at(config, 0))
        assert site.marked(Mark.SENT, closes) == bits(config, [])
        assert site.counts["connections closed"] == 1


async def test_the_silenced_do_not_push(tmp_path: Path) -> None:
    config = fleet_config()
    head_end = FakeHeadEnd(config)
    async with facing(tmp_path, head_end) as site:
        site.shard.concentrators.end(range(1))
        await site.shard.pushers.deliver(0)
        await site.shard.pushers.deliver(1)
        assert site.marked(Mark.SENT) == bits(config, meters_at(config, 1))


async def test_the_plan_is_followed_to_its_end(tmp_path: Path) -> None:
    config = fleet_config(steps=3)
    head_end = FakeHeadEnd(config)
    clock = ScenarioClock(time.monotonic(), config.first_s - 90.0, 9_000.0)
    async with facing(tmp_path, head_end, clock) as site:
        await site.shard.pushers.run()
        assert clock.now_s() >= config.first_s + 3 * 900
        assert len(head_end.readings) == len(set(head_end.readings)) == 3 * grid_of(config).meters
        assert site.record.total(Mark.ACKNOWLEDGED) == 3 * grid_of(config).meters
        assert 0 < site.shard.tally.lag_s_max < 1
        assert site.shard.pushers.delivering == 0


async def test_latency_counts_from_when_the_reading_was_due(tmp_path: Path) -> None:
    """Begun half a step (of 0.2 s) late: the answer comes at once, the latency shows the wait."""
    config = fleet_config(steps=1, stations=1, behaviour={"spread": "0 %"})
    clock = ScenarioClock(time.monotonic(), config.first_s + 450.0, 4_500.0)
    async with facing(tmp_path, FakeHeadEnd(config), clock) as site:
        await site.shard.pushers.deliver(0)
        (batch,) = site.shard.tally.take_batches()
        assert min(batch["milliseconds"]) >= 100


async def test_who_begins_late_catches_up_at_once(tmp_path: Path) -> None:
    config = fleet_config(behaviour={"spread": "0 %"})
    arrived = trio.Event()

    async def tells(caller: Caller) -> None:
        push = await caller.next_push()
        assert push is not None
        await caller.confirm(push)
        arrived.set()
        await confirms(caller)

    async with facing(tmp_path, FakeHeadEnd(config, [tells])) as site:
        site.shard.concentrators.end(site.shard.concentrators.numbers)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(site.shard.pushers.run)
            while site.shard.tally.lag_s_max == 0:  # the plan has passed them by
                await trio.lowlevel.checkpoint()
            site.shard.begin(0)
            await arrived.wait()
            nursery.cancel_scope.cancel()


async def test_deliveries_after_an_outage_belong_to_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outage of the last step but one ends; the run is through only when all are back."""
    monkeypatch.setattr(pushing, "RECOVERY_SPREAD_S", 0.01)
    span = OutageSpan(number=0, starts_s=0, lasts_s=450, share_ppm=1_000_000)
    config = fleet_config(outages=(span,), steps=1)
    head_end = FakeHeadEnd(config)
    clock = clock_at(config, 0.25)
    async with facing(tmp_path, head_end, clock) as site:
        pushers = site.shard.pushers
        await pushers.recover([0, 1, 2])  # nothing is running that they could belong to
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pushers.run)
            await trio.testing.wait_all_tasks_blocked()
            assert head_end.connections == 0
            clock.start(time.monotonic(), config.first_s + 451.0, 9_000.0)
            await pushers.recover([0, 1, 2])
            while len(head_end.readings) < grid_of(config).meters:
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()


async def test_the_plan_does_not_hasten_a_recovery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else all that the plan has due would come back at once, however long the spread is."""
    monkeypatch.setattr(pushing, "RECOVERY_SPREAD_S", 3600.0)
    config = fleet_config(outages=(), steps=1)
    head_end = FakeHeadEnd(config)
    async with facing(tmp_path, head_end, clock_at(config, 0.25)) as site:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(site.shard.pushers.run)
            nursery.start_soon(site.shard.pushers.recover, [0, 1, 2])
            await trio.testing.wait_all_tasks_blocked()
            await site.shard.pushers.deliver(0)
            assert head_end.connections == 0
            nursery.cancel_scope.cancel()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(site.shard.pushers.deliver, 0)
            while not head_end.connections:
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()


def test_back_off_doubles_is_bounded_and_is_the_same_in_every_run() -> None:
    timers = PushTimers(confirmation_s=1, back_off_min_s=0.5, back_off_max_s=15)
    drawn = [
        [back_off_s(timers, key, 1, 3, attempt) for attempt in range(300)] for key in (7, 7, 8)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    for attempt, pause_s in enumerate(drawn[0]):
        longest_s = min(15, 0.5 * 2**attempt)
        assert longest_s / 2 <= pause_s <= longest_s
    assert back_off_s(timers, 7, 2, 3, 0) != drawn[0][0] != back_off_s(timers, 7, 1, 4, 0)
