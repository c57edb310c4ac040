"""What is captured of a fleet: the messages that crossed the chosen links, and no others."""

from __future__ import annotations

from pathlib import Path

from emulator.capturing import Captures
from emulator.dialects import Dialects
from emulator.fleet_config import Capture
from emulator.grid import generate_grid
from emulator.tally import Tally
from protocols import pcapng
from protocols.dlms.plugin import DlmsPlugin
from tests.support.fleets import FakeHeadEnd, facing, fleet_config
from tests.support.grids import behaviour, small_grid

FILE = "captures/fleet-0.pcapng"


async def captured(folder: Path, capture: Capture) -> tuple[list[pcapng.Packet], dict[str, int]]:
    """Let two concentrators push; return what was captured of it, and the counts."""
    head_end = FakeHeadEnd(fleet_config(capture=capture))
    async with facing(folder, head_end) as site:
        for number in (0, 1):
            await site.shard.pushers.deliver(number)
        counts = dict(site.counts)
    return pcapng.read((folder / FILE).read_bytes()), counts


async def test_the_messages_of_chosen_concentrators_are_kept(tmp_path: Path) -> None:
    packets, counts = await captured(tmp_path, Capture(concentrators=1))
    push, confirmation = packets
    assert push.source == confirmation.destination
    assert push.source[0] == "127.1.0.1"
    assert push.destination == confirmation.source
    assert push.at_ns <= confirmation.at_ns
    for packet in packets:
        assert packet.dissector_port == DlmsPlugin.captured_port
        assert DlmsPlugin().packet_reader().feed(packet.octets) == [packet.octets]
    assert counts["packets captured"] == 2


async def test_a_full_capture_says_how_much_it_lacks(tmp_path: Path) -> None:
    packets, counts = await captured(tmp_path, Capture(concentrators=2, octets_max=900))
    assert counts["packets captured"] == len(packets)
    assert counts["packets not captured: the file is full"] == 4 - len(packets) > 0
    assert (tmp_path / FILE).stat().st_size <= 900


def note_one(captures: Captures, size: int) -> None:
    near, far = ("127.0.0.1", 1), ("127.0.0.2", 2)
    captures.note(pcapng.Packet(0, near, far, 1153, bytes(size)))


def captures_in(folder: Path, tally: Tally, octets_max: int = 100_000) -> Captures:
    dialects = Dialects(fleet_config(), generate_grid(small_grid(2), behaviour(4), 1))
    return Captures(folder / FILE, Capture(concentrators=1, octets_max=octets_max), dialects, tally)


def test_nothing_follows_on_what_found_no_room(tmp_path: Path) -> None:
    tally = Tally()
    captures = captures_in(tmp_path, tally, 600)
    for size in (1, 1_000, 1):
        note_one(captures, size)
    captures.close()
    assert [len(it.octets) for it in pcapng.read((tmp_path / FILE).read_bytes())] == [1]
    assert tally.counts["packets not captured: the file is full"] == 2


def test_a_capture_that_cannot_be_written_disturbs_nobody(tmp_path: Path) -> None:
    tally = Tally()
    captures = captures_in(tmp_path, tally)
    note_one(captures, 1)
    captures.close()
    with Path("/dev/full").open("wb", buffering=0) as full:
        captures._file = full
        for _ in range(2):
            note_one(captures, 1)
    assert tally.counts["packets captured"] == 1
    assert tally.counts["packets not captured: the file cannot be written"] == 1
    assert tally.counts["packets not captured: the file is full"] == 1


async def test_octets_without_framing_are_kept_and_marked(tmp_path: Path) -> None:
    async def babbles(caller: object) -> None:
        stream = caller.stream  # type: ignore[attr-defined]
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n")
        await stream.receive_some()

    head_end = FakeHeadEnd(fleet_config(capture=Capture(concentrators=1)), [babbles])
    async with facing(tmp_path, head_end) as site:
        await site.shard.pushers.deliver(0)
    packets = pcapng.read((tmp_path / FILE).read_bytes())
    (odd,) = [packet for packet in packets if packet.comment]
    assert odd.octets.startswith(b"HTTP/1.1")
    assert "framing" in odd.comment


async def test_nothing_is_captured_unless_asked_for(tmp_path: Path) -> None:
    async with facing(tmp_path, FakeHeadEnd(fleet_config())) as site:
        await site.shard.pushers.deliver(0)
    assert not (tmp_path / FILE).exists()
