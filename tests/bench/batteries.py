"""Operations a second on an aggregate of 10, 100 and 1,000 batteries, and how their cost grows.

First on the model alone, without journal and network: a command that all sources must hear of, a
reading of one source while current flows, and a status right after it, which is the dearest moment
to ask. The cost of commands and of such a status grows with the number of sources, the cost of a
reading should not. Then through the service (`tests.bench.battery_service`).

How cost grows is told as a power: 1 is in proportion to the number of sources, 0 not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count, cycle
from typing import Final

from rich.console import Console

from harness.bal.model.batteries import Batteries
from harness.bal.model.values import Reading
from tests.bench.battery_service import CLIENTS, served
from tests.bench.measuring import Line, growth, show, timed
from tests.support.battery_model import add

SIZES: Final = (10, 100, 1_000)


def main() -> None:
    """Print a table for each way.

    Raises:
        AssertionError: the service answered wrongly, or lost a command or executed it twice.
    """
    console = Console()
    lines = [_measured(size) for size in SIZES]
    for index, title in enumerate(("commands", "readings", "statuses after a reading")):
        _show(console, f"{title} of one aggregate, model alone", [line[index] for line in lines])
    services = [served(size) for size in SIZES]
    names = [f"{size} sources" for size in SIZES]
    for title, rates in (
        ("statuses", [service.statuses_per_s for service in services]),
        ("durable commands", [service.commands_per_s for service in services]),
    ):
        ways = [Line(name, rate) for name, rate in zip(names, rates, strict=True)]
        _show(console, f"{title} of one aggregate over HTTP, {CLIENTS} clients", ways)
    for name, service in zip(names, services, strict=True):
        console.print(
            f"{name}: {service.commands:,} commands, none lost, none twice; all batteries had "
            f"their orders {service.told_s:.1f} s after the last answer",
            highlight=False,
        )


def _show(console: Console, title: str, ways: Sequence[Line]) -> None:
    show(console, title, ways, unit="operation", base=ways[0])
    power = growth(ways[0], ways[-1], SIZES[-1] / SIZES[0])
    console.print(f"cost grows with the power {power:.2f} of the number of sources\n")


def aggregate(size: int) -> Batteries:
    """Return one aggregate, "all", of ``size`` half-full sources that discharges."""
    batteries = Batteries()
    names = [f"source {index:04}" for index in range(size)]
    for name in names:
        add(batteries, name, ah=100, discharge_a=50, holds_ah=50)
    batteries.make_aggregator("all", names)
    batteries.set_discharge("all", 20_000 * size, 0)
    return batteries


def _measured(size: int) -> tuple[Line, Line, Line]:
    batteries = aggregate(size)
    sources = cycle(batteries.sources())
    moments = count(1)
    values = batteries.status(next(sources)).current

    def command() -> None:
        at_ms = next(moments)
        orders = batteries.set_discharge("all", 20_000 * size + size * (at_ms % 7), at_ms)
        assert len(orders) <= size

    def read() -> None:
        at_ms = next(moments)
        batteries.source_read(next(sources), Reading.at(at_ms, values), at_ms)
        batteries.due(at_ms)

    def ask() -> None:
        at_ms = next(moments)
        batteries.source_read(next(sources), Reading.at(at_ms, values), at_ms)
        assert batteries.status("all").sources_online == size

    way = f"{size} sources"
    return timed(way, command), timed(way, read), timed(way, ask)
