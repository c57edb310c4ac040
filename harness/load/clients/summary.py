"""What a client leaves in the run folder: a summary like a fleet shard's, and its commands."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Final

from emulator.atomic import write_json
from emulator.tally import Tally
from harness.load.clients.commanded import Commanded
from harness.load.clients.config import CONFIG_NAME

LOAD_FOLDER: Final = "load"


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


def write_summary(run: Path, client: int, tally: Tally) -> None:
    """Write what a client has done so far."""
    content = {
        "lag_s_max": tally.lag_s_max,
        "counts": dict(tally.counts),
        "latencies": tally.histograms(),
    }
    write_json(summary_path(run, client), content)


class CommandNotes:
    """The file of one client's commands, appended to."""

    def __init__(self, run: Path, client: int) -> None:
        self._file = commands_path(run, client).open("a", encoding="utf-8")

    def command(self, commanded: Commanded) -> None:
        """Append a command."""
        self._file.write(json.dumps(asdict(commanded)) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_commands(run: Path) -> list[Commanded]:
    """Return the commands of all clients; a line that was cut short is left out."""
    found = []
    for path in sorted((run / LOAD_FOLDER).glob("client-*.commands.ndjson")):
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]
        found += [Commanded(**json.loads(line)) for line in lines]
    return found
