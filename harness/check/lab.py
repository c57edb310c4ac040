"""What the counters of a lab say against a run: packets lost where no link lost them.

And whatever else made links other than they were set, such as an emulator that could not keep up.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from netem.lab import FAULTS
from reports.recording import LabRecord, LabSample
from reports.text import counted

TRACKED: Final = {
    "drop": ("packet", "dropped"),
    "early_drop": ("connection", "forgotten early"),
    "insert_failed": ("connection", "not entered"),
}
SUM: Final = re.compile("connection tracking of this machine dropped ([0-9,]+) packets?")
"""How the run itself words the sum of what the machine's connection tracking dropped."""


def lab_doubts(record: LabRecord | None, told: Sequence[str] = ()) -> list[str]:
    """Return why a run over these links proves nothing: what was lost elsewhere than on a link.

    ``told``: the doubts that there are already. Connection tracking whose sum is one of them is the
    machine's own, and not told once more.
    """
    if record is None or not record.samples:
        return []
    first, last = record.samples[0], record.samples[-1]
    doubts = list(_tracking(first, last, told))
    overflowed = sum(link.overflowed or 0 for link in last.links)
    if overflowed:
        whose = "its" if overflowed == 1 else "their"
        doubts.append(f"{counted(overflowed, 'packet')} found the queue of {whose} link full")
    if last.unclassified:
        verb = "was" if last.unclassified == 1 else "were"
        doubts.append(f"{counted(last.unclassified, 'packet')} {verb} of no link class")
    doubts += [
        f"the links of the {record.tier} tier were not what they were set to: "
        f"{fault.count:,} {FAULTS.get(fault.fault, fault.fault)}"
        for fault in last.faults
        if fault.count
    ]
    return doubts


def lab_notes(record: LabRecord | None) -> list[str]:
    """Return what a reader should know of the links: what the tier could not do, and full queues.

    Accept queues that overflow are the head-end's own limit, and so no reason to doubt the run.
    """
    if record is None:
        return []
    notes = list(record.notes)
    if record.samples:
        first, last = record.samples[0], record.samples[-1]
        before = {count.side: count for count in first.listening}
        for count in last.listening:
            earlier = before.get(count.side)
            refused = count.drops - (earlier.drops if earlier else 0)
            if refused > 0:
                notes.append(
                    f"{counted(refused, 'connection')} met a full accept queue on the "
                    f"{count.side} side."
                )
    return notes


def loss_counted(record: LabRecord | None) -> dict[tuple[int, str], float]:
    """Return the share of packets that each class has lost in each direction, as it counted."""
    if record is None or not record.samples:
        return {}
    return {
        (link.category, link.direction): link.lost / (link.packets + link.lost)
        for link in record.samples[-1].links
        if link.lost is not None and link.packets + link.lost
    }


def _tracking(first: LabSample, last: LabSample, told: Sequence[str]) -> Iterator[str]:
    before = {count.side: count for count in first.tracking}
    sums = {int(found[1].replace(",", "")) for doubt in told if (found := SUM.fullmatch(doubt))}
    for count in last.tracking:
        earlier = before.get(count.side)
        rises = {
            name: getattr(count, name) - (getattr(earlier, name) if earlier else 0)
            for name in TRACKED
        }
        if sum(rises.values()) in sums:
            continue
        for name, (noun, fate) in TRACKED.items():
            if rises[name] > 0:
                yield (
                    f"connection tracking on the {count.side} side: "
                    f"{counted(rises[name], noun)} {fate} "
                    f"({count.count:,} of {count.max:,} entries used at the end)"
                )
