"""A small API made as ours are, before nothing at all."""

from __future__ import annotations

from typing import Annotated, Final

import pytest
from fastapi import APIRouter, FastAPI, Query
from pydantic import BaseModel, ConfigDict
from starlette.testclient import TestClient

from harness.api.application import guarded
from harness.api.asking import AwayError, RefusedError
from harness.api.problems import NotThereError

TOKEN: Final = "a_token_of_a_test:_0123456789"


class Taken(BaseModel):
    """What it takes."""

    model_config = ConfigDict(extra="forbid")

    amount: int


class UnknownThingError(NotThereError):
    """There is no such thing."""

    field = "thing"


def small() -> tuple[FastAPI, list[str]]:
    """Return an API, and the list of what reaches its routes."""
    router, reached = APIRouter(), list[str]()

    @router.get("/told")
    async def told(count: Annotated[int, Query(ge=1)] = 1) -> Taken:
        """Tells a number."""
        reached.append("told")
        return Taken(amount=count)

    @router.post("/taken")
    async def taken(given: Taken) -> Taken:
        """Takes a number."""
        reached.append("taken")
        return given

    @router.get("/failing")
    async def failing(kind: str) -> Taken:
        """Fails as it is asked to."""
        raise {
            "away": AwayError("process", "nobody listens"),
            "store": RefusedError("process", "store", "the store is away"),
            "refused": RefusedError("process", "invalid", "so it cannot be"),
            "unknown": UnknownThingError("there is no thing 7"),
        }.get(kind, ZeroDivisionError("secret"))

    return guarded("Small", "Next to nothing.", [router], TOKEN), reached


@pytest.fixture
def served() -> tuple[FastAPI, list[str]]:
    """An API, and the list of what reached its routes."""
    return small()


@pytest.fixture
def reached(served: tuple[FastAPI, list[str]]) -> list[str]:
    """What reached the routes."""
    return served[1]


@pytest.fixture
def client(served: tuple[FastAPI, list[str]]) -> TestClient:
    """Somebody with the token."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return TestClient(served[0], headers=headers, raise_server_exceptions=False)
