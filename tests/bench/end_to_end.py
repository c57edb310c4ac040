"""The whole system, paced: real ciphered frames, real sockets, real commits, every reading checked.

Runs ``tests/bench/paced.toml`` with ``meterstorm run``: 10,000 concentrators and 700,000 meters at
10 x real time over three steps (about five minutes); and ``tests/bench/paced-c12.toml``: 1,000
relays and 70,000 meters at 20 x real time (about three minutes), in which every node registers and
every reading is a message of its own. The run's own verdict is the equality check: without
*passed* no figure is printed. CPU is user and system time of every process over the whole run, from
its record, told as cores over the time that the steps took.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
CORES_MAX: Final = 1.0


def main() -> None:
    """Run the paced loads and print throughput, latency and CPU."""
    report("paced.toml", f"  (target: under {CORES_MAX:g})")
    report("paced-c12.toml")


def report(scenario: str, target: str = "") -> None:
    """Run a scenario of this folder and print its figures; ``target`` goes behind the cores.

    Raises:
        AssertionError: the verdict is not *passed*; says why.
        subprocess.CalledProcessError: there is no verdict.
    """
    print(f"{scenario}: a few minutes ...", flush=True)  # noqa: T201
    with tempfile.TemporaryDirectory(prefix="meterstorm-bench-") as folder:
        command = [
            sys.executable,
            "-m",
            "harness.cli",
            "run",
            str(HERE / scenario),
            "--out",
            folder,
        ]
        done = subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
        run = Path(folder) / "latest"
        if not (run / "verdict.json").exists():
            done.check_returncode()
        verdict = json.loads((run / "verdict.json").read_text())
        facts = json.loads((run / "run.json").read_text())
    assert verdict["verdict"] == "passed", verdict["reasons"]
    for line in _lines(verdict, facts, target):
        print(line)  # noqa: T201


def _lines(verdict: dict[str, Any], facts: dict[str, Any], target: str) -> list[str]:
    grid, readings, push = verdict["grid"], verdict["readings"], verdict["latency_s"]["push"]
    lasted_s = grid["steps"] * 900 / verdict["speed"]
    lines = [
        f"{grid['concentrators']:,} concentrators, {grid['meters']:,} meters, "
        f"{grid['steps']} steps at {verdict['speed']:g} x real time",
        f"{readings['correct']:,} readings correct of {readings['owed']:,} owed, "
        f"{verdict['throughput']['readings_per_s']:,.0f} readings/s",
        f"acknowledged after p50 {push['p50'] * 1e3:.0f} ms, p99 {push['p99'] * 1e3:.0f} ms, "
        f"max {push['max'] * 1e3:.0f} ms; generator lag at most "
        f"{verdict['generator']['lag_s_max'] * 1e3:.0f} ms",
    ]
    if (registrations := verdict.get("registrations")) is not None:
        lines.append(f"{registrations['registered']:,} nodes registered before")
    for name, cpu_s in sorted(facts["cpu_s"].items()):
        memory = facts["rss_bytes_max"].get(name, 0) / 2**20
        lines.append(f"  {name:<12} {cpu_s / lasted_s:6.3f} cores  {memory:7.0f} MiB")
    total = sum(facts["cpu_s"].values()) / lasted_s
    lines.append(f"  {'in all':<12} {total:6.3f} cores{target}")
    return lines


if __name__ == "__main__":
    main()
