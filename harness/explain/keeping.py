"""After the verdict: the rings that matter become a capture, the others go.

A fleet shard ends before the ledger speaks, so it leaves the rings of all its concentrators. Kept
are those of connections that broke, whatever the verdict, and where it is not *passed* those of
concentrators whose readings the ledger finds lost, wrong, late or kept twice, and a few drawn from
the seed, to see what a sound exchange looks like.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from emulator.capture_rings import Kept, read_rings
from emulator.capturing import FOLDER
from emulator.dialects import Dialects
from emulator.identity import concentrator_name
from harness.check.recorded import RecordedRun
from harness.check.stores import open_stores
from harness.explain.captures import KEPT_FILE, framed
from harness.explain.readings import conflicting, trace
from harness.store.errors import StoreError
from netem.draws import mix, stream_key
from protocols import pcapng
from protocols.errors import ProtocolError
from reports.recording import Verdict

SAMPLE: Final = 3
KEPT_CONCENTRATORS_MAX: Final = 100
"""Of each fate: a head-end that loses everything need not be shown ten thousand times."""
KEPT_OCTETS_MAX: Final = 64 * 1024 * 1024
FATES: Final = ("lost_acknowledged", "lost", "wrong", "duplicated", "invented", "late")


def keep_captures(path: Path, verdict: Verdict) -> Path | None:
    """Sort the rings of a run that has ended; return the capture of those kept, if any.

    The rings are removed. One that cannot be read is left where it is.

    Raises:
        OSError: the folder cannot be read or written.
    """
    files = sorted((path / FOLDER).glob("rings-*.bin"))
    if not files:
        return None
    run = RecordedRun.open(path)
    numbers = frozenset[int]() if verdict.verdict == "passed" else _concerned(run, verdict)
    dialects, packets = Dialects(run.fleet, run.grid), list[pcapng.Packet]()
    for file in files:
        for kept in _read(file):
            if kept.broken or kept.concentrator in numbers:
                packets += framed(kept, dialects, _comment(kept))
        file.unlink()
    return _write(path / FOLDER / KEPT_FILE, packets)


def _read(file: Path) -> Iterator[Kept]:
    try:
        yield from read_rings(file)
    except ProtocolError:
        # A shard that was killed leaves its last ring half written.
        return


def _comment(kept: Kept) -> str:
    name = concentrator_name(kept.concentrator).decode()
    return f"{name}, before its connection broke" if kept.broken else name


def _write(file: Path, packets: list[pcapng.Packet]) -> Path | None:
    if not packets:
        if not any(file.parent.iterdir()):
            file.parent.rmdir()
        return None
    packets.sort(key=lambda packet: packet.at_ns)
    room = KEPT_OCTETS_MAX
    with file.open("wb") as out:
        out.write(pcapng.section())
        for packet in packets:
            octets = pcapng.packet(packet)
            room -= len(octets)
            if room < 0:
                break
            out.write(octets)
    return file


def _concerned(run: RecordedRun, verdict: Verdict) -> frozenset[int]:
    """Return the concentrators of failed readings, and a few that the seed draws."""
    everybody = np.arange(run.grid.concentrators)
    order = np.argsort(mix(stream_key(run.scenario.seed, "captures kept"), everybody))
    found = set(order[:SAMPLE].tolist())
    try:
        with open_stores(run) as reader:
            for fate in FATES:
                if getattr(verdict.readings, fate):
                    concerned, _ = trace(run, reader, fate, 0)
                    found.update([*concerned.by_concentrator][:KEPT_CONCENTRATORS_MAX])
            if verdict.readings.conflicts:
                concerned = conflicting(run, reader, 0)
                found.update([*concerned.by_concentrator][:KEPT_CONCENTRATORS_MAX])
    except StoreError:
        # Without the store nobody knows whose readings failed: the sample has to do.
        pass
    return frozenset(found)
