from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from starlette.testclient import TestClient

from harness.headend.api.config import ApiConfig
from tests.harness.headend.api.conftest import command_told, journal_told, serve
from tests.support.shard_socket import FakeShard, Hangup

Shards = tuple[FakeShard, FakeShard]
ORDER = {"meter": "MST0000000000008", "kind": "tariff", "parameter": 2}


@dataclass
class Deaf:
    """Loses its answer so many times."""

    times: int

    def __call__(self, question: object) -> dict[str, Any]:
        if self.times:
            self.times -= 1
            raise Hangup
        return {}


def test_a_command_is_given_to_the_shard_of_its_meter(client: TestClient, shards: Shards) -> None:
    answer = client.post("/commands", json=ORDER)
    assert answer.status_code == 202
    (asked,) = shards[1].asked
    taken = answer.json()
    assert taken == {
        "id": str(asked["id"]),
        "meter": "MST0000000000008",
        "location": f"/commands/{asked['id']}",
    }
    assert answer.headers["location"] == taken["location"]
    assert (asked["meter"], asked["kind"], asked["parameter"]) == (7, "tariff", "2")
    assert 0 <= asked["id"] < 2**62
    assert asked["created_at_us"] > 0
    assert shards[0].asked == []


def test_ids_are_far_from_those_of_a_run(client: TestClient, shards: Shards) -> None:
    for _ in range(20):
        client.post("/commands", json={"meter": 0, "kind": "disconnect"})
    ids = [asked["id"] for asked in shards[0].asked]
    assert len(set(ids)) == 20
    assert min(ids) > 1_000_000_000


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"meter": "nobody"}, "meter"),
        ({"meter": None}, "meter"),
        ({"kind": "explode"}, "kind"),
        ({"kind": "disconnect", "parameter": 1}, "parameter"),
        ({"kind": "segment", "parameter": 1}, "parameter"),
        ({"kind": "segment", "parameter": 18}, "parameter"),
        ({"kind": "segment"}, "parameter"),
        ({"kind": "tariff", "parameter": 0}, "parameter"),
        ({"kind": "tariff", "parameter": 3}, "parameter"),
        ({"kind": "time", "parameter": -1}, "parameter"),
        ({"parameter": "2"}, "parameter"),
        ({"parameter": True}, "parameter"),
        ({"priority": 1}, "priority"),
    ],
)
def test_a_bad_command_is_told_which_field(
    client: TestClient, shards: Shards, changes: dict[str, Any], field: str
) -> None:
    order = ORDER | changes
    if changes == {"kind": "segment"}:
        del order["parameter"]
    answer = client.post("/commands", json=order)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert shards[0].asked == shards[1].asked == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"'])
def test_a_body_that_is_no_command_is_refused(client: TestClient, body: bytes) -> None:
    answer = client.post("/commands", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["errors"]


def test_an_unknown_meter_is_not_found(client: TestClient, shards: Shards) -> None:
    answer = client.post("/commands", json=ORDER | {"meter": "15"})
    assert answer.status_code == 404
    assert shards[1].asked == []


def test_a_lost_answer_makes_no_second_command(client: TestClient, shards: Shards) -> None:
    shards[1].answers["command"] = Deaf(1)
    answer = client.post("/commands", json=ORDER)
    assert answer.status_code == 202
    first, second = shards[1].asked
    assert first == second


def test_who_gets_no_answer_is_told_the_id(client: TestClient, shards: Shards) -> None:
    shards[1].answers["command"] = Deaf(2)
    answer = client.post("/commands", json=ORDER)
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert answer.json()["command"] == str(shards[1].asked[0]["id"])


def test_too_many_commands_are_for_later(client: TestClient, shards: Shards) -> None:
    shards[1].answers["command"] = {"error": "100,000 commands wait already", "kind": "invalid"}
    answer = client.post("/commands", json=ORDER)
    assert answer.status_code == 503
    assert "wait already" in answer.json()["detail"]


def test_commands_of_all_shards_are_paged_by_id(client: TestClient, shards: Shards) -> None:
    seen: list[str] = []
    query: dict[str, Any] = {"count": 4}
    for _ in range(2):
        page = client.get("/commands", params=query).json()
        seen += [command["id"] for command in page["commands"]]
        query["after"] = page["next"]
    assert seen == ["10", "11", "20", "21", "30", "31"]
    assert page["next"] is None


def test_one_command_is_told_with_its_moments(client: TestClient, shards: Shards) -> None:
    done = command_told(
        2**62 - 1, state="done", sent_at_us=1, done_at_us=2_000_000, attempts=1, outcome="success"
    )
    shards[1].answers["commands"] = [done]
    told = client.get(f"/commands/{2**62 - 1}").json()
    assert told == {
        "id": "4611686018427387903",
        "meter": "MST0000000000002",
        "kind": "tariff",
        "parameter": 2,
        "state": "done",
        "created_at": "2026-01-31T14:00:00Z",
        "sent_at": "1970-01-01T00:00:00.000001Z",
        "done_at": "1970-01-01T00:00:02Z",
        "attempts": 1,
        "outcome": "success",
    }
    assert shards[1].asked == [{"ask": "commands", "after": 2**62 - 2, "count": 1}]


@pytest.mark.parametrize("number", ["15", "0", str(2**63)])
def test_an_unknown_command_is_not_found(client: TestClient, shards: Shards, number: str) -> None:
    assert client.get(f"/commands/{number}").status_code == 404


def test_an_id_is_a_number(client: TestClient) -> None:
    answer = client.get("/commands/first")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "id"
    assert client.get("/commands", params={"after": "x"}).status_code == 422


def test_one_shard_tells_of_a_journal_they_share(config: ApiConfig, shards: Shards) -> None:
    shards[0].answers["commands"] = shards[1].answers["commands"] = journal_told(1, 2)
    with serve(config.model_copy(update={"shared_store": True})) as client:
        page = client.get("/commands").json()
        assert [command["id"] for command in page["commands"]] == ["1", "2"]
        assert shards[1].asked == []
        shards[0].answers["commands"] = Deaf(1)
        assert len(client.get("/commands").json()["commands"]) == 2
    assert len(shards[1].asked) == 1
