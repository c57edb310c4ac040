from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from harness.api.access import BODY_MAX
from harness.headend.api.config import ApiConfig
from tests.harness.headend.api.conftest import TOKEN
from tests.support.shard_socket import FakeShard

Shards = tuple[FakeShard, FakeShard]
CLOSED = [
    "/readings?meter=0",
    "/devices",
    "/gaps",
    "/commands",
    "/commands/1",
    "/export",
    "/status",
    "/metrics",
    "/nowhere",
    "/docs/",
    "/health/x",
]


@pytest.mark.parametrize("path", CLOSED)
def test_nothing_is_told_without_the_token(client: TestClient, shards: Shards, path: str) -> None:
    del client.headers["Authorization"]
    answer = client.get(path, follow_redirects=False)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="meterstorm"'
    assert answer.headers["content-type"] == "application/problem+json"
    assert shards[0].asked == shards[1].asked == []


@pytest.mark.parametrize(
    "offered",
    [
        "Bearer wrong",
        f"Basic {TOKEN}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        TOKEN,
        "Bearer",
        "",
    ],
)
def test_another_token_is_refused_before_the_body_is_read(
    client: TestClient, shards: Shards, offered: str
) -> None:
    answer = client.post("/commands", content=b"{", headers={"Authorization": offered})
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert TOKEN not in answer.text


def test_the_scheme_may_be_written_either_way(client: TestClient, shards: Shards) -> None:
    headers = {"Authorization": f"bearer  {TOKEN}"}
    assert client.get("/devices", headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["/health", "/openapi.json", "/docs"])
def test_what_tells_nothing_asks_for_no_token(client: TestClient, path: str) -> None:
    del client.headers["Authorization"]
    answer = client.get(path)
    assert answer.status_code == 200
    assert TOKEN not in answer.text


def test_a_body_is_bounded_by_what_it_announces(client: TestClient) -> None:
    answer = client.post("/commands", content=b" " * (BODY_MAX + 1))
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_body_without_length_is_bounded_too(config: ApiConfig, client: TestClient) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(BODY_MAX // 1024 + 2):
            yield b" " * 1024

    assert client.post("/commands", content=endless()).status_code == 413


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nowhere", 404), ("DELETE", "/commands", 405)]
)
def test_what_is_not_there_is_a_problem_too(
    client: TestClient, method: str, path: str, status: int
) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status


def test_our_own_mistake_tells_nothing_of_itself(client: TestClient, shards: Shards) -> None:
    shards[0].answers["readings"] = {"values": "secret"}
    answer = client.get("/readings", params={"meter": "0"})
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in answer.text
