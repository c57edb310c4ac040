"""The published keys of verdict.json."""

from __future__ import annotations

import json
from pathlib import Path

from reports.recording import load_verdict, write_verdict
from tests.support.canned import passed_verdict

CONTRACT = {
    "verdict": None,
    "reasons": None,
    "scenario": None,
    "seed": None,
    "speed": None,
    "grid": {"concentrators", "meters", "steps"},
    "checks": None,
    "readings": {
        "owed",
        "deferred",
        "unattempted",
        "sent",
        "acknowledged",
        "stored",
        "correct",
        "late",
        "lost",
        "duplicated",
        "wrong",
        "invented",
    },
    "throughput": {"readings_per_s", "times_real_time"},
    "latency_s": {"push"},
    "resources": {"headend", "store"},
    "generator": {"lag_s_max"},
}


def test_every_published_key_is_written(tmp_path: Path) -> None:
    write_verdict(tmp_path, passed_verdict())
    written = json.loads((tmp_path / "verdict.json").read_text())
    for key, inner in CONTRACT.items():
        assert key in written
        assert (inner or set()) <= set(written[key] if inner else ())
    assert set(written["latency_s"]["push"]) == {"p50", "p90", "p99", "p99_9", "max"}
    assert {"name", "limit", "measured", "passed"} <= set(written["checks"][0])


def test_a_verdict_comes_back(tmp_path: Path) -> None:
    write_verdict(tmp_path, passed_verdict())
    assert load_verdict(tmp_path / "verdict.json") == passed_verdict()
