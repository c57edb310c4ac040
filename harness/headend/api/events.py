"""Questions about alarms and registrations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query

from harness.api.times import Moment
from harness.headend.api.models import (
    SEVERITIES,
    SOURCES,
    Alarm,
    Alarms,
    MeterText,
    Node,
    Nodes,
    SeverityName,
    SourceName,
)
from harness.headend.api.queries import NUMBER_MAX, PAGE, Asked, Count, span

CODE_MAX: Final = 0xFFFF
PLACE: Final = ("raised_at_s", "meter", "source", "code", "sequence")
"""What the order of alarms goes by."""
_CURSOR: Final = r"^-?[0-9]{1,12}(\.[0-9]{1,10}){4}$"

router: Final = APIRouter(tags=["head-end"])

RaisedFrom = Annotated[Moment | None, Query(alias="from", description="raised at or after")]
RaisedTo = Annotated[Moment | None, Query(alias="to", description="raised before")]


@router.get("/alarms")
async def alarms(
    head_end: Asked,
    meter: Annotated[MeterText | None, Query()] = None,
    severity: Annotated[SeverityName, Query(description="at least")] = "info",
    source: Annotated[SourceName | None, Query(description="event log, or status bits")] = None,
    code: Annotated[int | None, Query(ge=0, le=CODE_MAX)] = None,
    from_s: RaisedFrom = None,
    to_s: RaisedTo = None,
    after: Annotated[str | None, Query(pattern=_CURSOR, description="next of a page")] = None,
    count: Count = PAGE,
) -> Alarms:
    """Alarms that meters raised in [from, to), by default in the whole run, a page at a time."""
    directory = head_end.directory
    number = None if meter is None else directory.meter(meter)
    begin, end = span(head_end, from_s, to_s)
    wanted = {
        "from_s": begin,
        "to_s": end,
        "meter": number,
        "severity": SEVERITIES.index(severity),
        "source": None if source is None else SOURCES.index(source),
        "code": code,
        "after": None if after is None else [int(part) for part in after.split(".")],
        # One more tells whether there is another page.
        "count": count + 1,
    }
    if number is None:
        told = await head_end.ask_stores("alarms", **wanted)
    else:
        told = [await head_end.ask(directory.shard_of(number), "alarms", **wanted)]
    rows = sorted((row for columns in told for row in _rows(columns)), key=_place)
    page = [Alarm.of(row, directory) for row in rows[:count]]
    more = len(rows) > count
    return Alarms(alarms=page, next=".".join(map(str, _place(rows[count - 1]))) if more else None)


def _rows(columns: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for row in zip(*columns.values(), strict=True):
        yield dict(zip(columns, row, strict=True))


def _place(row: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(int(row[name]) for name in PLACE)


@router.get("/nodes")
async def nodes(
    head_end: Asked,
    first: Annotated[int, Query(ge=0, le=NUMBER_MAX, description="place of the first node")] = 0,
    count: Count = PAGE,
) -> Nodes:
    """The registration tables of the shards: which nodes registered, a page at a time."""
    found: list[Node] = []
    total = registered = 0
    for shard in range(head_end.directory.shards):
        after, wanted = max(0, first - total), count - len(found)
        told = await head_end.ask(shard, "nodes", after=after, count=wanted)
        found += [Node.of(line, shard, head_end.directory) for line in told["nodes"]]
        total += told["total"]
        registered += told["registered"]
    end = first + len(found)
    return Nodes(
        nodes=found, total=total, registered=registered, next=end if found and end < total else None
    )
