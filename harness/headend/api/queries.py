"""Questions about the head-end: readings, devices, gaps, how it is."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request

from harness.api.problems import ProblemError
from harness.api.times import MOMENT_MAX_S, Moment, moment_text
from harness.headend.api.models import (
    Device,
    Devices,
    Gap,
    Gaps,
    MeterText,
    Readings,
    ShardStanding,
    Status,
)
from harness.headend.api.shards import HeadEnd

CAPTURES_MAX: Final = 10_000
"""Captures that one question for readings may span: 104 days of quarter-hours."""
PAGE_MAX: Final = 1000
PAGE: Final = 100
NUMBER_MAX: Final = 2**32

router: Final = APIRouter(tags=["head-end"])


def head_end_of(request: Request) -> HeadEnd:
    """Return the head-end that the application stands for."""
    head_end: HeadEnd = request.app.state.head_end
    return head_end


Asked = Annotated[HeadEnd, Depends(head_end_of)]
First = Annotated[int, Query(ge=0, le=NUMBER_MAX, description="number of the first concentrator")]
Count = Annotated[int, Query(ge=1, le=PAGE_MAX, description="how many at most")]
From = Annotated[Moment | None, Query(alias="from", description="captured at or after")]
To = Annotated[Moment | None, Query(alias="to", description="captured before")]


def span(head_end: HeadEnd, from_s: int | None, to_s: int | None) -> tuple[int, int]:
    """Return a span of captures, where nothing is said the whole run's. Raises `ProblemError`."""
    directory = head_end.directory
    begin = directory.first_s if from_s is None else from_s
    end = directory.first_s + directory.steps * directory.step_s if to_s is None else to_s
    end = min(end, MOMENT_MAX_S)
    if begin >= end:
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"to, {moment_text(end)}, must be later than from, {moment_text(begin)}",
            field="from" if to_s is None else "to",
        )
    return begin, end


@router.get("/readings")
async def readings(
    head_end: Asked,
    meter: Annotated[MeterText, Query()],
    from_s: From = None,
    to_s: To = None,
) -> Readings:
    """What one meter's readings are, captured in [from, to); by default the whole run's."""
    directory = head_end.directory
    number = directory.meter(meter)
    begin, end = span(head_end, from_s, to_s)
    longest_s = CAPTURES_MAX * directory.step_s
    if end - begin > longest_s:
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"from and to may lie at most {longest_s:,} s ({CAPTURES_MAX:,} captures) apart",
            field="from" if to_s is None else "to",
        )
    shard = directory.shard_of(number)
    columns = await head_end.ask(shard, "readings", meter=number, from_s=begin, to_s=end)
    return Readings.of(directory.name(number), columns)


@router.get("/devices")
async def devices(head_end: Asked, first: First = 0, count: Count = PAGE) -> Devices:
    """Which concentrators there are, by number, a page at a time."""
    directory = head_end.directory
    found: list[Device] = []
    for shard in range(directory.shards):
        wanted = count - len(found)
        if wanted and directory.concentrators_of(shard).stop > first:
            told = await head_end.ask(shard, "devices", first=first, count=wanted)
            found += [
                Device(
                    **device | {"first_meter": directory.name(device["first_meter"])}, shard=shard
                )
                for device in told
            ]
    end = found[-1].number + 1 if found else directory.concentrators
    return Devices(
        devices=found,
        total=directory.concentrators,
        next=end if end < directory.concentrators else None,
    )


@router.get("/gaps")
async def gaps(head_end: Asked, first: First = 0, count: Count = PAGE) -> Gaps:
    """Which readings are overdue and still fetched, by concentrator, a page at a time."""
    told = [gap for answer in await head_end.ask_all("gaps") for gap in answer]
    told.sort(key=lambda gap: int(gap["concentrator"]))
    later = [gap for gap in told if gap["concentrator"] >= first]
    page = [
        Gap(
            concentrator=gap["concentrator"],
            first=moment_text(gap["from_s"]),
            last=moment_text(gap["to_s"]),
            missing=gap["missing"],
        )
        for gap in later[:count]
    ]
    return Gaps(
        gaps=page,
        missing=sum(gap["missing"] for gap in told),
        next=later[count]["concentrator"] if len(later) > count else None,
    )


@router.get("/status")
async def status(head_end: Asked) -> Status:
    """How every shard is, and what it has counted since it started."""
    directory = head_end.directory
    shards = []
    for shard, told in enumerate(await head_end.statuses()):
        if isinstance(told, Exception):
            shards.append(ShardStanding(shard=shard, up=False, reason=str(told)))
            continue
        shards.append(
            ShardStanding(
                shard=shard,
                up=True,
                counts=told["counts"],
                commits=told["commits"],
                missing=told["missing"],
                conflicts=told["conflicts"],
                store_bytes=told["size_bytes"],
            )
        )
    return Status(
        shards=shards,
        shared_store=head_end.config.shared_store,
        first_capture=moment_text(directory.first_s),
        step_s=directory.step_s,
        steps=directory.steps,
        meters=directory.first_meters[-1],
        registers=list(directory.registers),
    )
