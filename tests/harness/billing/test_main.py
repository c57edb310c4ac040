"""The process of billing, killed and started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from harness.errors import ExitCode
from tests.harness.billing.test_service import clock_at, config
from tests.support.billing import END_S, METERS, all_kept, registers, stored
from tests.support.push_fleet import ROOT

pytestmark = pytest.mark.slow
TOKEN = "a_token_of_a_test:_0123456789"


def written(folder: Path, **changes: Any) -> Path:
    """Write the configuration and the token; return the file of the former."""
    told = config(folder, **changes)
    told.token_file.write_text(TOKEN)
    told.token_file.chmod(0o600)
    path = folder / "billing.json"
    path.write_text(told.model_dump_json())
    return path


@contextmanager
def running(path: Path) -> Iterator[tuple[subprocess.Popen[str], httpx2.Client]]:
    """The process for the length of a ``with``, and somebody who asks it."""
    with subprocess.Popen(
        [sys.executable, "-m", "harness.billing", str(path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            word, port = process.stdout.readline().split()
            assert word == "ready"
            headers = {"Authorization": f"Bearer {TOKEN}"}
            url = f"http://127.0.0.1:{port}"
            with httpx2.Client(base_url=url, headers=headers, timeout=60) as client:
                yield process, client
        finally:
            process.kill()


def test_a_killed_process_goes_on_and_bills_nobody_twice(tmp_path: Path) -> None:
    stored(str(tmp_path / "store.duckdb"), registers(), all_kept())
    path = written(tmp_path, clock=clock_at(END_S + 3000), automatic=False)
    with running(path) as (process, client):
        answer = client.post("/bills", json={"month": "2026-03"})
        assert answer.json()["issued"] == METERS
        bills = client.get("/bills", params={"month": "2026-03"}).json()
        process.send_signal(signal.SIGKILL)
        process.wait()
    with running(path) as (process, client):
        answer = client.post("/bills", json={"month": "2026-03"})
        assert answer.json() == {"month": "2026-03", "issued": 0, "already": METERS, "withheld": 0}
        assert client.get("/bills", params={"month": "2026-03"}).json() == bills
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_what_is_due_is_done_by_itself_and_the_end_of_the_parent_ends_it(tmp_path: Path) -> None:
    stored(str(tmp_path / "store.duckdb"), registers(), all_kept())
    with running(written(tmp_path)) as (process, client):
        triple = list(clock_at(END_S + 3000))
        assert client.post("/clock", json={"triple": triple}).status_code == 200
        deadline = time.monotonic() + 60
        while client.get("/status").json()["months"][0]["bills"] < METERS:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(20) == 0


@pytest.mark.parametrize("spoil", ["token", "tariffs", "provisioning"])
def test_what_it_cannot_start_with_ends_it_with_status_4(tmp_path: Path, spoil: str) -> None:
    path = written(tmp_path)
    told = json.loads(path.read_bytes())
    match spoil:
        case "token":
            Path(told["token_file"]).chmod(0o644)
        case "tariffs":
            told["tariffs"]["rates"] = []
        case _:
            told["provisioning"] = str(tmp_path / "none")
    path.write_text(json.dumps(told))
    command = [sys.executable, "-m", "harness.billing", str(path)]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False, env=os.environ
    )
    assert ended.returncode == ExitCode.ENVIRONMENT
    assert "billing ends" in ended.stderr
    assert TOKEN not in ended.stderr
