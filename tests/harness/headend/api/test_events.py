"""Alarms and registrations over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from harness.headend.api.config import ApiConfig
from tests.harness.headend.api.conftest import FIRST_S, STEP_S, STEPS, serve
from tests.support.shard_socket import FakeShard

Shards = tuple[FakeShard, FakeShard]


def test_alarms_of_all_shards_come_in_order_page_by_page(
    client: TestClient, shards: Shards
) -> None:
    seen: list[dict[str, Any]] = []
    query: dict[str, Any] = {"count": 3}
    pages = 0
    while True:
        page = client.get("/alarms", params=query).json()
        seen += page["alarms"]
        pages += 1
        if page["next"] is None:
            break
        query["after"] = page["next"]
    assert pages == 4
    assert len(seen) == 10
    assert [alarm["raised_at"] for alarm in seen] == [
        f"2026-01-31T14:{minute:02d}:00Z" for minute in range(10)
    ]
    assert seen[0] == {
        "meter": "MST0000000000002",
        "severity": "info",
        "name": "Communication terminated normally",
        "source": "log",
        "code": 12,
        "sequence": 5,
        "raised_at": "2026-01-31T14:00:00Z",
        "argument": 3,
        "stored_at": "2026-01-31T14:00:00Z",
    }
    assert (seen[1]["name"], seen[1]["severity"]) == ("Tamper detected", "alarm")


def test_a_question_for_one_meter_asks_its_shard_only(client: TestClient, shards: Shards) -> None:
    query: dict[str, str | int] = {
        "meter": "7",
        "severity": "warning",
        "source": "status",
        "code": 12,
        "from": str(FIRST_S),
        "after": f"{FIRST_S}.7.1.12.5",
        "count": 2,
    }
    answer = client.get("/alarms", params=query)
    assert answer.status_code == 200, answer.text
    assert shards[0].asked == []
    assert shards[1].asked == [
        {
            "ask": "alarms",
            "from_s": FIRST_S,
            "to_s": FIRST_S + STEPS * STEP_S,
            "meter": 7,
            "severity": 1,
            "source": 1,
            "code": 12,
            "after": [FIRST_S, 7, 1, 12, 5],
            "count": 3,
        }
    ]


def test_a_shared_store_is_asked_once(config: ApiConfig, shards: Shards) -> None:
    with serve(config.model_copy(update={"shared_store": True})) as client:
        assert len(client.get("/alarms").json()["alarms"]) == 5
    assert shards[1].asked == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"meter": "MST1"}, "meter"),
        ({"severity": "dire"}, "severity"),
        ({"source": "rumour"}, "source"),
        ({"code": "65536"}, "code"),
        ({"from": "yesterday"}, "from"),
        ({"after": "7"}, "after"),
        ({"after": "1.2.3.4.x"}, "after"),
        ({"count": "1001"}, "count"),
    ],
)
def test_a_bad_question_is_told_which_field(
    client: TestClient, shards: Shards, query: dict[str, str], field: str
) -> None:
    answer = client.get("/alarms", params=query)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert shards[0].asked == shards[1].asked == []


def test_nodes_are_paged_over_the_shards(client: TestClient, shards: Shards) -> None:
    titles: list[str] = []
    following: int | None = 0
    while following is not None:
        page = client.get("/nodes", params={"first": following, "count": 2}).json()
        assert (page["total"], page["registered"]) == (6, 4)
        titles += [node["title"] for node in page["nodes"]]
        following = page["next"]
    assert titles == ["00", "01", "02", "10", "11", "12"]


def test_a_node_is_a_meter_or_a_concentrator(client: TestClient, shards: Shards) -> None:
    nodes = client.get("/nodes").json()["nodes"]
    assert nodes[3]["meter"] is None
    assert nodes[4] == {
        "title": "11",
        "shard": 1,
        "concentrator": 2,
        "meter": "MST0000000000007",
        "address": "7f010001",
        "period_s": 60,
        "registered": True,
        "registered_at": "2026-01-31T14:00:00Z",
        "expires_at": "2026-01-31T14:01:00Z",
    }
    past = client.get("/nodes", params={"first": 6}).json()
    assert (past["nodes"], past["next"]) == ([], None)
