"""Commands to single meters, as a scenario orders them: who, what and when, from the seed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import numpy as np
import trio
from structlog import get_logger

from emulator.clock import ScenarioClock
from emulator.fleet_config import part_holding
from emulator.parameters import apportion
from harness.run.facts import IssuedCommand
from harness.run.preparation import Prepared
from harness.run.questions import NoAnswerError, ask
from harness.run.reference import ReferenceTarget
from netem.draws import generator
from protocols.plugin import CommandKind

SEGMENTS: Final = 8
RATES: Final = 2
log = get_logger(__name__)


def ordered_commands(prepared: Prepared, due_us: Callable[[float], int]) -> list[IssuedCommand]:
    """Return the commands of a scenario in the order in which they are due.

    Moments are spread evenly over the window; meters and kinds are drawn from the seed, each kind
    by its exact share.

    Args:
        prepared: the run.
        due_us: turns scenario seconds since the first step into POSIX microseconds.
    """
    wanted = prepared.scenario.commands
    draws = generator(prepared.scenario.seed, "commands")
    meters = draws.integers(0, prepared.grid.meters, wanted.count)
    shares = wanted.kinds.model_dump()
    counts = apportion(wanted.count, list(shares.values()))
    kinds = np.repeat(np.array(list(shares)), counts)
    draws.shuffle(kinds)
    starts_s = wanted.window.start
    span_s = prepared.scenario.span_s
    lasts_s = span_s - starts_s if wanted.window.lasts is None else wanted.window.lasts
    moments_s = starts_s + lasts_s * (np.arange(wanted.count) + 0.5) / max(1, wanted.count)
    issued = []
    for number in range(wanted.count):
        kind = CommandKind(str(kinds[number]))
        moment_s = float(moments_s[number])
        parameter = _parameter(kind, draws, prepared.fleet.first_s + int(moment_s))
        issued.append(
            IssuedCommand(
                id=number,
                meter=int(meters[number]),
                kind=kind.value,
                parameter=parameter,
                due_us=due_us(moment_s),
            )
        )
    return issued


def _parameter(kind: CommandKind, draws: np.random.Generator, at_s: int) -> int:
    if kind is CommandKind.SEGMENT:
        return int(draws.integers(1, SEGMENTS + 1)) << 1 | int(draws.integers(0, 2))
    if kind is CommandKind.TARIFF:
        return int(draws.integers(1, RATES + 1))
    return at_s if kind is CommandKind.TIME else 0


async def issue(
    prepared: Prepared,
    target: ReferenceTarget,
    clock: ScenarioClock,
    realtime_offset_s: float,
    issued: list[IssuedCommand],
) -> None:
    """Give every command to the head-end when it is due, noting each in ``issued``.

    A head-end shard that is away is asked again until it takes the command, and keeps nobody else
    waiting: what counts is when the command was due. Cancellation: the rest is not issued.
    """
    ordered = ordered_commands(
        prepared,
        lambda moment_s: int(
            (clock.monotonic_at(prepared.fleet.first_s + moment_s) + realtime_offset_s) * 1_000_000
        ),
    )
    concentrators = prepared.grid.concentrator_of(np.array([item.meter for item in ordered], int))
    queues: dict[int, list[IssuedCommand]] = {}
    for command, concentrator in zip(ordered, concentrators.tolist(), strict=True):
        shard = part_holding(prepared.grid.concentrators, len(target.shards), concentrator)
        queues.setdefault(shard, []).append(command)

    async def give_all(shard: int) -> None:
        for command in queues[shard]:
            due_s = command.due_us / 1_000_000 - realtime_offset_s
            await trio.sleep(max(0.0, due_s - time.monotonic()))
            issued.append(command)
            await _give(target, shard, command)

    async with trio.open_nursery() as nursery:
        for shard in queues:
            nursery.start_soon(give_all, shard)


async def _give(target: ReferenceTarget, shard: int, command: IssuedCommand) -> None:
    while True:
        try:
            await ask(
                target.shards[shard].config.control_socket,
                "command",
                id=command.id,
                meter=command.meter,
                kind=command.kind,
                parameter=str(command.parameter),
                created_at_us=command.due_us,
            )
        except NoAnswerError as error:
            if "exists" in str(error):
                return  # it was taken, and only the answer was lost
            log.warning("command not taken yet", id=command.id, error=str(error))
            await trio.sleep(0.5)
        else:
            return
