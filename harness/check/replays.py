"""Replayed pushes (`harness.replay_probe`) as something a run is judged by.

A head-end that takes a replay for new and stores nothing twice shows it nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from harness.limits import MEASURES, Limit, parse_limit

RESULT: Final = "replays.json"
CHECK: Final = "replays.accepted"


def with_replay_check(
    checks: Mapping[str, Limit], measured: Mapping[str, float] | None
) -> dict[str, Limit]:
    """Return a scenario's checks and, where a run was probed, that no replay was accepted."""
    added = {} if measured is None else {CHECK: parse_limit("== 0", MEASURES[CHECK])}
    return added | dict(checks)


def replay_measurements(run: Path, wanted: int) -> dict[str, float] | None:
    """Return what the probe of a run found; ``None`` where none was ``wanted`` and there was none.

    A probe that reached nobody measured nothing, nor did one that is not there: the run is
    inconclusive. Raises `ValueError`.
    """
    file = run / RESULT
    if not file.is_file():
        return {} if wanted else None
    found = json.loads(file.read_text())
    return {CHECK: found["accepted"]} if found["tried"] else {}
