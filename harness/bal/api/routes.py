"""The routes: batteries made and removed, read and commanded, by name."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Request

from harness.api.asking import ControlClient
from harness.api.problems import ProblemError
from harness.bal.api.models import (
    Accepted,
    Batteries,
    Counts,
    Flow,
    ForgetFlows,
    Listed,
    Located,
    MakeAggregator,
    MakeBattery,
    MakeSplitter,
    ScheduleCurrent,
    SetCurrent,
    SetMagnitude,
    Status,
)
from harness.bal.happenings import (
    FORGET,
    MAKE_AGGREGATOR,
    MAKE_BATTERY,
    MAKE_SPLITTER,
    REMOVE,
    SCHEDULE,
    SET_CURRENT,
    SETTLE,
)
from harness.bal.model.values import Nameplate

ANSWER_S: Final = 120.0
"""Real seconds for an answer: batteries behind slow links may have to be read first."""
PAGE: Final = 1_000
PAGE_MAX: Final = 10_000

router: Final = APIRouter(tags=["batteries"])
"""Names may have slashes in them, so the route of a name alone comes after those behind a name."""


def _layer_of(request: Request) -> ControlClient:
    layer: ControlClient = request.app.state.layer
    return layer


Asked = Annotated[ControlClient, Depends(_layer_of)]
Name = Annotated[str, Path(max_length=200, description="name of a battery")]
After = Annotated[int, Query(ge=0, le=2**53, description="how many to leave out")]
Count = Annotated[int, Query(ge=1, le=PAGE_MAX, description="how many at most")]
At = Annotated[int, Query(ge=0, le=2**53, description="POSIX milliseconds")]


async def _command(
    layer: ControlClient, kind: str, details: Mapping[str, Any], command: str | None
) -> Accepted:
    await layer.ask("command", timeout_s=ANSWER_S, kind=kind, details=dict(details), id=command)
    return Accepted(id=command)


@router.get("/batteries")
async def batteries(layer: Asked, after: After = 0, count: Count = PAGE) -> Batteries:
    """All batteries in the order in which they were made, a page at a time."""
    told = await layer.ask("batteries", after=after, count=count)
    end = after + len(told["names"])
    pairs = zip(told["names"], told["kinds"], strict=True)
    return Batteries(
        batteries=[Listed(name=name, kind=kind) for name, kind in pairs],
        total=told["total"],
        next=end if end < told["total"] else None,
    )


@router.get("/batteries/{name:path}/location")
async def location(layer: Asked, name: Name) -> Located | None:
    """Where a battery is connected; null where that is not known."""
    told = await layer.ask("location", name=name)
    return None if told is None else Located.model_validate(told)


@router.get("/batteries/{name:path}/flows")
async def flows_of_one(
    layer: Asked, name: Name, from_ms: At = 0, to_ms: At | None = None
) -> list[Flow]:
    """What the virtual meter of one partition registered in [from_ms, to_ms)."""
    return await _flows(layer, from_ms, to_ms, name)


@router.get("/batteries/{name:path}")
async def status(layer: Asked, name: Name) -> Status:
    """One atomic snapshot of a battery. What it rests on is read anew first, if it is too old."""
    return Status.model_validate(await layer.ask("status", timeout_s=ANSWER_S, name=name))


@router.get("/flows")
async def flows(layer: Asked, from_ms: At = 0, to_ms: At | None = None) -> list[Flow]:
    """What all virtual meters registered in [from_ms, to_ms), for billing."""
    return await _flows(layer, from_ms, to_ms)


@router.post("/flows/forget")
async def forget_flows(layer: Asked, asked: ForgetFlows) -> Accepted:
    """Let go of what virtual meters registered before a moment, once it has been exported."""
    return await _command(layer, FORGET, {"before_ms": asked.before_ms}, asked.id)


async def _flows(
    layer: ControlClient, from_ms: int, to_ms: int | None, name: str | None = None
) -> list[Flow]:
    if to_ms is not None and to_ms < from_ms:
        detail = f"from {from_ms} to {to_ms} ms is no time: let it end after its start"
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, detail, field="to_ms")
    told = await layer.ask("flows", timeout_s=ANSWER_S, from_ms=from_ms, to_ms=to_ms, name=name)
    return [Flow.model_validate(flow) for flow in told]


@router.get("/status")
async def counts(layer: Asked) -> Counts:
    """How the layer is, and what it has counted since it started."""
    return Counts.model_validate(await layer.ask("counts"))


@router.post("/batteries/{name:path}/current")
async def set_current(layer: Asked, name: Name, asked: SetCurrent) -> Accepted:
    """Let a battery do a current until further notice; positive discharges."""
    details = {"name": name, "current_ma": asked.current_ma}
    return await _command(layer, SET_CURRENT, details, asked.id)


@router.post("/batteries/{name:path}/charge")
async def set_charge(layer: Asked, name: Name, asked: SetMagnitude) -> Accepted:
    """Charge a battery until further notice."""
    details = {"name": name, "current_ma": -asked.current_ma}
    return await _command(layer, SET_CURRENT, details, asked.id)


@router.post("/batteries/{name:path}/discharge")
async def set_discharge(layer: Asked, name: Name, asked: SetMagnitude) -> Accepted:
    """Discharge a battery until further notice."""
    details = {"name": name, "current_ma": asked.current_ma}
    return await _command(layer, SET_CURRENT, details, asked.id)


@router.post("/batteries/{name:path}/schedule")
async def schedule(layer: Asked, name: Name, asked: ScheduleCurrent) -> Accepted:
    """Let a battery do a current in a window of time; a later one wins in its own window."""
    details = {"name": name, **asked.model_dump(exclude={"id"})}
    return await _command(layer, SCHEDULE, details, asked.id)


@router.post("/batteries/{name:path}/settle")
async def settle(layer: Asked, name: Name) -> Accepted:
    """Take the measured charge of a battery into the accounts of its partitions."""
    return await _command(layer, SETTLE, {"name": name}, None)


@router.post("/batteries")
async def make_battery(layer: Asked, asked: MakeBattery) -> Accepted:
    """Make a physical or networked battery; it is out of reach until it is read."""
    plate = Nameplate.of(
        voltage_mv=asked.voltage_mv,
        max_charge_ma=asked.max_charge_ma,
        max_discharge_ma=asked.max_discharge_ma,
        capacity_mah=asked.capacity_mah,
    )
    details = {
        "name": asked.name,
        "kind": asked.kind,
        "interface": asked.interface,
        "nameplate": [
            plate.voltage_mv,
            plate.max_charge_ma,
            plate.max_discharge_ma,
            plate.capacity_ma_ms,
        ],
        "point": asked.point,
    }
    return await _command(layer, MAKE_BATTERY, details, asked.id)


@router.post("/aggregators")
async def make_aggregator(layer: Asked, asked: MakeAggregator) -> Accepted:
    """Make one battery of several."""
    return await _command(layer, MAKE_AGGREGATOR, asked.model_dump(exclude={"id"}), asked.id)


@router.post("/splitters")
async def make_splitter(layer: Asked, asked: MakeSplitter) -> Accepted:
    """Make several batteries of one, named from the top down."""
    details = {
        "source": asked.source,
        "policy": asked.policy,
        "shares": [[part.name, part.share_ppm] for part in asked.partitions],
    }
    return await _command(layer, MAKE_SPLITTER, details, asked.id)


@router.delete("/batteries/{name:path}")
async def remove(layer: Asked, name: Name) -> Accepted:
    """Remove a battery that nobody else is made of, after stopping it."""
    return await _command(layer, REMOVE, {"name": name}, None)
