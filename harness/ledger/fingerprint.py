"""The fingerprint of a store: what it held when the run was first judged, slot by slot.

A run can be judged again a year later. If the verdict differs then, the fingerprint tells whether
the store has changed meanwhile and at which capture times; it decides nothing itself.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final, Self

from harness.store.rows import StoredRows
from reports.recording import write_atomically

FINGERPRINT_FILE: Final = "store.json"
DIGEST_OCTETS: Final = 16


@dataclass(frozen=True, slots=True)
class SlotPrint:
    """What a store held of one capture time: how many rows, and a digest of all their columns."""

    rows: int
    digest: str

    @classmethod
    def of(cls, slot: StoredRows) -> Self:
        """Return the print of the rows of one capture time, in the order of `StoredReader`."""
        digest = blake2b(digest_size=DIGEST_OCTETS)
        rows = slot.rows
        for column in (rows.meter, rows.profile, rows.status, rows.values, rows.via):
            digest.update(column.tobytes())
        digest.update(slot.stored_at_us.tobytes())
        return cls(len(slot), digest.hexdigest())


Fingerprint = dict[int, SlotPrint]
"""By capture time, POSIX seconds."""


def write_fingerprint(folder: Path, fingerprint: Fingerprint) -> None:
    """Write ``store.json`` into the ledger ``folder``, made if missing."""
    folder.mkdir(exist_ok=True)
    slots = {str(slot): asdict(found) for slot, found in sorted(fingerprint.items())}
    write_atomically(folder / FINGERPRINT_FILE, json.dumps(slots, indent=1).encode() + b"\n")


def read_fingerprint(folder: Path) -> Fingerprint | None:
    """Return what `write_fingerprint` wrote; ``None`` where the run was never judged before.

    Raises:
        ValueError: the file is no fingerprint.
    """
    path = folder / FINGERPRINT_FILE
    if not path.is_file():
        return None
    try:
        slots = json.loads(path.read_text())
        return {int(slot): SlotPrint(**found) for slot, found in slots.items()}
    except (AttributeError, TypeError) as error:
        raise ValueError(f"{path} is no fingerprint of a store") from error


def changed_slots(before: Fingerprint, now: Fingerprint) -> list[int]:
    """Return the capture times at which the store is not what it was, ascending."""
    return [
        slot for slot in sorted(before.keys() | now.keys()) if before.get(slot) != now.get(slot)
    ]
