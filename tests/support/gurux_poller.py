"""Somebody else's head-end: polls concentrators with gurux-dlms and writes what it read as CSV.

Run as a process of its own, gurux-dlms being GPL::

    python -m tests.support.gurux_poller RUNS OUTPUT.csv

It waits for ``RUNS/latest/provisioning``, learns from it who is there, and reads every
concentrator's interval buffer again and again with low-level security, until it is told to end
(SIGTERM). A concentrator that does not answer is asked again in the next round.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from gurux_dlms import GXDateTime

from tests.support.gurux_client import Reader

LOAD_PROFILE: Final = "1.0.99.1.0.255"
EVERY_S: Final = 1.0
TIMEOUT_S: Final = 5.0
THEIR_NAMES: Final = {"import_wh": "a_plus_wh", "export_wh": "a_minus_wh"}

Table = dict[tuple[str, str], list[Any]]
"""Register values and time of storing, by meter and time of capture."""


class Poller:
    """Knows the devices of a run and keeps what it has read of them."""

    def __init__(self, provisioning: Path, output: Path) -> None:
        self._shared = json.loads((provisioning / "head-end.json").read_text())
        with (provisioning / "concentrators.csv").open(newline="") as file:
            self._concentrators = list(csv.DictReader(file))
        self._output = output
        self._table: Table = {}

    def round(self) -> None:
        """Read every concentrator once, and write the file if anything is new."""
        known = len(self._table)
        for concentrator in self._concentrators:
            try:
                self._take(read_buffer(concentrator, self._shared))
            except Exception as error:  # whatever gurux says: asked again in the next round
                sys.stderr.write(f"{concentrator['name']}: {error!r}\n")
        if len(self._table) > known:
            self._write()

    def _take(self, rows: list[list[Any]]) -> None:
        received = datetime.now(UTC).isoformat()
        for name, captured, status, *values in rows:
            key = bytes(name).decode(), captured_at(bytes(captured)).isoformat()
            self._table.setdefault(key, [*values, status, received])

    def _write(self) -> None:
        registers = [THEIR_NAMES.get(name, name) for name in self._shared["registers"]]
        beside = self._output.with_name(self._output.name + ".new")
        with beside.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["device_id", "timestamp", *registers, "status", "received"])
            writer.writerows([*key, *row] for key, row in sorted(self._table.items()))
        os.replace(beside, self._output)


def read_buffer(concentrator: dict[str, str], shared: dict[str, Any]) -> list[list[Any]]:
    """Return all rows of the concentrator's interval buffer that belong to the run."""
    reader = Reader(
        argparse.Namespace(
            host=concentrator["address"],
            port=int(concentrator["port"]),
            client=1,
            server=1,
            authentication="low",
            password="",
            secret=concentrator["secret"],
            ciphering="none",
            system_title=shared["head_end_system_titles"][0],
            encryption_key=concentrator["encryption_key"],
            authentication_key=concentrator["authentication_key"],
            invocation_counter=1,
            max_pdu_size=0,
            timeout=TIMEOUT_S,
        )
    )
    try:
        reader.associate()
        profile = reader._profile(LOAD_PROFILE)
        ends_s = shared["first_s"] + shared["steps"] * shared["step_s"]
        first, last = (
            GXDateTime(datetime.fromtimestamp(limit, UTC)) for limit in (shared["first_s"], ends_s)
        )
        rows = reader.all(reader.client.readRowsByRange(profile, first, last)).value
        reader.release()
    finally:
        reader.socket.close()
    return list(rows or [])


def captured_at(octets: bytes) -> datetime:
    """Return the moment a COSEM date-time of 12 octets names."""
    year, (month, day), (hour, minute, second) = octets[:2], octets[2:4], octets[5:8]
    year_number = int.from_bytes(year, "big")
    local = datetime(year_number, month, day, hour, minute, second, tzinfo=UTC)
    return local + timedelta(minutes=int.from_bytes(octets[9:11], "big", signed=True))


def wait_for(provisioning: Path) -> None:
    """Return once the run has exported its devices."""
    while True:
        try:
            json.loads((provisioning / "head-end.json").read_text())
        except (FileNotFoundError, ValueError):
            time.sleep(0.05)
        else:
            return


def main() -> None:
    runs, output = map(Path, sys.argv[1:])
    provisioning = runs / "latest" / "provisioning"
    wait_for(provisioning)
    poller = Poller(provisioning, output)
    while True:
        poller.round()
        time.sleep(EVERY_S)


if __name__ == "__main__":
    main()
