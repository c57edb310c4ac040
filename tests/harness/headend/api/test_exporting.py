from __future__ import annotations

import io
import zipfile

import pytest
from starlette.testclient import TestClient

from harness.headend.api.config import ApiConfig
from tests.harness.headend.api.conftest import FIRST_S, STEP_S, STEPS, serve
from tests.support.shard_socket import FakeShard

Shards = tuple[FakeShard, FakeShard]
SPAN = f"{FIRST_S} {FIRST_S + STEPS * STEP_S}\n"


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_several_stores_are_a_zip_of_files(
    config: ApiConfig, client: TestClient, shards: Shards, file_format: str
) -> None:
    answer = client.get("/export", params={"format": file_format})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        told = {name: packed.read(name).decode() for name in packed.namelist()}
    assert told == {f"shard-{n}.{file_format}": SPAN for n in range(2)}
    assert shards[0].asked[0]["format"] == file_format
    assert list(config.exports.iterdir()) == []


def test_one_store_is_one_file(config: ApiConfig, shards: Shards) -> None:
    with serve(config.model_copy(update={"shared_store": True})) as client:
        answer = client.get("/export", params={"format": "csv", "from": 5, "to": 9})
    assert answer.text == "5 9\n"
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="readings-5-9.csv"'
    assert shards[1].asked == []
    assert list(config.exports.iterdir()) == []


def test_alarms_are_exported_too(config: ApiConfig, shards: Shards) -> None:
    with serve(config.model_copy(update={"shared_store": True})) as client:
        query: dict[str, str | int] = {"format": "csv", "what": "alarms", "from": 5, "to": 9}
        answer = client.get("/export", params=query)
    assert answer.text == "5 9 alarms\n"
    assert 'filename="alarms-5-9.csv"' in answer.headers["content-disposition"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"format": "xlsx"}, "format"),
        ({"what": "secrets"}, "what"),
        ({"from": 9, "to": 5}, "to"),
        ({"from": "x"}, "from"),
    ],
)
def test_a_bad_export_is_told_which_field(
    client: TestClient, shards: Shards, query: dict[str, str], field: str
) -> None:
    answer = client.get("/export", params=query)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert shards[0].asked == []


def test_half_an_export_is_none(config: ApiConfig, client: TestClient, shards: Shards) -> None:
    shards[1].answers["export"] = {"error": "the disk is full", "kind": "store"}
    answer = client.get("/export")
    assert answer.status_code == 503
    assert list(config.exports.iterdir()) == []
    shards[1].answers["export"] = shards[0].answers["export"]
    assert client.get("/export").status_code == 200
