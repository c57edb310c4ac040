from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from harness.headend.api.queries import CAPTURES_MAX
from tests.harness.headend.api.conftest import FIRST_S, STEP_S, STEPS
from tests.support.shard_socket import FakeShard, Hangup

Shards = tuple[FakeShard, FakeShard]


def fields(problem: dict[str, Any]) -> list[str]:
    return [error["field"] for error in problem["errors"]]


@pytest.mark.parametrize("meter", ["MST0000000000008", "7"])
def test_readings_come_from_the_shard_that_has_the_meter(
    client: TestClient, shards: Shards, meter: str
) -> None:
    answer = client.get("/readings", params={"meter": meter})
    assert answer.status_code == 200
    assert answer.json() == {
        "meter": "MST0000000000008",
        "readings": [
            {
                "captured_at": "2026-01-31T14:00:00Z",
                "profile": 1,
                "status": 4,
                "via": "gap filling",
                "stored_at": "2026-01-31T14:00:01.500000Z",
                "values": {"import_wh": 7, "export_wh": 7},
            }
        ],
    }
    end_s = FIRST_S + STEPS * STEP_S
    assert shards[1].asked == [{"ask": "readings", "meter": 7, "from_s": FIRST_S, "to_s": end_s}]
    assert shards[0].asked == []


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        ("2026-01-31T15:00:00+01:00", "2026-01-31T14:15:00Z"),
        ("1769868000", "1769868900"),
        ("2026-01-31 14:00", "2026-01-31T14:15"),
    ],
)
def test_times_are_iso_or_posix_seconds(
    client: TestClient, shards: Shards, begin: str, end: str
) -> None:
    client.get("/readings", params={"meter": 0, "from": begin, "to": end})
    (asked,) = shards[0].asked
    assert (asked["from_s"], asked["to_s"]) == (FIRST_S, FIRST_S + 900)


def test_a_plus_sign_that_nobody_encoded_is_understood(client: TestClient, shards: Shards) -> None:
    client.get("/readings?meter=0&from=2026-01-31T15:00:00+01:00")
    assert shards[0].asked[0]["from_s"] == FIRST_S


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({}, "meter"),
        ({"meter": "MST1"}, "meter"),
        ({"meter": "-1"}, "meter"),
        ({"meter": "0", "from": "yesterday"}, "from"),
        ({"meter": "0", "to": "12026-01-01T00:00:00Z"}, "to"),
        ({"meter": "0", "from": str(FIRST_S), "to": str(FIRST_S)}, "to"),
        ({"meter": "0", "from": str(FIRST_S + STEPS * STEP_S)}, "from"),
        ({"meter": "0", "to": str(FIRST_S + CAPTURES_MAX * STEP_S + 1)}, "to"),
        ({"meter": "0", "from": "0"}, "from"),
    ],
)
def test_a_bad_question_is_told_which_field(
    client: TestClient, shards: Shards, query: dict[str, str], field: str
) -> None:
    answer = client.get("/readings", params=query)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert fields(told) == [field]
    assert (told["type"], told["status"]) == ("about:blank", 422)
    assert told["title"]
    assert field in told["detail"]
    assert shards[0].asked == shards[1].asked == []


def test_the_longest_span_is_allowed(client: TestClient, shards: Shards) -> None:
    end = FIRST_S + CAPTURES_MAX * STEP_S
    assert client.get("/readings", params={"meter": "0", "to": end}).status_code == 200


@pytest.mark.parametrize("meter", ["MST0000000000016", "MST0000000000000", "15"])
def test_an_unknown_meter_is_not_found(client: TestClient, shards: Shards, meter: str) -> None:
    answer = client.get("/readings", params={"meter": meter})
    assert answer.status_code == 404
    assert fields(answer.json()) == ["meter"]
    assert meter in answer.json()["detail"]


def test_a_shard_that_is_away_is_worth_another_try(client: TestClient) -> None:
    answer = client.get("/readings", params={"meter": "0"})
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert answer.headers["content-type"] == "application/problem+json"
    assert "shard 0" in answer.json()["detail"]


def test_so_is_one_that_hangs_up(client: TestClient, shards: Shards) -> None:
    def hang_up(question: object) -> None:
        raise Hangup

    shards[0].answers["readings"] = hang_up
    assert client.get("/readings", params={"meter": "0"}).status_code == 503


@pytest.mark.parametrize(("kind", "status"), [("store", 503), ("invalid", 422)])
def test_what_a_shard_refuses_is_told(
    client: TestClient, shards: Shards, kind: str, status: int
) -> None:
    shards[0].answers["readings"] = {"error": "ask for less", "kind": kind}
    answer = client.get("/readings", params={"meter": "0"})
    assert answer.status_code == status
    assert answer.json()["detail"] == "ask for less"


def test_devices_are_paged_over_the_shards(client: TestClient, shards: Shards) -> None:
    seen: list[dict[str, Any]] = []
    following: int | None = 0
    pages = 0
    while following is not None:
        page = client.get("/devices", params={"first": following, "count": 2}).json()
        assert page["total"] == 5
        seen += page["devices"]
        following = page["next"]
        pages += 1
    assert pages == 3
    assert [device["number"] for device in seen] == [0, 1, 2, 3, 4]
    assert [device["shard"] for device in seen] == [0, 0, 1, 1, 1]
    assert seen[4]["first_meter"] == "MST0000000000013"


def test_a_page_asks_only_the_shards_it_needs(client: TestClient, shards: Shards) -> None:
    client.get("/devices", params={"count": 2})
    assert shards[1].asked == []
    client.get("/devices", params={"first": 3})
    assert len(shards[0].asked) == 1
    past = client.get("/devices", params={"first": 5}).json()
    assert (past["devices"], past["next"]) == ([], None)


@pytest.mark.parametrize("path", ["/devices", "/gaps", "/commands"])
@pytest.mark.parametrize("count", [0, 1001, "many"])
def test_page_sizes_are_bounded(client: TestClient, path: str, count: object) -> None:
    answer = client.get(path, params={"count": str(count)})
    assert answer.status_code == 422
    assert fields(answer.json()) == ["count"]


def test_gaps_of_all_shards_are_paged_by_concentrator(client: TestClient, shards: Shards) -> None:
    page = client.get("/gaps", params={"count": 3}).json()
    assert [gap["concentrator"] for gap in page["gaps"]] == [0, 1, 2]
    assert page["gaps"][1] == {
        "concentrator": 1,
        "first": "2026-01-31T14:00:00Z",
        "last": "2026-01-31T14:00:00Z",
        "missing": 3,
    }
    assert page["missing"] == 8
    last = client.get("/gaps", params={"first": page["next"]}).json()
    assert [gap["concentrator"] for gap in last["gaps"]] == [3]
    assert last["next"] is None


def test_the_status_tells_of_every_shard(client: TestClient, shards: Shards) -> None:
    shards[1].answers["status"] = {"error": "no room", "kind": "store"}
    told = client.get("/status").json()
    first, second = told["shards"]
    assert first["up"]
    assert first["commits"] == {"commits": 1, "rows_stored": 15, "alarms_stored": 4}
    assert (first["missing"], first["store_bytes"]) == (3, 4096)
    assert not second["up"]
    assert second["reason"] == "no room"
    assert told["meters"] == 15
    assert told["first_capture"] == "2026-01-31T14:00:00Z"
    assert told["registers"] == ["import_wh", "export_wh"]
