"""Somebody's own battery layer as a run has it: what it is told, and what is asked of it."""

from __future__ import annotations

import csv
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from emulator.clock import ScenarioClock
from harness.errors import EnvironmentUnfitError
from harness.run.external_bal import ExternalBalSystem
from harness.run.preparation import free_ports
from harness.run.set_points import read_set_points
from harness.scenario.bal import ExternalBal
from tests.harness.run.test_watching import until
from tests.support.recorded_run import RecordedFolder

TOKEN = "of-the-vendor"
FLOWS: Any = [{"name": "virtual-00001", "charged_ma_ms": 5}]


class Api:
    """What a layer of others is asked, and what it answers."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, Any] | None]] = []
        self.tokens: set[str | None] = set()
        self.refuses: set[str] = set()
        self.url = ""


@contextmanager
def answering(api: Api) -> Iterator[Api]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def log_message(self, *_: object) -> None:
            pass

        def _answer(self, body: dict[str, Any] | None) -> None:
            api.asked.append((self.command, self.path, body))
            api.tokens.add(self.headers["Authorization"])
            told = json.dumps(FLOWS).encode()
            self.send_response(422 if self.path in api.refuses else 200)
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        api.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield api
        server.shutdown()
        thread.join()


@pytest.fixture
def api() -> Iterator[Api]:
    with answering(Api()) as told:
        yield told


class Vendor:
    """A run with somebody's own battery layer."""

    def __init__(self, folder: Path, url: str, **bal: Any) -> None:
        (folder / "vendor.token").write_text(TOKEN + "\n")
        target = {"kind": "external", "url": url, "token_file": str(folder / "vendor.token")}
        changes = {
            "batteries": {"count": 3},
            "bal": {"virtual": 2, "target": target, "obeys_within": "1 s", **bal},
        }
        run = RecordedFolder(folder, changes)
        assert run.scenario.bal is not None
        assert isinstance(run.scenario.bal.target, ExternalBal)
        self.doubts: list[str] = []
        self.notes: list[str] = []
        self.first_s = run.prepared.fleet.first_s
        self.path = run.path
        self.system = ExternalBalSystem(
            run.prepared,
            run.scenario.bal,
            run.scenario.bal.target,
            realtime_offset_s=1_000.0,
            started=lambda *_: None,
            note=self.notes.append,
            doubt=self.doubts.append,
        )

    def facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = json.loads(
            (self.path / "provisioning" / "battery-layer.json").read_text()
        )
        return facts


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


async def test_a_layer_is_told_batteries_topology_and_clock_and_is_asked_for_set_points(
    tmp_path: Path, api: Api
) -> None:
    points = [
        {"battery": "virtual-00001", "current": 700, "at": "00:05", "for": "2 min"},
        {"battery": "virtual-00002", "current": -900, "at": "00:06", "for": "3 min"},
    ]
    vendor = Vendor(tmp_path, api.url, schedule=points)
    path = "/batteries/virtual-00002/schedule"
    api.refuses.add(path)
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            await vendor.system.start(nursery)
            assert vendor.facts()["clock"] is None
            clock = ScenarioClock()
            clock.start(trio.current_time(), float(vendor.first_s), 300.0)
            await vendor.system.start_clock(clock)
            await until(lambda: len(read_set_points(vendor.path / "bal")) == 2)
            assert set(vendor.system.pids()) == {"batteries-0"}
            await vendor.system.stop()
            nursery.cancel_scope.cancel()
    with (vendor.path / "provisioning" / "batteries.csv").open(newline="") as file:
        batteries = list(csv.DictReader(file))
    assert [one["name"] for one in batteries] == [f"battery-000000{n}" for n in (1, 2, 3)]
    assert {(one["interface"], one["unit"]) for one in batteries} <= {("jbd", ""), ("sunspec", "1")}
    assert [one["host"] for one in batteries] == ["127.1.0.1", "127.1.0.2", "127.1.0.3"]
    topologies = [vendor.path / folder / "topology.toml" for folder in ("bal", "provisioning")]
    assert topologies[0].read_text() == topologies[1].read_text()
    assert vendor.facts()["clock"] == {
        "scenario_s": vendor.first_s,
        "posix_s": clock.monotonic_s + 1_000.0,
        "monotonic_s": clock.monotonic_s,
    }
    first_ms = vendor.first_s * 1_000
    body = {"id": "set-point-0", "current_ma": 700, "start_ms": first_ms + 300_000}
    body["end_ms"] = first_ms + 420_000
    assert api.asked[0] == ("POST", "/batteries/virtual-00001/schedule", body)
    taken = [point.taken_ms for point in read_set_points(vendor.path / "bal")]
    assert taken[0] is not None
    assert taken[1] is None
    (doubt,) = vendor.doubts
    assert doubt.startswith("set-point-1 of virtual-00002 was not scheduled: POST ")
    assert api.asked[-1][1] == "/flows?from_ms=0"
    assert json.loads((vendor.path / "bal" / "flows.json").read_text()) == FLOWS
    assert api.tokens == {f"Bearer {TOKEN}"}
    assert (vendor.path / "batteries" / "process-0.ndjson").read_text().count('"ended"') == 3


async def test_what_flowed_is_asked_for_up_to_a_time(tmp_path: Path, api: Api) -> None:
    vendor = Vendor(tmp_path, api.url + "/")
    assert await vendor.system.flows(77) == FLOWS
    assert api.asked == [("GET", "/flows?from_ms=0&to_ms=77", None)]


@pytest.mark.parametrize("said", [7, {"kind": "x"}, [1]])
async def test_what_is_no_flow_is_said(
    tmp_path: Path, api: Api, monkeypatch: pytest.MonkeyPatch, said: object
) -> None:
    monkeypatch.setattr(f"{__name__}.FLOWS", said)
    with pytest.raises(ValueError, match=r"flows|sequence"):
        await Vendor(tmp_path, api.url).system.flows()


async def test_a_layer_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.run.listening.LISTENS_WITHIN_S", 0.1)
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    vendor = Vendor(tmp_path, url)
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            with pytest.raises(
                EnvironmentUnfitError, match=rf"no battery layer listens at {url} \(bal.target.url"
            ):
                await vendor.system.start(nursery)
            await vendor.system.stop()
            nursery.cancel_scope.cancel()
    (note,) = vendor.notes
    assert note.startswith("the battery layer does not say what flowed: ")
