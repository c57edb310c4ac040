"""What has been lost is asked for of every shard, and each says how far it is."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.harness.headend.api.conftest import FIRST_S, STEP_S
from tests.support.shard_socket import FakeShard, Hangup

Shards = tuple[FakeShard, FakeShard]


def told(**changes: Any) -> dict[str, Any]:
    """Return a recovery as a shard tells it."""
    begins_s = FIRST_S - 4 * STEP_S
    recovery = {
        "id": 3,
        "from_s": begins_s,
        "to_s": FIRST_S - STEP_S,
        "asked_at_us": FIRST_S * 1_000_000,
        "next_s": begins_s,
        "missing": 24,
        "read": 20,
        "given_up": 1,
        "left": None,
        "passes": 0,
        "ended_at_us": None,
    }
    return recovery | changes


def test_every_shard_is_asked_for_the_span(client: TestClient, shards: Shards) -> None:
    for number, shard in enumerate(shards):
        shard.answers["recover"] = told(id=number + 1)
    body = {"from": "2026-01-31T13:00:00Z", "to": "2026-01-31T14:00:00Z"}
    answer = client.post("/recoveries", json=body)
    assert answer.status_code == 202, answer.text
    first, second = answer.json()["recoveries"]
    assert (first["shard"], first["id"], second["shard"], second["id"]) == (0, 1, 1, 2)
    assert first == {
        "shard": 0,
        "id": 1,
        "first": "2026-01-31T13:00:00Z",
        "last": "2026-01-31T13:45:00Z",
        "state": "under way",
        "missing": 24,
        "read": 20,
        "given_up": 1,
        "asked_at": "2026-01-31T14:00:00Z",
        "ended_at": None,
    }
    expected = {"ask": "recover", "from_s": FIRST_S - 4 * STEP_S, "to_s": FIRST_S}
    assert [shard.asked for shard in shards] == [[expected], [expected]]


def test_progress_is_told_by_shard(client: TestClient, shards: Shards) -> None:
    ended_us = FIRST_S * 1_000_000 + 7_500_000
    shards[0].answers["recoveries"] = [told(ended_at_us=ended_us, id=1), told(id=2)]
    shards[1].answers["recoveries"] = []
    answer = client.get("/recoveries")
    assert answer.status_code == 200
    assert [(one["id"], one["state"], one["ended_at"]) for one in answer.json()["recoveries"]] == [
        (1, "over", "2026-01-31T14:00:07.500000Z"),
        (2, "under way", None),
    ]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"from": "2026-01-31T14:00:00Z", "to": "2026-01-31T14:00:00Z"}, "must be later"),
        ({"from": "yesterday", "to": "2026-01-31T14:00:00Z"}, "ISO 8601"),
        ({"from": 0}, "to"),
        ({"from": 0, "to": 900, "twice": True}, "Extra inputs"),
    ],
)
def test_a_span_that_is_none_is_refused(
    client: TestClient, shards: Shards, body: dict[str, Any], reason: str
) -> None:
    answer = client.post("/recoveries", json=body)
    assert answer.status_code == 422
    assert reason in answer.json()["detail"] + str(answer.json().get("errors"))
    assert shards[0].asked == shards[1].asked == []


def test_why_a_shard_refuses_is_told(client: TestClient, shards: Shards) -> None:
    refusal = {"error": "nothing to recover: no capture", "kind": "invalid"}
    shards[0].answers["recover"] = shards[1].answers["recover"] = refusal
    answer = client.post("/recoveries", json={"from": 0, "to": 900})
    assert answer.status_code == 422
    assert "nothing to recover" in answer.json()["detail"]


def test_a_shard_that_is_away_is_asked_again_later(client: TestClient, shards: Shards) -> None:
    def away(question: object) -> None:
        raise Hangup

    shards[0].answers["recover"] = told()
    shards[1].answers["recover"] = away
    answer = client.post("/recoveries", json={"from": 0, "to": 900})
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
