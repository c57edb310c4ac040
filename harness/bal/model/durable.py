"""The whole of `Batteries` as plain values, to be kept and brought back.

What comes back answers every question as before, and goes on exactly as what was kept would have
gone on: the same happenings at the same times bring the same orders. No order is given anew;
`Batteries.reissue` does that, for a service that does not know whether its last orders arrived.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

from pydantic import TypeAdapter

from harness.bal.model.accounting import Account, ClosedAccount, Stretch
from harness.bal.model.agenda import Agenda
from harness.bal.model.aggregate import Aggregate
from harness.bal.model.batteries import Batteries
from harness.bal.model.battery import Battery
from harness.bal.model.location import ConnectionGrid, Line
from harness.bal.model.partition import Partition, Splitter
from harness.bal.model.physical import Physical
from harness.bal.model.schedule import Schedule, Window
from harness.bal.model.values import Kind, Nameplate, Policy, Reading, Share

Stretches = tuple[Stretch, ...]


@dataclass(frozen=True, slots=True)
class SourceState:
    """A physical or networked battery."""

    make: Literal["battery"]
    name: str
    kind: Kind
    interface: str
    nameplate: Nameplate
    point: str | None
    reading: Reading | None
    online: bool
    unsure: bool
    ordered_ma: int


@dataclass(frozen=True, slots=True)
class AggregateState:
    """An aggregate."""

    make: Literal["aggregator"]
    name: str
    sources: tuple[str, ...]
    ordered_ma: int
    unbalanced: bool


@dataclass(frozen=True, slots=True)
class SplitterState:
    """A splitter with its partitions; ``accounts`` ends with the rest's, and is empty before."""

    make: Literal["splitter"]
    source: str
    policy: Policy
    shares: tuple[Share, ...]
    ordered_ma: tuple[int, ...]
    accounts: tuple[Stretches, ...]
    fine_ms: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ScheduleState:
    """What is wanted of one battery."""

    name: str
    standing_ma: int
    windows: tuple[Window, ...]


@dataclass(frozen=True, slots=True)
class ClosedState:
    """The account of a partition that was removed."""

    name: str
    source: str
    closed_ms: int
    stretches: Stretches
    fine_ms: int = 0


@dataclass(frozen=True, slots=True)
class State:
    """Everything about the batteries of one node."""

    now_ms: int
    lines: tuple[Line, ...]
    made: tuple[SourceState | AggregateState | SplitterState, ...]
    schedules: tuple[ScheduleState, ...]
    closed: tuple[ClosedState, ...]
    orders: dict[str, int]
    """Orders that nobody has taken yet."""
    agenda: dict[str, int]
    """When what changes by itself is looked at next."""


_STATES: Final = TypeAdapter(State)
_PARTS: Final = TypeAdapter(SourceState | AggregateState | SplitterState)
_NONE_MADE: Final = b'"made":[]'


def encoded(state: State) -> bytes:
    """Return a state as JSON.

    It is put together from parts, none of which takes long, so that in a thread of its own it
    holds up no other.
    """
    parts = b",".join([_PARTS.dump_json(made) for made in state.made])
    rest = _STATES.dump_json(replace(state, made=()))
    return rest.replace(_NONE_MADE, b'"made":[' + parts + b"]", 1)


def decoded(data: bytes) -> State:
    """Return the state that is written in JSON.

    Raises:
        pydantic.ValidationError: it is not one; the error names the place.
    """
    return _STATES.validate_json(data)


def state_of(batteries: Batteries) -> State:
    """Return everything that `restored` needs."""
    engine = batteries.engine
    return State(
        now_ms=engine.now_ms,
        lines=batteries.grid.lines,
        made=tuple(_made(batteries)),
        schedules=tuple(
            ScheduleState(name, one.standing_ma, one.windows)
            for name, one in engine.schedules.items()
        ),
        closed=tuple(
            ClosedState(
                one.name, one.source, one.closed_ms, one.account.stretches, one.account.fine_ms
            )
            for one in batteries.closed_accounts
        ),
        orders=dict(engine.orders),
        agenda=engine.agenda.planned,
    )


def restored(state: State) -> Batteries:
    """Return the batteries of a state.

    Raises:
        BatteryError: the state is none that was ever left; the error names the battery.
    """
    batteries = Batteries(ConnectionGrid(state.lines), state.now_ms)
    for made in state.made:
        _make(batteries, made)
    engine = batteries.engine
    for one in state.schedules:
        engine.schedules[one.name] = Schedule(one.name, one.standing_ma, one.windows)
    batteries.closed_accounts += [
        ClosedAccount(one.name, one.source, one.closed_ms, Account(one.stretches, one.fine_ms))
        for one in state.closed
    ]
    engine.orders.update(state.orders)
    engine.agenda = Agenda(state.agenda)
    return batteries


def _made(batteries: Batteries) -> list[SourceState | AggregateState | SplitterState]:
    """Return how everything was made, in order; a splitter stands where its partitions do."""
    made = [_state(battery) for battery in batteries.engine.topology]
    return [one for one in made if one is not None]


def _state(battery: Battery) -> SourceState | AggregateState | SplitterState | None:
    match battery:
        case Physical():
            return _source(battery)
        case Aggregate():
            names = tuple(source.name for source in battery.sources)
            return AggregateState(
                "aggregator", battery.name, names, battery.ordered_ma, battery.unbalanced
            )
        case Partition():
            first = battery.divider.partitions[0]
            return _splitter(battery.divider) if battery is first else None
        case _:
            raise AssertionError(battery)


def _source(battery: Physical) -> SourceState:
    return SourceState(
        make="battery",
        name=battery.name,
        kind=battery.kind,
        interface=battery.interface,
        nameplate=battery.nameplate,
        point=battery.point,
        reading=battery.reading,
        online=battery.online,
        unsure=battery.unsure,
        ordered_ma=battery.ordered_ma,
    )


def _splitter(splitter: Splitter) -> SplitterState:
    accounts = [one.account for one in splitter.holdings if one.account is not None]
    return SplitterState(
        make="splitter",
        source=splitter.source.name,
        policy=splitter.policy,
        shares=tuple(Share(one.name, one.share_ppm) for one in splitter.holdings[:-1]),
        ordered_ma=tuple(one.ordered_ma for one in splitter.partitions),
        accounts=tuple(account.stretches for account in accounts),
        fine_ms=tuple(account.fine_ms for account in accounts),
    )


def _make(batteries: Batteries, made: SourceState | AggregateState | SplitterState) -> None:
    match made:
        case SourceState():
            batteries.make_battery(made.name, made.kind, made.interface, made.nameplate, made.point)
            source = batteries.engine.topology.source(made.name)
            source.reading, source.online, source.unsure = made.reading, made.online, made.unsure
            source.ordered_ma = made.ordered_ma
        case AggregateState():
            batteries.make_aggregator(made.name, made.sources)
            aggregate = batteries.battery(made.name)
            assert isinstance(aggregate, Aggregate), "it was made as one"
            aggregate.ordered_ma, aggregate.unbalanced = made.ordered_ma, made.unbalanced
        case SplitterState():
            batteries.make_splitter(made.shares, made.source, made.policy)
            _refill(batteries.battery(made.source).splitter, made)


def _refill(splitter: Splitter | None, made: SplitterState) -> None:
    assert splitter is not None, "it was made"
    for partition, ordered_ma in zip(splitter.partitions, made.ordered_ma, strict=True):
        partition.ordered_ma = ordered_ma
    fine_ms = made.fine_ms or [0] * len(made.accounts)
    for holding, stretches, fine in zip(splitter.holdings, made.accounts, fine_ms, strict=False):
        holding.account = Account(stretches, fine)
    splitter.forget()
