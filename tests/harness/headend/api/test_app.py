from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.support.shard_socket import FakeShard

PATHS = {
    "/health": {"get"},
    "/readings": {"get"},
    "/devices": {"get"},
    "/gaps": {"get"},
    "/status": {"get"},
    "/commands": {"get", "post"},
    "/commands/{id}": {"get"},
    "/alarms": {"get"},
    "/nodes": {"get"},
    "/export": {"get"},
    "/recoveries": {"get", "post"},
    "/metrics": {"get"},
}
Shards = tuple[FakeShard, FakeShard]
CLOSED = [
    "/readings?meter=0",
    "/devices",
    "/gaps",
    "/recoveries",
    "/commands",
    "/commands/1",
    "/export",
    "/status",
    "/metrics",
]


@pytest.fixture
def document(client: TestClient) -> dict[str, Any]:
    told: dict[str, Any] = client.get("/openapi.json").json()
    return told


def test_there_is_what_is_promised(document: dict[str, Any]) -> None:
    assert {path: set(item) for path, item in document["paths"].items()} == PATHS


@pytest.mark.parametrize("path", CLOSED)
def test_no_shard_is_asked_without_the_token(client: TestClient, shards: Shards, path: str) -> None:
    del client.headers["Authorization"]
    assert client.get(path).status_code == 401
    assert shards[0].asked == shards[1].asked == []


def test_times_are_documented_as_text(document: dict[str, Any]) -> None:
    parameters = {
        item["name"]: item for item in document["paths"]["/readings"]["get"]["parameters"]
    }
    assert parameters["meter"]["required"]
    assert parameters["from"]["schema"]["anyOf"][0]["type"] == "string"
