"""What the counters of a lab say against a run: packets lost where no link lost them.

And whatever else made links other than they were set, such as an emulator that could not keep up.
"""

from __future__ import annotations

from typing import Final

from netem.lab import FAULTS
from reports.recording import LabRecord, LabSample

TRACKED: Final = {
    "drop": "packets dropped",
    "early_drop": "connections forgotten early",
    "insert_failed": "connections not entered",
}


def lab_doubts(record: LabRecord | None) -> list[str]:
    """Return why a run over these links proves nothing: what was lost elsewhere than on a link."""
    if record is None or not record.samples:
        return []
    first, last = record.samples[0], record.samples[-1]
    doubts = _tracking(first, last)
    overflowed = sum(link.overflowed or 0 for link in last.links)
    if overflowed:
        doubts.append(f"{overflowed:,} packets found the queue of their link full")
    if last.unclassified:
        doubts.append(f"{last.unclassified:,} packets were of no link class")
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
                    f"{refused:,} connections met a full accept queue on the {count.side} side."
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


def _tracking(first: LabSample, last: LabSample) -> list[str]:
    before = {count.side: count for count in first.tracking}
    doubts = []
    for count in last.tracking:
        earlier = before.get(count.side)
        for name, meaning in TRACKED.items():
            rise = getattr(count, name) - (getattr(earlier, name) if earlier else 0)
            if rise > 0:
                doubts.append(
                    f"connection tracking on the {count.side} side: {rise:,} {meaning} "
                    f"({count.count:,} of {count.max:,} entries used at the end)"
                )
    return doubts
