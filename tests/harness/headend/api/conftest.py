"""An API in this process, in front of two shards that are only sockets."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest
from hdrh.histogram import HdrHistogram
from starlette.testclient import TestClient

from harness.api.exports import make_room
from harness.headend.api.app import application
from harness.headend.api.config import ApiConfig
from harness.headend.api.directory import Directory
from harness.headend.api.shards import HeadEnd
from tests.support.shard_socket import FakeShard, served

TOKEN: Final = "a token of a test: 0123456789".replace(" ", "_")
FIRST_S: Final = 1_769_868_000
STEP_S: Final = 900
STEPS: Final = 8
REGISTERS: Final = ("import_wh", "export_wh")
METERS: Final = 3
"""Behind each of five concentrators: two of shard 0, three of shard 1."""


def provision(folder: Path) -> Path:
    """Write what the API reads of the exported devices."""
    folder.mkdir()
    rows = [{"number": n, "first_meter": n * METERS, "meters": METERS} for n in range(5)]
    with (folder / "concentrators.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["number", "first_meter", "meters"])
        writer.writeheader()
        writer.writerows(rows)
    shared = {"registers": REGISTERS, "first_s": FIRST_S, "step_s": STEP_S, "steps": STEPS}
    (folder / "head-end.json").write_text(json.dumps(shared))
    return folder


def readings_told(question: Mapping[str, Any]) -> dict[str, Any]:
    """Return one reading at the beginning of what was asked for."""
    return {
        "registers": list(REGISTERS),
        "captured_at_s": [question["from_s"]],
        "profile": [1],
        "status": [4],
        "via": [1],
        "stored_at_us": [FIRST_S * 1_000_000 + 1_500_000],
        "values": [[question["meter"], 7]],
    }


def status_told() -> dict[str, Any]:
    """Return the status of a shard that has committed once, in 2 ms."""
    commits = HdrHistogram(1, 600_000_000, 3)
    commits.record_value(2000)
    return {
        "counts": {"pushes acknowledged": 5, "refused: wrong MAC": 2},
        "commits": {"commits": 1, "rows_stored": 15, "alarms_stored": 4},
        "commit_us": commits.encode().decode(),
        "missing": 3,
        "conflicts": 0,
        "alarm_conflicts": 2,
        "nodes_registered": 6,
        "size_bytes": 4096,
    }


def command_told(number: int, **changes: Any) -> dict[str, Any]:
    """Return a line of the journal."""
    line: dict[str, Any] = {
        "id": number,
        "meter": 1,
        "kind": "tariff",
        "parameter": "2",
        "created_at_us": FIRST_S * 1_000_000,
        "state": "queued",
        "invocation_counter": None,
        "sent_at_us": None,
        "done_at_us": None,
        "attempts": 0,
        "outcome": "",
    }
    return line | changes


def journal_told(*numbers: int) -> Any:
    """Return how a shard whose journal has these ids answers."""

    def told(question: Mapping[str, Any]) -> list[dict[str, Any]]:
        later = [number for number in sorted(numbers) if number > question["after"]]
        return [command_told(number) for number in later[: question["count"]]]

    return told


def devices_told(numbers: range) -> Any:
    """Return how a shard with these concentrators answers."""

    def told(question: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [
            {
                "number": number,
                "name": f"MSC{number + 1:013d}",
                "address": f"127.1.0.{number + 1}:4059",
                "link": "lte",
                "first_meter": number * METERS,
                "meters": METERS,
            }
            for number in numbers
            if number >= question["first"]
        ][: question["count"]]

    return told


def alarms_told(shard: int) -> Any:
    """Return how a shard that stored an alarm a minute answers; the other shard's lie between."""

    def told(question: Mapping[str, Any]) -> dict[str, list[int]]:
        meters, after = (1, 7), question["after"] or [0, 0, 0, 0, 0]
        raised_at_s = [
            at_s for at_s in range(FIRST_S + 60 * shard, FIRST_S + 600, 120) if at_s > after[0]
        ][: question["count"]]
        count = len(raised_at_s)
        return {
            "meter": [meters[shard]] * count,
            "source": [shard] * count,
            "code": [12] * count,
            "sequence": [5] * count,
            "raised_at_s": raised_at_s,
            "argument": [3] * count,
            "stored_at_us": [FIRST_S * 1_000_000] * count,
        }

    return told


def nodes_told(shard: int) -> Any:
    """Return how a shard with three nodes, two of them registered, answers."""

    def told(question: Mapping[str, Any]) -> dict[str, Any]:
        lines = [
            {
                "title": f"{shard}{number}",
                "concentrator": 2 * shard,
                "meter": 6 * shard + number - 1 if number else None,
                "address": "7f010001",
                "period_s": 60,
                "registered_at_us": FIRST_S * 1_000_000,
                "expires_at_us": (FIRST_S + 60) * 1_000_000,
                "registered": number < 2,
            }
            for number in range(3)
        ]
        page = lines[question["after"] :][: question["count"]]
        return {"total": 3, "registered": 2, "nodes": page}

    return told


def export_told(question: Mapping[str, Any]) -> dict[str, Any]:
    """Write a file as a shard does; its content names what was asked."""
    what = "" if question["what"] == "readings" else f" {question['what']}"
    Path(question["path"]).write_text(f"{question['from_s']} {question['to_s']}{what}\n")
    return {"path": question["path"]}


def gap(concentrator: int, missing: int) -> dict[str, Any]:
    """Return a gap of one capture."""
    return {
        "concentrator": concentrator,
        "from_s": FIRST_S,
        "to_s": FIRST_S,
        "missing": missing,
    }


@pytest.fixture
def shards(tmp_path: Path) -> Iterator[tuple[FakeShard, FakeShard]]:
    """Two shards that have answers to everything."""
    with ExitStack() as stack:
        made = [
            FakeShard(
                tmp_path / f"{number}.sock",
                {
                    "readings": readings_told,
                    "devices": devices_told((range(2), range(2, 5))[number]),
                    "gaps": [gap(2 * number + 1, 3), gap(2 * number, 1)],
                    "status": status_told(),
                    "command": {},
                    "commands": journal_told(10 + number, 20 + number, 30 + number),
                    "export": export_told,
                    "alarms": alarms_told(number),
                    "nodes": nodes_told(number),
                },
            )
            for number in range(2)
        ]
        for shard in made:
            stack.enter_context(served(shard))
        yield made[0], made[1]


@pytest.fixture
def config(tmp_path: Path) -> ApiConfig:
    """Two shards, each with a store of its own."""
    return ApiConfig(
        token_file=tmp_path / "unused",
        control_sockets=(tmp_path / "0.sock", tmp_path / "1.sock"),
        provisioning=provision(tmp_path / "provisioning"),
        exports=tmp_path / "exports",
        shared_store=False,
        realtime_offset_s=0.0,
    )


def serve(config: ApiConfig) -> TestClient:
    """Return a client, with the token, of an API so configured."""
    make_room(config.exports)
    directory = Directory.load(config.provisioning, len(config.control_sockets))
    return TestClient(
        application(HeadEnd(config, directory), TOKEN),
        headers={"Authorization": f"Bearer {TOKEN}"},
        raise_server_exceptions=False,
    )


@pytest.fixture
def client(config: ApiConfig) -> Iterator[TestClient]:
    """A client with the token; shards are away unless the test asks for `shards`."""
    with serve(config) as opened:
        yield opened
