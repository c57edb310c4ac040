from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from tests.harness.headend.api.conftest import status_told
from tests.support.shard_socket import FakeShard

Shards = tuple[FakeShard, FakeShard]
Labels = frozenset[tuple[str, str]]


def samples(client: TestClient) -> dict[tuple[str, Labels], float]:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def labels(**named: str) -> Labels:
    return frozenset(named.items())


def test_shards_tell_how_they_are(client: TestClient, shards: Shards) -> None:
    shards[1].answers["status"] = {"error": "gone", "kind": "store"}
    told = samples(client)
    assert told["meterstorm_headend_up", labels(shard="0")] == 1
    assert told["meterstorm_headend_up", labels(shard="1")] == 0
    assert told["meterstorm_headend_rows_stored_total", labels(shard="0")] == 15
    assert told["meterstorm_headend_missing_readings", labels(shard="0")] == 3
    assert told["meterstorm_headend_store_bytes", labels(shard="0")] == 4096
    assert told["meterstorm_headend_alarms_stored_total", labels(shard="0")] == 4
    assert told["meterstorm_headend_conflicting_alarms", labels(shard="0")] == 2
    assert told["meterstorm_headend_registered_nodes", labels(shard="0")] == 6
    event = labels(shard="0", event="refused_wrong_mac")
    assert told["meterstorm_headend_events_total", event] == 2
    commit = labels(shard="0", quantile="0.99")
    duration_s = told["meterstorm_headend_commit_duration_seconds", commit]
    assert 0.0019 < duration_s < 0.0021
    assert ("meterstorm_headend_missing_readings", labels(shard="1")) not in told


def test_a_gauge_that_a_shard_does_not_tell_is_left_out(client: TestClient, shards: Shards) -> None:
    status = status_told()
    del status["nodes_registered"]
    shards[0].answers["status"] = status
    told = samples(client)
    assert ("meterstorm_headend_registered_nodes", labels(shard="0")) not in told
    assert told["meterstorm_headend_registered_nodes", labels(shard="1")] == 6


def test_they_can_all_be_away(client: TestClient) -> None:
    told = samples(client)
    assert told["meterstorm_headend_up", labels(shard="1")] == 0


def test_requests_are_counted_by_route_never_by_meter(client: TestClient, shards: Shards) -> None:
    for meter in range(3):
        client.get("/readings", params={"meter": meter})
        client.get(f"/commands/{meter}")
        client.get(f"/nowhere/{meter}")
    client.request("BREW", "/devices")
    told = samples(client)
    requests = {key[1]: value for key, value in told.items() if key[0].endswith("requests_total")}
    assert requests[labels(method="GET", route="/readings", status="200")] == 3
    assert requests[labels(method="GET", route="/commands/{id}", status="404")] == 3
    assert requests[labels(method="GET", route="none", status="404")] == 3
    assert any(("method", "other") in key for key in requests)
    assert len(requests) == 4
