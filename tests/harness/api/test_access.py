from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from harness.api.access import BODY_MAX
from tests.harness.api.conftest import TOKEN

CLOSED = ["/told", "/nowhere", "/docs/", "/health/x"]


@pytest.mark.parametrize("path", CLOSED)
def test_nothing_is_told_without_the_token(
    client: TestClient, reached: list[str], path: str
) -> None:
    del client.headers["Authorization"]
    answer = client.get(path, follow_redirects=False)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="meterstorm"'
    assert answer.headers["content-type"] == "application/problem+json"
    assert reached == []


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
    client: TestClient, reached: list[str], offered: str
) -> None:
    answer = client.post("/taken", content=b"{", headers={"Authorization": offered})
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert TOKEN not in answer.text
    assert reached == []


def test_the_scheme_may_be_written_either_way(client: TestClient) -> None:
    headers = {"Authorization": f"bearer  {TOKEN}"}
    assert client.get("/told", headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["/health", "/openapi.json", "/docs"])
def test_what_tells_nothing_asks_for_no_token(client: TestClient, path: str) -> None:
    del client.headers["Authorization"]
    answer = client.get(path)
    assert answer.status_code == 200
    assert TOKEN not in answer.text


def test_a_body_is_bounded_by_what_it_announces(client: TestClient, reached: list[str]) -> None:
    answer = client.post("/taken", content=b'{"amount":1}'.ljust(BODY_MAX + 1))
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert reached == []


def test_a_body_of_the_largest_size_is_taken(client: TestClient, reached: list[str]) -> None:
    body = b'{"amount":1}'.ljust(BODY_MAX)
    answer = client.post("/taken", content=body, headers={"Content-Type": "application/json"})
    assert answer.json() == {"amount": 1}
    assert reached == ["taken"]


def test_a_body_without_length_is_bounded_too(client: TestClient, reached: list[str]) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(BODY_MAX // 1024 + 2):
            yield b" " * 1024

    assert client.post("/taken", content=endless()).status_code == 413
    assert reached == []
