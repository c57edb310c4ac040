"""Reading again from concentrators what the stores have lost: asked for, and how far it is."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final, Literal, Self

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from harness.api.problems import ProblemError
from harness.api.times import Moment, moment_text, moment_us_text
from harness.headend.api.queries import Asked

router: Final = APIRouter(tags=["head-end"])


class SpanAsked(BaseModel):
    """Captures from ``from`` on, before ``to``."""

    model_config = ConfigDict(extra="forbid")

    from_s: Moment = Field(alias="from")
    to_s: Moment = Field(alias="to")


class RecoveryStanding(BaseModel):
    """How far one shard is with the captures in [first, last].

    Of the readings looked for so far, ``missing`` were not in its store, ``read`` of these are
    back, and ``given_up`` their concentrators do not have or could not be asked for.
    """

    shard: int
    id: int
    first: str
    last: str
    state: Literal["under way", "over"]
    missing: int
    read: int
    given_up: int
    asked_at: str
    ended_at: str | None

    @classmethod
    def of(cls, shard: int, told: dict[str, Any]) -> Self:
        """Return what a shard tells of a recovery."""
        ended_us = told["ended_at_us"]
        return cls(
            shard=shard,
            first=moment_text(told["from_s"]),
            last=moment_text(told["to_s"]),
            state="under way" if ended_us is None else "over",
            asked_at=moment_us_text(told["asked_at_us"]),
            ended_at=None if ended_us is None else moment_us_text(ended_us),
            **{name: told[name] for name in ("id", "missing", "read", "given_up")},
        )


class RecoveryStandings(BaseModel):
    """Recoveries, each shard's own, the oldest first."""

    recoveries: list[RecoveryStanding]


@router.post("/recoveries", status_code=HTTPStatus.ACCEPTED)
async def recover(head_end: Asked, asked: SpanAsked) -> RecoveryStandings:
    """Read again from the concentrators what the stores lack of the captures in [from, to).

    For what the head-end had and lost: gaps it finds and fills by itself. Asked again while it goes
    on, nothing changes; after 503 ask again.
    """
    if asked.from_s >= asked.to_s:
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"to, {moment_text(asked.to_s)}, must be later than from, {moment_text(asked.from_s)}",
            field="to",
        )
    told = await head_end.ask_all("recover", from_s=asked.from_s, to_s=asked.to_s)
    return RecoveryStandings(
        recoveries=[RecoveryStanding.of(shard, one) for shard, one in enumerate(told)]
    )


@router.get("/recoveries")
async def recoveries(head_end: Asked) -> RecoveryStandings:
    """How far recoveries are: those under way, and the last hundred that are over."""
    told = await head_end.ask_all("recoveries")
    return RecoveryStandings(
        recoveries=[
            RecoveryStanding.of(shard, one) for shard, some in enumerate(told) for one in some
        ]
    )
