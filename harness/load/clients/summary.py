"""What a client leaves in the run folder: a summary like a fleet shard's, and its commands."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from emulator.atomic import write_json
from emulator.tally import Tally
from harness.load.clients.commanded import Commanded
from harness.load.clients.config import CONFIG_NAME
from harness.load.clients.seen import Seen

LOAD_FOLDER: Final = "load"
SEEN_MAX: Final = 20_000
"""Snapshots that one client notes; those that come later are not noted."""


def clients_of(run: Path) -> int:
    """Return how many clients a run has; 0 before it is known, and where there are none."""
    path = run / LOAD_FOLDER / CONFIG_NAME
    return int(json.loads(path.read_text())["clients"]) if path.is_file() else 0


def summary_path(run: Path, client: int) -> Path:
    """Return where in a run folder one client's summary is."""
    return run / LOAD_FOLDER / f"client-{client}.json"


def commands_path(run: Path, client: int) -> Path:
    """Return where in a run folder one client's commands are, a JSON line each."""
    return run / LOAD_FOLDER / f"client-{client}.commands.ndjson"


def seen_path(run: Path, client: int) -> Path:
    """Return where in a run folder the snapshots that one client got are, a JSON line each."""
    return run / LOAD_FOLDER / f"client-{client}.statuses.ndjson"


def write_summary(run: Path, client: int, tally: Tally) -> None:
    """Write what a client has done so far."""
    content = {
        "lag_s_max": tally.lag_s_max,
        "counts": dict(tally.counts),
        "latencies": tally.histograms(),
    }
    write_json(summary_path(run, client), content)


class CommandNotes:
    """The files of one client's commands and of the first snapshots it got, appended to."""

    def __init__(self, run: Path, client: int) -> None:
        self._commands = commands_path(run, client).open("a", encoding="utf-8")
        self._seen = seen_path(run, client).open("a", encoding="utf-8")
        self._room = SEEN_MAX

    def command(self, commanded: Commanded) -> None:
        """Append a command."""
        self._commands.write(json.dumps(asdict(commanded)) + "\n")
        self._commands.flush()

    def seen(self, seen: Seen) -> None:
        """Append a snapshot, while there is room."""
        if self._room:
            self._room -= 1
            self._seen.write(json.dumps(asdict(seen)) + "\n")

    def close(self) -> None:
        """Close the files."""
        self._commands.close()
        self._seen.close()


def read_commands(run: Path) -> list[Commanded]:
    """Return the commands of all clients; a line that was cut short is left out."""
    return [Commanded(**one) for one in _lines(run, "client-*.commands.ndjson")]


def read_seen(run: Path) -> list[Seen]:
    """Return the snapshots that clients noted; a line that was cut short is left out."""
    return [Seen(**one) for one in _lines(run, "client-*.statuses.ndjson")]


def _lines(run: Path, pattern: str) -> Iterator[dict[str, Any]]:
    for path in sorted((run / LOAD_FOLDER).glob(pattern)):
        for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
            yield json.loads(line)
