"""Rings: the newest octets of every link, written when something failed and at the end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import trio

from emulator.capture_rings import (
    NOTE_OCTETS,
    WANTED_FILE,
    Ends,
    Note,
    Ring,
    WantedCaptures,
    read_rings,
)
from emulator.fleet_config import Endpoint, FleetConfig, PushTimers
from protocols import pcapng
from protocols.dlms.plugin import DlmsPlugin
from tests.support.fleets import (
    Caller,
    FakeHeadEnd,
    Site,
    clock_at,
    confirms,
    facing,
    fleet_config,
    open_site,
)

RINGS = "captures/rings-0.bin"
ENDS = Ends(1, ("127.1.0.1", 50_000), ("127.0.0.1", 4_059))
OTHER = Ends(2, ("127.1.0.1", 50_001), ("127.0.0.1", 4_059))


def want(folder: Path, **changes: Any) -> None:
    wanted = WantedCaptures(**{"ring_octets": 16_384, "rings_octets": 1 << 20, **changes})
    (folder / WANTED_FILE).write_text(wanted.model_dump_json())


def note(at_ns: int, direction: str, size: int = 100, ends: Ends = ENDS) -> Note:
    return Note(at_ns, ends, direction, bytes(size))


async def refuses(caller: Caller) -> None:
    await caller.next_push()


def hasty(**changes: Any) -> FleetConfig:
    return fleet_config(timers=PushTimers(back_off_max_s=0.004), **changes)


async def pushed(folder: Path, *behaviours: Any, numbers: tuple[int, ...] = (0, 1)) -> Site:
    """Let concentrators push to a head-end that treats its first connections as told."""
    head_end = FakeHeadEnd(hasty(), [*behaviours])
    async with facing(folder, head_end) as site:
        for number in numbers:
            await site.shard.pushers.deliver(number)
    return site


def test_a_ring_keeps_the_newest_within_its_bound() -> None:
    ring = Ring(4 * (100 + NOTE_OCTETS))
    for at_ns in range(10):
        ring.note(note(at_ns, "up" if at_ns % 2 == 0 else "down"))
    assert [one.at_ns for one in ring.notes] == [6, 7, 8, 9]


def test_what_is_left_begins_where_a_message_may_begin() -> None:
    ring = Ring(4 * (100 + NOTE_OCTETS))
    for at_ns, direction in enumerate(("up", "down", "down", "down", "up", "down")):
        ring.note(note(at_ns, direction))
    # The first of the answer's parts had to go, and its other parts mean nothing without it.
    assert [one.at_ns for one in ring.notes] == [4, 5]


def test_another_connections_answer_is_no_part_of_this_one() -> None:
    ring = Ring(2 * (100 + NOTE_OCTETS))
    for at_ns, ends in enumerate((ENDS, ENDS, OTHER, OTHER)):
        ring.note(note(at_ns, "down", ends=ends))
    assert [one.at_ns for one in ring.notes] == [2, 3]


def test_what_is_larger_than_the_ring_leaves_it_empty() -> None:
    ring = Ring(1_000)
    ring.note(note(0, "up"))
    ring.note(note(1, "up", size=2_000))
    assert not ring.notes


async def test_a_push_that_was_refused_is_written_with_what_led_to_it(tmp_path: Path) -> None:
    want(tmp_path)
    site = await pushed(tmp_path, refuses, confirms)
    broken, sound, other = read_rings(tmp_path / RINGS)
    assert (broken.concentrator, broken.broken) == (0, True)
    assert [one.direction for one in broken.notes if one.octets] == ["up"]
    assert broken.notes[0].ends.near[0] == "127.1.0.1"
    # The repeated push was confirmed: that is kept too, but nothing was wrong with it.
    assert (sound.concentrator, sound.broken) == (0, False)
    assert [one.direction for one in sound.notes] == ["up", "down"]
    assert (other.concentrator, other.broken) == (1, False)
    assert site.counts["rings written"] == 3


async def test_an_outage_that_breaks_an_idle_connection_is_no_failure(tmp_path: Path) -> None:
    want(tmp_path)
    async with facing(tmp_path, FakeHeadEnd(fleet_config())) as site:
        await site.shard.pushers.deliver(0)
        site.shard.pushers.cut(0)
        assert site.counts["connections cut"] == 1
    (kept,) = read_rings(tmp_path / RINGS)
    assert (kept.concentrator, kept.broken) == (0, False)
    assert [one.direction for one in kept.notes] == ["up", "down"]


async def test_an_outage_in_the_middle_of_a_push_is_one(tmp_path: Path) -> None:
    want(tmp_path)

    async def is_cut_off(caller: Caller) -> None:
        await caller.next_push()
        site.shard.pushers.cut(0)

    async with facing(tmp_path, FakeHeadEnd(hasty(), [is_cut_off, confirms])) as site:
        await site.shard.pushers.deliver(0)
    broken, sound = read_rings(tmp_path / RINGS)
    assert (broken.broken, sound.broken) == (True, False)


async def test_what_crossed_before_no_connection_could_be_had_is_kept(tmp_path: Path) -> None:
    want(tmp_path)
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    config = hasty(head_ends=(Endpoint(host="127.0.0.1", port=port),))
    clock = clock_at(config, 0.5)
    async with open_site(tmp_path, config, clock) as site:
        async with trio.open_nursery() as serving:
            await serving.start(FakeHeadEnd(config).serve, listener)
            await site.shard.pushers.deliver(0)
            await site.shard.pushers.close()
            serving.cancel_scope.cancel()
        clock.start(time.monotonic(), config.first_s + 1.5 * config.behaviour.step_s, 1e-6)
        async with trio.open_nursery() as pushing:
            pushing.start_soon(site.shard.pushers.deliver, 0)
            while not site.counts.get("push.failed: connection refused"):
                await trio.lowlevel.checkpoint()
            pushing.cancel_scope.cancel()
    (kept,) = read_rings(tmp_path / RINGS)
    assert (kept.concentrator, kept.broken) == (0, True)
    assert [one.direction for one in kept.notes] == ["up", "down"]


async def test_octets_are_those_that_crossed(tmp_path: Path) -> None:
    want(tmp_path)
    await pushed(tmp_path, numbers=(0,))
    (kept,) = read_rings(tmp_path / RINGS)
    for one in kept.notes:
        assert DlmsPlugin().packet_reader().feed(one.octets) == [one.octets]


async def test_one_that_fails_all_day_does_not_fill_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emulator.capture_rings.BROKEN_OCTETS_MAX", 1_500)
    want(tmp_path)
    site = await pushed(tmp_path, *[refuses] * 8, confirms, numbers=(0,))
    broken = [kept for kept in read_rings(tmp_path / RINGS) if kept.broken]
    assert 0 < len(broken) < 8
    left = site.counts["broken connections not captured: there is no room"]
    assert len(broken) + left == 8


async def test_who_comes_when_all_is_used_up_has_no_ring(tmp_path: Path) -> None:
    want(tmp_path, rings_octets=16_384)
    site = await pushed(tmp_path)
    assert [kept.concentrator for kept in read_rings(tmp_path / RINGS)] == [0]
    assert site.counts["connections without a ring"] == 1


async def test_those_captured_anyway_have_none(tmp_path: Path) -> None:
    want(tmp_path, numbers=(1,))
    await pushed(tmp_path)
    assert [kept.concentrator for kept in read_rings(tmp_path / RINGS)] == [0]
    packets = pcapng.read((tmp_path / "captures/fleet-0.pcapng").read_bytes())
    assert {packet.source[0] for packet in packets[::2]} == {"127.1.0.2"}


async def test_everybody_can_be_captured(tmp_path: Path) -> None:
    want(tmp_path, everybody=True)
    await pushed(tmp_path)
    packets = pcapng.read((tmp_path / "captures/fleet-0.pcapng").read_bytes())
    assert [packet.source[0] for packet in packets[::2]] == ["127.1.0.1", "127.1.0.2"]
    assert not (tmp_path / RINGS).exists()


async def test_without_a_word_nothing_is_kept(tmp_path: Path) -> None:
    await pushed(tmp_path, refuses, confirms)
    assert not (tmp_path / "captures").exists()


async def test_a_ring_that_cannot_be_written_disturbs_nobody(tmp_path: Path) -> None:
    want(tmp_path)
    (tmp_path / "captures").write_text("no folder")
    site = await pushed(tmp_path)
    assert site.counts["rings not written"] == 2


async def test_a_file_that_is_cut_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    want(tmp_path)
    await pushed(tmp_path)
    file = tmp_path / RINGS
    file.write_bytes(file.read_bytes()[:-5])
    assert [kept.concentrator for kept in read_rings(file)] == [0]
