"""A topology as a TOML file: batteries, aggregates, splitters and the lines of the grid.

The parts may stand in any order; each battery is made after those it is made of. Currents are
milliamperes, voltages millivolts, capacities milliampere-hours, shares have a unit ("50 %").
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, ValidationError

from harness.bal.errors import BatteryError, CyclicTopologyError
from harness.bal.model.batteries import Batteries
from harness.bal.model.location import ConnectionGrid, Line
from harness.bal.model.values import Kind, Nameplate, Policy, Share
from harness.errors import ScenarioError
from harness.locate import Path as Place
from harness.scenario.base import Part
from harness.scenario.document import Document, read_document
from harness.scenario.problems import explain
from netem.units import PartsPerMillion

Positive: TypeAlias = Annotated[int, Field(ge=1)]
NotNegative: TypeAlias = Annotated[int, Field(ge=0)]
Name: TypeAlias = Annotated[str, Field(min_length=1)]


class BatteryPart(Part):
    """A physical or networked battery."""

    name: Name
    kind: Literal["physical", "networked"] = "physical"
    interface: str
    """Where its driver finds it, in the driver's words."""
    voltage_mv: Positive
    capacity_mah: Positive
    max_charge_ma: NotNegative
    max_discharge_ma: NotNegative
    point: Name | None = None
    """Its connection point in the grid."""

    @property
    def nameplate(self) -> Nameplate:
        """What it is made for."""
        return Nameplate.of(
            voltage_mv=self.voltage_mv,
            max_charge_ma=self.max_charge_ma,
            max_discharge_ma=self.max_discharge_ma,
            capacity_mah=self.capacity_mah,
        )


class AggregatePart(Part):
    """Several batteries as one."""

    name: Name
    sources: Annotated[tuple[Name, ...], Field(min_length=1)]


class PartitionPart(Part):
    """One share of a splitter."""

    name: Name
    share: PartsPerMillion


class SplitterPart(Part):
    """One battery as several, named from the top down."""

    source: Name
    policy: Policy = Policy.PROPORTIONAL
    partitions: Annotated[tuple[PartitionPart, ...], Field(min_length=1)]


class LinePart(Part):
    """A line between two connection points."""

    from_point: Annotated[Name, Field(alias="from")]
    to_point: Annotated[Name, Field(alias="to")]
    length_m: NotNegative


class TopologyPart(Part):
    """The whole file."""

    battery: tuple[BatteryPart, ...] = ()
    aggregate: tuple[AggregatePart, ...] = ()
    splitter: tuple[SplitterPart, ...] = ()
    line: tuple[LinePart, ...] = ()


@dataclass(frozen=True, slots=True)
class _Step:
    """One thing to make: what it makes, of what, and where that is written."""

    part: BatteryPart | AggregatePart | SplitterPart
    place: Place
    makes: tuple[str, ...]
    needs: tuple[str, ...]


def load_topology(path: Path, now_ms: int = 0) -> Batteries:
    """Read a topology and make its batteries, all of them offline until they are read.

    Raises:
        ScenarioError: anything is wrong with the file; it names file, line, key and the mend. Its
            cause is the `BatteryError`, where the topology itself is wrong.
    """
    document = read_document(path)
    try:
        topology = TopologyPart.model_validate(document.values)
    except ValidationError as error:
        raise explain(error, TopologyPart.model_json_schema(), document) from None
    with _refusals_of(document, ("line",)):
        grid = ConnectionGrid(
            Line(one.from_point, one.to_point, one.length_m) for one in topology.line
        )
    batteries = Batteries(grid, now_ms)
    for step in _in_order(document, list(_steps(topology))):
        with _refusals_of(document, step.place):
            _make(batteries, step.part)
    return batteries


@contextmanager
def _refusals_of(document: Document, place: Place) -> Iterator[None]:
    """Say where in the file that stands which a battery refused."""
    try:
        yield
    except BatteryError as refusal:
        raise _refused(document, place, refusal) from refusal


def _refused(document: Document, place: Place, refusal: BatteryError) -> ScenarioError:
    return ScenarioError((document.problem(place, str(refusal)),))


def _steps(topology: TopologyPart) -> Iterator[_Step]:
    for index, battery in enumerate(topology.battery):
        yield _Step(battery, ("battery", index), (battery.name,), ())
    for index, joined in enumerate(topology.aggregate):
        yield _Step(joined, ("aggregate", index), (joined.name,), joined.sources)
    for index, split in enumerate(topology.splitter):
        names = tuple(partition.name for partition in split.partitions)
        yield _Step(split, ("splitter", index), names, (split.source,))


def _in_order(document: Document, steps: list[_Step]) -> list[_Step]:
    """Return the steps so that each comes after those it needs."""
    makers = {name: index for index, step in enumerate(steps) for name in step.makes}
    graph = TopologicalSorter[int]()
    for index, step in enumerate(steps):
        graph.add(index, *(makers[name] for name in step.needs if name in makers))
    try:
        return [steps[index] for index in graph.static_order()]
    except CycleError as error:
        ring = [steps[index] for index in error.args[1][1:]]
        names = " and ".join(f'"{step.makes[0]}"' for step in ring)
        refusal = CyclicTopologyError(
            ring[0].makes[0],
            f"it would be made of itself, by way of {names}",
            mend="take one of them out of the ring",
        )
        raise _refused(document, ring[0].place, refusal) from refusal


def _make(batteries: Batteries, part: BatteryPart | AggregatePart | SplitterPart) -> None:
    match part:
        case BatteryPart():
            batteries.make_battery(
                part.name, Kind(part.kind), part.interface, part.nameplate, part.point
            )
        case AggregatePart():
            batteries.make_aggregator(part.name, part.sources)
        case SplitterPart():
            shares = [Share(one.name, one.share) for one in part.partitions]
            batteries.make_splitter(shares, part.source, part.policy)
