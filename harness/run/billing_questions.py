"""What a run asks and tells systems over HTTP: billing, ours or somebody's own, and layers."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import trio

from harness.errors import ArgumentsError
from harness.run.preparation import Prepared
from harness.run.virtual_meters import Record, behind_meters
from harness.scenario.billing import Billing

ANSWER_S: Final = 1_800.0
"""Real seconds that billing a month may take."""
REQUEST_OCTETS: Final = 32 * 1024
"""Octets of records of virtual meters in one request: half of what our API takes in a body."""
RECORDS: Final = "virtual-meters.json"


async def asked(
    url: str,
    token_file: Path | None,
    method: str = "GET",
    body: Mapping[str, Any] | None = None,
    *,
    timeout_s: float = ANSWER_S,
) -> bytes:
    """Return the answer to a request, in real seconds at most. Raises `OSError`."""
    return await trio.to_thread.run_sync(partial(_asked, url, token_file, method, body, timeout_s))


def _asked(
    url: str,
    token_file: Path | None,
    method: str,
    body: Mapping[str, Any] | None,
    timeout_s: float,
) -> bytes:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    if token_file is not None:
        token = token_file.read_text().partition("\n")[0].strip()
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:
            told: bytes = answer.read()
            return told
    except urllib.error.HTTPError as error:
        said = error.read(2_000).decode(errors="replace")
        raise OSError(f"{method} {url}: {error.code}: {said}") from error
    except (HTTPException, ValueError) as error:
        raise OSError(f"{method} {url}: {error!r}") from error


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
