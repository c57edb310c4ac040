"""Commands to single meters: taken, and what became of them."""

from __future__ import annotations

import secrets
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Response
from structlog import get_logger

from harness.api.problems import ProblemError, away
from harness.headend.api.client import RefusedError, ShardAwayError
from harness.headend.api.models import CommandPage, CommandStanding, Order, Taken
from harness.headend.api.queries import PAGE, Asked, Count
from harness.headend.api.shards import HeadEnd

ID_BITS: Final = 62
"""Far from the numbers 0 to n that a run gives its own commands."""
ID_MAX: Final = 2**63 - 1
ATTEMPTS: Final = 2

Id = Annotated[str, Path(pattern=r"^[0-9]{1,19}$", description="as told when it was taken")]
After = Annotated[
    str | None, Query(pattern=r"^[0-9]{1,19}$", description="id before the first to tell")
]

router: Final = APIRouter(tags=["commands"])
log = get_logger(__name__)


@router.post("/commands", status_code=HTTPStatus.ACCEPTED)
async def give(head_end: Asked, order: Order, response: Response) -> Taken:
    """Give a command to one meter; it is executed exactly once, as soon as the meter is reached.

    It is durably in the journal when this answers 202; `GET /commands/{id}` says what became of it.
    After 503 look up the id in the problem's member ``command``: it may have been taken.
    """
    number = head_end.directory.meter(order.meter)
    command = {
        "id": secrets.randbits(ID_BITS),
        "meter": number,
        "kind": order.kind.value,
        "parameter": str(order.parameter),
        "created_at_us": head_end.now_us(),
    }
    await _hand_over(head_end, number, command)
    log.info("command taken", **command)
    taken = Taken(
        id=str(command["id"]),
        meter=head_end.directory.name(number),
        location=f"/commands/{command['id']}",
    )
    response.headers["Location"] = taken.location
    return taken


@router.get("/commands")
async def journal(head_end: Asked, after: After = None, count: Count = PAGE) -> CommandPage:
    """Which commands there are, by id, the run's own included, a page at a time."""
    bound = int(after) if after else -1
    lines = await _lines(head_end, after=min(bound, ID_MAX), count=count + 1)
    page = [CommandStanding.of(line, head_end.directory) for line in lines[:count]]
    return CommandPage(commands=page, next=page[-1].id if len(lines) > count else None)


@router.get("/commands/{id}")
async def standing(head_end: Asked, id: Id) -> CommandStanding:  # noqa: A002
    """What became of one command."""
    number = int(id)
    if number <= ID_MAX:
        for line in await _lines(head_end, after=number - 1, count=1):
            if line["id"] == number:
                return CommandStanding.of(line, head_end.directory)
    raise ProblemError(HTTPStatus.NOT_FOUND, f"there is no command {id}", field="id")


async def _hand_over(head_end: HeadEnd, meter: int, command: dict[str, Any]) -> None:
    """Give a command to its shard; once more if the answer was lost, which is no second command."""
    shard = head_end.directory.shard_of(meter)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            await head_end.ask(shard, "command", **command)
        except ShardAwayError as error:
            if attempt == ATTEMPTS:
                raise away(error, command=str(command["id"])) from error
        except RefusedError as error:
            # What can be wrong with a command was looked at before: this passes with time.
            raise away(error, command=str(command["id"])) from error
        else:
            return


async def _lines(head_end: HeadEnd, *, after: int, count: int) -> list[dict[str, Any]]:
    """Return the first lines of all journals with an id over ``after``, by id."""
    journals = await head_end.ask_stores("commands", after=after, count=count)
    lines = {line["id"]: line for journal in journals for line in journal}
    return [lines[number] for number in sorted(lines)][:count]
