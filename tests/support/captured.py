"""Exchanges of a recorded run that never ran: what its concentrators would have said, captured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from emulator.capture_rings import Ends, Note
from emulator.dialects import Dialects
from emulator.identity import concentrator_name, meter_names
from emulator.keys import key_ring, with_members
from harness.headend.registry import Registry
from harness.provisioning import Provisioning
from protocols import pcapng
from protocols.plugin import Received
from protocols.readings import ReadingBatch
from tests.support.concentrator_model import MemoryCounters
from tests.support.push_fleet import ClockCounters
from tests.support.recorded_run import OFFSET_S, START_S, RecordedFolder

HEAD_END: Final = ("127.0.0.1", 40_000)
CLEAR_OF_REGISTRATIONS: Final[dict[str, Any]] = {"register_nodes": False, "unregistered": "accept"}
"""The ``[c12]`` of a run whose nodes push without having registered."""


class AllNodes:
    """A registration table that knows everybody."""

    def is_registered(self, title: bytes) -> bool:
        return True

    def admits(self, count: int) -> int:
        return count

    def address_of(self, title: bytes) -> bytes | None:
        return None


def readings_of(run: RecordedFolder, number: int, interval: int) -> ReadingBatch:
    """Return what the meters of a concentrator registered at an interval."""
    members = run.prepared.grid.meters_of(number)
    meters = np.array(members)
    values, status = run.prepared.truth.registers(meters, np.full(len(meters), interval))
    captured_at = run.prepared.schedule.plan.captured_at(np.full(len(meters), interval))
    names = meter_names(members.start, members.stop)
    return ReadingBatch(concentrator_name(number), names, captured_at, status, values)


def at_ns(run: RecordedFolder, interval: int, after_s: float = 0.01) -> int:
    """Return a moment after an interval's step opened, POSIX nanoseconds."""
    return int((START_S + OFFSET_S + interval * run.step_s + after_s) * 1e9)


def exchange(
    run: RecordedFolder, readings: ReadingBatch, number: int, *, when_ns: int, answered: bool = True
) -> list[Note]:
    """Return what crosses the link when a concentrator pushes readings, and is answered or not."""
    fleet, grid = run.prepared.fleet, run.prepared.grid
    plugin = Dialects(fleet, grid).plugin(number)
    options = Dialects(fleet, grid).options(number)
    known = Provisioning.load(run.prepared.provisioning)
    record = known.concentrators[number]
    members = grid.meters_of(number)
    shared = with_members(
        key_ring(fleet.seed, None),
        plugin,
        concentrator_name(number),
        meter_names(members.start, members.stop),
    )
    pusher = plugin.push_session(shared, ClockCounters(), options)
    pusher.connected(now=0.0)
    pusher.push(readings, 1, now=0.0)
    ends = Ends(1, (record.address, 50_000 + number), HEAD_END)
    notes = [Note(when_ns, ends, "up", pusher.data_to_send())]
    if answered:
        title = plugin.title_of(b"MSH0000000000001")
        head_end = plugin.receive_session(
            Registry(known).credentials, title, MemoryCounters(), options, AllNodes()
        )
        for item in head_end.receive_data(notes[0].octets):
            assert isinstance(item, Received), item
            octets = head_end.data_to_send() + head_end.confirm(item)
            notes.append(Note(when_ns + 5_000_000, ends, "down", octets))
    return notes


def write_capture(run: RecordedFolder, notes: Sequence[Note], number: int) -> None:
    """Write what crossed a concentrator's link as the capture of shard 0."""
    # Here, because harness.check can be imported only after harness.run, which imports it.
    from emulator.capture_rings import Kept
    from harness.explain.captures import framed

    dialects = Dialects(run.prepared.fleet, run.prepared.grid)
    packets = framed(Kept(number, False, tuple(notes)), dialects)
    folder = run.path / "captures"
    folder.mkdir(exist_ok=True)
    octets = b"".join(map(pcapng.packet, packets))
    (folder / "fleet-0.pcapng").write_bytes(pcapng.section() + octets)
