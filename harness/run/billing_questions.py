"""What a run knows of billing, ours or somebody's own, and brings to it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from harness.errors import ArgumentsError
from harness.run.preparation import Prepared
from harness.run.virtual_meters import Record, behind_meters
from harness.scenario.billing import Billing

REQUEST_OCTETS: Final = 32 * 1024
"""Octets of records of virtual meters in one request: half of what our API takes in a body."""
RECORDS: Final = "virtual-meters.json"


def virtual_meters(prepared: Prepared, billing: Billing) -> dict[str, int]:
    """Return the meter that each partition of a battery is behind, where billing is to know.

    Raises:
        ArgumentsError: there are more partitions than meters.
        ScenarioError: a topology of the scenario's own cannot be read.
    """
    scenario = prepared.scenario
    if not billing.virtual_meters or scenario.bal is None or scenario.batteries is None:
        return {}
    meters = behind_meters(scenario.bal, scenario.batteries.count)
    if len(meters) > prepared.grid.meters:
        raise ArgumentsError(
            f"billing.virtual_meters: {len(meters):,} partitions cannot be behind "
            f"{prepared.grid.meters:,} meters"
        )
    return meters


def keep_records(folder: Path, records: Sequence[Record], meters: Mapping[str, int]) -> None:
    """Write what is brought to billing, and the meter of each, into ``folder``."""
    kept = [{"meter": meters[record["name"]], **record} for record in records]
    (folder / RECORDS).write_text(json.dumps(kept, indent=1))


def batched(records: Sequence[Record]) -> Iterator[list[Record]]:
    """Yield records, so many in a request as may be, and at least one."""
    batch: list[Record] = []
    octets = 0
    for record in records:
        more = len(json.dumps(record)) + len(", ")
        if batch and octets + more > REQUEST_OCTETS:
            yield batch
            batch, octets = [], 0
        batch.append(record)
        octets += more
    if batch:
        yield batch


def day_of(posix_s: int, zone: str) -> str:
    """Return the day of a moment in a zone, as ISO 8601 has it."""
    return datetime.fromtimestamp(posix_s, UTC).astimezone(ZoneInfo(zone)).date().isoformat()
