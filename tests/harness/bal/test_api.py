"""The HTTP API in front of a layer and its batteries: three processes, as in a run."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from harness.bal.api.config import BalApiConfig
from tests.harness.bal.test_process import running
from tests.support.bal import PATIENCE_S, bal_config
from tests.support.batteries import Park, battery_config, open_park
from tests.support.command_line import ROOT

TOKEN = "of-a-test-0123456789"
FIRST, SECOND = "battery-0000001", "battery-0000002"


class Api:
    """Whoever has the token."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __call__(
        self, method: str, path: str, token: str = TOKEN, **body: Any
    ) -> tuple[int, Any]:
        return await trio.to_thread.run_sync(self._ask, method, path, token, body)

    def _ask(self, method: str, path: str, token: str, body: dict[str, Any]) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_S)
        try:
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            connection.request(method, path, json.dumps(body) if body else None, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        return answer.status, json.loads(text) if text.startswith(("{", "[", "null")) else text


@asynccontextmanager
async def served(folder: Path, park: Park) -> AsyncIterator[Api]:
    config = bal_config(folder, park)
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(TOKEN)
    api = BalApiConfig(token_file=token, control_socket=config.control_socket)
    file = folder / "api.json"
    file.write_text(api.model_dump_json())
    async with running(config, park), trio.open_nursery() as nursery:
        run = partial(
            trio.run_process,
            [sys.executable, "-m", "harness.bal.api", str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            check=False,
        )
        process = await nursery.start(run)
        ready = await process.stdout.receive_some()
        yield Api(int(ready.split()[1]))
        nursery.cancel_scope.cancel()


async def test_batteries_are_made_read_and_commanded(tmp_path: Path) -> None:
    async with open_park(tmp_path, battery_config(2)) as park, served(tmp_path, park) as api:
        assert await api("GET", "/health") == (200, {"status": "ok"})
        made = await api("POST", "/aggregators", id="a", name="home", sources=[FIRST, SECOND])
        assert made == (200, {"id": "a"})
        shares = [
            {"name": "home/high", "share_ppm": 600_000},
            {"name": "home/low", "share_ppm": 400_000},
        ]
        made = await api("POST", "/splitters", source="home", policy="tranched", partitions=shares)
        assert made == (200, {"id": None})
        _, told = await api("GET", "/batteries")
        assert [(one["name"], one["kind"]) for one in told["batteries"]][2:] == [
            ("home", "aggregate"),
            ("home/high", "partition"),
            ("home/low", "partition"),
        ]
        assert (told["total"], told["next"]) == (5, None)
        _, before = await api("GET", "/batteries/home/low")
        assert before["sources_online"] == 2
        charged = await api("POST", "/batteries/home/low/charge", current_ma=8_000, id="charge-low")
        assert charged == (200, {"id": "charge-low"})
        assert await api("POST", "/batteries/home/high/discharge", current_ma=3_000) == (
            200,
            {"id": None},
        )
        _, home = await api("GET", "/batteries/home")
        assert home["expected"]["current_ma"] == -5_000
        _, flows = await api("GET", "/flows")
        assert {flow["name"] for flow in flows} >= {"home/high", "home/low"}
        assert await api("GET", f"/flows?to_ms={2**53}") == await api("GET", "/flows")
        before_ms = flows[0]["to_ms"]
        forgotten = await api("POST", "/flows/forget", before_ms=before_ms, id="exported")
        assert forgotten == (200, {"id": "exported"})
        _, kept = await api("GET", "/flows")
        assert {flow["name"] for flow in kept} == {flow["name"] for flow in flows}
        assert min(flow["from_ms"] for flow in kept) >= before_ms
        _, page = await api("GET", "/docs")
        assert "/batteries/{name}/schedule" in page
        _, counts = await api("GET", "/status")
        assert counts["sources_online"] == 2


REFUSED: list[tuple[str, str, dict[str, Any], int, str]] = [
    ("GET", "/batteries/nobody", {}, 404, "nobody"),
    ("POST", "/batteries/nobody/current", {"current_ma": 1}, 404, "nobody"),
    ("POST", f"/batteries/{FIRST}/current", {"current_ma": 10**9}, 422, "out of range"),
    ("POST", f"/batteries/{FIRST}/charge", {"current_ma": -1}, 422, "current_ma"),
    ("POST", f"/batteries/{FIRST}/current", {"current_mA": 1}, 422, "current_mA"),
    ("POST", "/flows/forget", {"before_ms": -1}, 422, "before_ms"),
    ("POST", "/aggregators", {"name": "x", "sources": ["x"]}, 422, "x"),
    ("POST", "/aggregators", {"name": FIRST, "sources": [SECOND]}, 409, FIRST),
    (
        "POST",
        "/splitters",
        {
            "source": FIRST,
            "partitions": [
                {"name": "p", "share_ppm": 600_000},
                {"name": "q", "share_ppm": 600_000},
            ],
        },
        422,
        "share",
    ),
    (
        "POST",
        f"/batteries/{FIRST}/schedule",
        {"current_ma": 1, "start_ms": 2, "end_ms": 1},
        422,
        FIRST,
    ),
    ("DELETE", "/batteries/nobody", {}, 404, "nobody"),
]


async def test_what_cannot_be_is_refused_by_name_and_nobody_dies_of_it(tmp_path: Path) -> None:
    async with open_park(tmp_path, battery_config(2)) as park, served(tmp_path, park) as api:
        for method, path, body, status, word in REFUSED:
            answer = await api(method, path, **body)
            assert answer[0] == status, (method, path, answer)
            assert word in answer[1]["detail"], answer
        assert (await api("GET", "/batteries", token="another-of-20-octets"))[0] == 401
        assert (await api("GET", f"/batteries/{FIRST}"))[0] == 200


@pytest.mark.parametrize("body", [{"current_ma": 100, "id": "c"}])
async def test_a_command_of_a_known_name_is_not_executed_again(
    tmp_path: Path, body: dict[str, Any]
) -> None:
    async with open_park(tmp_path, battery_config(2)) as park, served(tmp_path, park) as api:
        path = f"/batteries/{FIRST}/current"
        assert (await api("POST", path, **body))[0] == 200
        assert (await api("POST", path, current_ma=0))[0] == 200
        assert (await api("POST", path, **body))[0] == 200
        _, status = await api("GET", f"/batteries/{FIRST}")
        assert status["expected"]["current_ma"] == 0
        conflict = await api("POST", path, current_ma=5, id="c")
        assert conflict[0] == 409
        assert "name of its own" in conflict[1]["detail"]
