"""Holds the link tiers against the kernel: ``python -m tests.calibration``, or ``make calibrate``.

Exit codes: 0, every tier is accepted; 1, one is not; 3, wrong arguments; 4, a tier cannot be had
here.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console

from netem.profiles import ProfileError, load_profiles
from tests.calibration import judging, plan, printing
from tests.calibration.job import Job
from tests.calibration.running import TierError

SEED_CLASSES: Final = ("seed-1", "seed-2", "seed-3", "seed-4")
EXTRA: Final = ("middling", "constant-lossy", "constant")
"""Of `EXTRA_PATH`."""
EXTRA_PATH: Final = Path(__file__).with_name("profiles.toml")
CLIENTS: Final = 300
QUICK_CLIENTS: Final = 120
FEWEST: Final = 5
MOST: Final = 5_000
INTERVAL_S: Final = 0.06
WIDTH: Final = 140


def main(arguments: Sequence[str] | None = None) -> int:
    """Calibrate, print, and return the exit code."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    console = Console(width=max(WIDTH, Console().width))
    names = _names(asked)
    path = asked.profiles or EXTRA_PATH
    try:
        known = load_profiles(path)
    except ProfileError as error:
        parser.error(str(error))
    for name in names:
        if name not in known:
            parser.error(f"no profile {name}; there are {', '.join(sorted(known))}")
    if asked.clients is not None and not FEWEST <= asked.clients <= MOST:
        parser.error(f"--clients must be from {FEWEST} to {MOST}")
    job = Job(
        tier="model",
        order="netem",
        profiles=names,
        profiles_path=str(path.resolve()),
        clients=asked.clients or (QUICK_CLIENTS if asked.quick else CLIENTS),
        interval_s=INTERVAL_S,
        seed=asked.seed,
    )
    begun = time.monotonic()

    def tell(line: str) -> None:
        console.print(f"[{time.monotonic() - begun:3.0f} s] {line}", markup=False)

    tell(f"{len(names)} profile(s), {job.clients} clients a size, seed {job.seed}")
    try:
        measured = plan.measure(job, tell)
    except TierError as error:
        console.print(f"no calibration: {error}", markup=False)
        return 4
    return _judge(console, job, measured, asked.json)


def _names(asked: argparse.Namespace) -> tuple[str, ...]:
    if asked.profile:
        return tuple(asked.profile)
    if asked.quick:
        return SEED_CLASSES[:1]
    return SEED_CLASSES if asked.profiles else SEED_CLASSES + EXTRA


def _judge(console: Console, job: Job, measured: plan.Measured, path: Path) -> int:
    rows = [
        row
        for name in job.profiles
        for row in judging.rows(
            name,
            [outcome.samples[name] for outcome in measured.kernel],
            {key: outcome.samples[name] for key, outcome in measured.others.items()},
        )
    ]
    console.print(printing.table(rows, job.clients))
    settings = {"profiles": job.profiles, "clients": job.clients, "seed": job.seed}
    settings |= {"interval_s": job.interval_s, "model_clients": plan.MODEL_CLIENTS}
    path.parent.mkdir(parents=True, exist_ok=True)
    made = printing.document(rows, settings, measured.kernel, measured.others)
    path.write_text(json.dumps(made) + "\n", encoding="utf-8")
    unfinished = _say_what_was_odd(console, measured)
    refused = [
        f"{row.profile} {row.quantity}: {one.tier} in {one.order} order"
        for row in rows
        for one in row.comparisons
        if not one.accepted
    ]
    console.print(f"also as JSON, with every time: {path}", markup=False)
    for line in refused:
        console.print(f"not accepted: {line}", markup=False)
    console.print("not accepted" if refused or unfinished else "accepted", style="bold")
    return 1 if refused or unfinished else 0


def _say_what_was_odd(console: Console, measured: plan.Measured) -> int:
    """Say what labs noted, and return how many exchanges were not finished."""
    everything = [("kernel", one) for one in measured.kernel]
    everything += [(f"{tier}, {order}", one) for (tier, order), one in measured.others.items()]
    unfinished = 0
    for name, outcome in everything:
        notes = list(outcome.notes)
        left = sum(sample.unfinished for sample in outcome.samples.values())
        if left:
            notes.append(f"{left:,} exchanges were not finished")
            unfinished += left
        for note in notes:
            console.print(f"{name}: {note}", markup=False)
    return unfinished


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        self.print_usage(sys.stderr)
        self.exit(3, f"{self.prog}: {message}\n")


def _parser() -> _Parser:
    parser = _Parser(
        prog="python -m tests.calibration",
        description="Run the same exchanges through the link tiers model, packet and kernel (User-"
        "Mode Linux), and compare their times. Takes up to ten minutes on two processors.",
    )
    parser.add_argument(
        "--profile",
        action="append",
        help=f"link profile; may be repeated (the four seed classes, {', '.join(EXTRA)})",
    )
    parser.add_argument(
        "--profiles", type=Path, help=f"a file of more profiles, instead of {EXTRA_PATH.name}"
    )
    parser.add_argument("--clients", type=int, help=f"clients a size ({CLIENTS})")
    parser.add_argument(
        "--seed", type=int, default=1, help="of the model's and packet tier's draws"
    )
    parser.add_argument(
        "--quick", action="store_true", help=f"one profile, {QUICK_CLIENTS} clients, 90 seconds"
    )
    parser.add_argument(
        "--json", type=Path, default=Path("runs/calibration.json"), help="where the JSON goes"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
