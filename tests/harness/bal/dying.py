"""A battery layer's chronicle that dies by SIGKILL at one statement to its journal, or another.

Run as ``python -m tests.harness.bal.dying FOLDER STEP``: for every STEP-th statement of a whole
life a process of its own lives until then. It writes the last round that it was told to be durable
into ``FOLDER/<statement>.told``, and leaves its journal beside that.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from itertools import count
from pathlib import Path

import trio

from harness.bal import happenings
from harness.bal.chronicle import Chronicle
from harness.bal.happenings import reading_details
from harness.bal.journal import Journal, Kept, Order
from harness.bal.model.batteries import Batteries
from harness.bal.model.values import Kind, Nameplate, Policy, Reading, Share, Values

CAPACITY = 10**8
KEPT = Kept(events=30, commands=10)
SNAPSHOT_EVENTS = 20
ROUNDS = 16
PLATE = Nameplate(50_000, 5_000, 5_000, CAPACITY)


def fresh() -> Batteries:
    """Return two batteries as one, divided in two."""
    batteries = Batteries()
    for name in ("a", "b"):
        batteries.make_battery(name, Kind.PHYSICAL, "", PLATE)
    batteries.make_aggregator("both", ["a", "b"])
    shares = [Share.percent("homes", 60), Share.percent("grid", 30)]
    batteries.make_splitter(shares, "both", Policy.TRANCHED)
    return batteries


def open_chronicle(journal: Journal) -> Chronicle:
    """Return a chronicle whose orders are executed as soon as they may leave."""

    def released(orders: Sequence[Order]) -> None:
        for order in orders:
            chronicle.fate(order, "executed", chronicle.batteries.now_ms, order.current_ma)

    chronicle = Chronicle(
        journal, fresh, commit_s=0.0, released=released, snapshot_events=SNAPSHOT_EVENTS
    )
    return chronicle


def happen(chronicle: Chronicle, number: int) -> None:
    """Let the things of one round happen: readings, a command, a window, what time brings."""
    at_ms = 10_000 * number
    for name in ("a", "b"):
        charge = CAPACITY // 2 + number * 1_000
        values = Values(50_000 + 100 * number, 0, 5_000, 5_000, charge, CAPACITY)
        details = reading_details(name, Reading.at(at_ms, values))
        chronicle.happen(happenings.READ, details, at_ms)
    who = ("homes", "grid")[number % 2]
    wanted = {"name": who, "current_ma": 100 * (number % 7 - 3)}
    chronicle.happen(happenings.SET_CURRENT, wanted, at_ms + 1, f"command-{number}")
    window = {"start_ms": at_ms + 2_000, "end_ms": at_ms + 3_000}
    chronicle.happen(happenings.SCHEDULE, {**wanted, "current_ma": 7, **window}, at_ms + 2)
    chronicle.happen(happenings.TIME_PASSED, {}, at_ms + 9_000)


async def live(folder: Path, dies_at: int | None) -> int:
    """Live the whole life and return how many statements that took; or die."""
    name = "whole" if dies_at is None else str(dies_at)
    statements = count(1)
    made = 0

    def look(statement: str) -> None:
        nonlocal made
        made = next(statements)
        if made == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)

    journal = Journal(folder / f"{name}.sqlite", KEPT)
    journal._file.set_trace_callback(look)
    chronicle = open_chronicle(journal)
    told = os.open(folder / f"{name}.told", os.O_WRONLY | os.O_CREAT)
    for number in range(1, ROUNDS):
        happen(chronicle, number)
        await chronicle.flush()
        os.pwrite(told, b"%6d" % number, 0)
    journal.close()
    return made


def main() -> None:
    folder, step = Path(sys.argv[1]), int(sys.argv[2])
    for dies_at in range(1, trio.run(live, folder, None), step):
        child = os.fork()
        if not child:
            try:
                trio.run(live, folder, dies_at)
            finally:
                os._exit(1)
        _, status = os.waitpid(child, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL, status


if __name__ == "__main__":
    main()
