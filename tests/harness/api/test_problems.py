"""Whatever goes wrong is told as a problem (RFC 9457)."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

FAILURES = [
    pytest.param("away", 503, "process does not answer: nobody listens", id="away"),
    pytest.param("store", 503, "the store is away", id="its store is away"),
    pytest.param("refused", 422, "so it cannot be", id="refused"),
    pytest.param("unknown", 404, "there is no thing 7", id="not there"),
]


@pytest.mark.parametrize(("kind", "status", "detail"), FAILURES)
def test_what_stands_behind_has_its_own_words(
    client: TestClient, kind: str, status: int, detail: str
) -> None:
    answer = client.get("/failing", params={"kind": kind})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["status"], answer.json()["detail"]) == (status, detail)
    assert ("retry-after" in answer.headers) == (status == 503)


def test_what_is_not_there_names_its_field(client: TestClient) -> None:
    told = client.get("/failing", params={"kind": "unknown"}).json()
    assert told["errors"] == [{"field": "thing", "message": "there is no thing 7"}]


def test_our_own_mistake_tells_nothing_of_itself(client: TestClient) -> None:
    answer = client.get("/failing", params={"kind": "mistake"})
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nowhere", 404), ("DELETE", "/told", 405)]
)
def test_what_leads_nowhere_is_a_problem_too(
    client: TestClient, method: str, path: str, status: int
) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status


def test_bad_input_names_every_field(client: TestClient) -> None:
    answer = client.post("/taken", json={"amount": "x", "other": 1})
    assert answer.status_code == 422
    assert {error["field"] for error in answer.json()["errors"]} == {"amount", "other"}
    answer = client.get("/told", params={"count": 0})
    assert [error["field"] for error in answer.json()["errors"]] == ["count"]
