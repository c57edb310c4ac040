"""What became of the commands of a run, told to its record once the head-end has ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from emulator.fleet_config import FleetConfig
from emulator.grid import Grid
from harness.run.facts import IssuedCommand
from harness.run.latencies import LatencyLog
from harness.store.commands import Command, CommandState
from reports.recording import CommandDone, RunRecorder, RunTime, new_histogram, record_latency

BIN_S: Final = 5.0
ENDED: Final = frozenset({CommandState.DONE, CommandState.FAILED})


def link_of(fleet: FleetConfig, grid: Grid, meter: int) -> str:
    """Return the link profile that leads to a meter."""
    concentrator = int(grid.concentrator_of(np.array([meter]))[0])
    return fleet.grid.links[int(grid.link_category[concentrator])].profile


def record_commands(
    recorder: RunRecorder,
    latencies: LatencyLog,
    issued: Sequence[IssuedCommand],
    journal: Sequence[Command],
    *,
    at: Callable[[int], RunTime],
    link: Callable[[int], str],
) -> None:
    """Record an event for every command that came to an end, and their latencies over time.

    Args:
        recorder: the record.
        latencies: the latency log of the run.
        issued: what the run ordered.
        journal: what the head-end says became of it.
        at: the moment of the run for POSIX microseconds.
        link: the link profile that leads to a meter.
    """
    due_us = {order.id: order.due_us for order in issued}
    bins: dict[int, Any] = {}
    for command in journal:
        if command.id not in due_us or command.done_at_us is None or command.state not in ENDED:
            continue
        moment = at(command.done_at_us)
        latency_s = (command.done_at_us - due_us[command.id]) / 1e6
        record_latency(bins.setdefault(int(moment.wall_s // BIN_S), new_histogram()), latency_s)
        recorder.event(
            CommandDone(
                at=moment,
                command=command.kind,
                meter=command.meter,
                link=link(command.meter),
                outcome="executed" if command.state is CommandState.DONE else "failed",
                latency_s=latency_s,
            )
        )
    for number, histogram in sorted(bins.items()):
        latencies.put("command", number * BIN_S, (number + 1) * BIN_S, histogram)
