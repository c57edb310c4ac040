"""A served fleet, started as its users start it and read by gurux-dlms, an independent client."""

from __future__ import annotations

import csv
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil
import pytest

from emulator.run_folder import RunFolder
from harness.errors import ExitCode
from harness.run.preparation import prepare
from harness.scenario import Scenario
from harness.serve import _as_served, summary
from tests.support.command_line import ROOT
from tests.support.gurux import gurux_is_installed

GURUX: Final = ROOT / "tests" / "support" / "gurux_client.py"
LOAD_PROFILE: Final = "1.0.99.1.0.255"
REGISTERS: Final = ("1.0.1.8.0.255", "1.0.1.8.1.255", "1.0.1.8.2.255", "1.0.2.8.0.255")
CONCENTRATOR: Final = 1
"""The second of the fleet, so that meters do not start at the first."""
STEPS: Final = 4
STEP_S: Final = 900
END_S: Final = 30.0

SCENARIO: Final = """\
name = "served"
seed = 7
speed = 20000
link = "none"
[grid]
transformer_stations = 3
meters = 9
sizes = [{ name = "small", meters = [2, 4], share = "100 %" }]
[behaviour]
steps = 4
first = "2026-03-02T00:00:00+01:00"
"""
"""The plan is over after a fifth of a second: the buffers are full."""


@dataclass(frozen=True, slots=True)
class Served:
    """A fleet that ``meterstorm serve`` serves."""

    process: subprocess.Popen[str]
    told: list[str]
    folder: Path

    @property
    def provisioning(self) -> Path:
        return self.folder / "provisioning"

    @property
    def concentrator(self) -> dict[str, str]:
        return self.lines("concentrators.csv")[CONCENTRATOR]

    def lines(self, name: str) -> list[dict[str, str]]:
        with (self.provisioning / name).open(newline="") as file:
            return list(csv.DictReader(file))

    def meters(self) -> list[dict[str, str]]:
        return [line for line in self.lines("meters.csv") if line["concentrator"] == "1"]

    def expected(self, meters: list[str]) -> list[list[int]]:
        """Return status and registers of every reading, by time of capture, then meter."""
        return [
            list(map(int, list(line.values())[2:]))
            for line in self.lines("expected.csv")
            if line["meter"] in meters
        ]

    def read(self, how: list[str], server: int, *wanted: str) -> list[Any]:
        """Return what gurux reads of the concentrator."""
        line, output = self.concentrator, self.folder / f"gurux-{server}.json"
        command = [sys.executable, str(GURUX), "--host", line["address"], "--port", line["port"]]
        command += ["--server", str(server), "--output", str(output), "--secret", line["secret"]]
        command += ["--encryption-key", line["encryption_key"]]
        command += ["--authentication-key", line["authentication_key"], *how, *wanted]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        results: list[Any] = json.loads(output.read_text())["results"]
        return results

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=END_S)


@contextmanager
def serving(folder: Path, more: str = "", *words: str) -> Iterator[Served]:
    """Serve the fleet; it is ready when this is entered."""
    (folder / "served.toml").write_text(SCENARIO + more)
    command = [sys.executable, "-m", "harness.cli", "serve", "served.toml", "--out", "runs", *words]
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    told: list[str] = []
    try:
        for line in process.stdout:
            told.append(line)
            if line.startswith("ready"):
                break
        assert told, "it said nothing"
        assert told[-1].startswith("ready"), "".join(told)
        yield Served(process, told, (folder / "runs" / "latest").resolve())
    finally:
        # The shards notice that their parent is gone.
        process.kill()
        process.wait()
        process.stdout.close()


def security(authentication: str, push: str) -> str:
    return f'[security]\nauthentication = "{authentication}"\npush = "{push}"\n'


def without_times(rows: list[list[Any]], column: int) -> list[list[Any]]:
    return [row[:column] + row[column + 1 :] for row in rows]


HOW: Final = [
    pytest.param("none", "clear", ["--client", "16"], id="no security"),
    pytest.param("lls", "clear", ["--client", "1", "--authentication", "low"], id="LLS"),
    pytest.param(
        "gmac",
        "ciphered",
        ["--client", "1", "--authentication", "gmac", "--ciphering", "general"],
        id="GMAC, ciphered",
    ),
]


@pytest.mark.slow
@pytest.mark.skipif(not gurux_is_installed(), reason="gurux-dlms is not installed")
@pytest.mark.parametrize(("authentication", "push", "how"), HOW)
def test_gurux_reads_a_served_concentrator_and_a_meter_behind_it(
    tmp_path: Path, authentication: str, push: str, how: list[str]
) -> None:
    with serving(tmp_path, security(authentication, push)) as served:
        first_s = json.loads((served.provisioning / "head-end.json").read_text())["first_s"]
        by_time = f"range:{LOAD_PROFILE}:{first_s + STEP_S}:{first_s + 2 * STEP_S}"
        meters = [line["name"] for line in served.meters()]
        view, clock, by_entry, by_range = served.read(
            how,
            1,
            "association-view",
            "clock:0.0.1.0.0.255",
            f"entries:{LOAD_PROFILE}:1:{len(meters)}",
            by_time,
        )
        assert [7, LOAD_PROFILE, 1] in view
        assert clock >= first_s + STEPS * STEP_S
        every = served.expected(meters)
        names = [name.encode().hex() for name in meters]
        expected = [[names[at % len(meters)], *row] for at, row in enumerate(every)]
        assert without_times(by_entry, 1) == expected[: len(meters)]
        assert without_times(by_range, 1) == expected[len(meters) : 3 * len(meters)]

        address = int(served.meters()[1]["logical_device_address"])
        assert address == 256 + 1
        view, clock, registers, by_entry, by_range = served.read(
            [*how, "--invocation-counter", "100"],
            address,
            "association-view",
            "clock:0.0.1.0.0.255",
            "list:" + ",".join(f"3:{name}:2" for name in REGISTERS),
            f"entries:{LOAD_PROFILE}:2:2",
            by_time,
        )
        assert [3, REGISTERS[0], 0] in view
        assert clock >= first_s + STEPS * STEP_S
        of_meter = served.expected(meters[1:2])
        assert registers == of_meter[-1][1:]
        assert without_times(by_entry, 0) == of_meter[1:3]
        assert without_times(by_range, 0) == of_meter[1:3]
        assert served.end(signal.SIGTERM) == ExitCode.PASSED


@pytest.mark.slow
def test_an_interrupt_ends_it_with_its_shards(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        address = served.concentrator["address"], int(served.concentrator["port"])
        with socket.create_connection(address, timeout=END_S):
            pass
        assert served.end(signal.SIGINT) == ExitCode.INTERRUPTED
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=END_S)


@pytest.mark.slow
def test_it_pushes_to_the_head_end_that_the_scenario_names(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(END_S)
        target = (
            '[target]\nkind = "external"\n'
            f'push = {{ host = "127.0.0.1", port = {listener.getsockname()[1]} }}\n'
            'read_back = { kind = "files", folder = "theirs" }\n'
        )
        with serving(tmp_path, target) as served:
            connection, (host, _) = listener.accept()
            with connection:
                connection.settimeout(END_S)
                assert connection.recv(2) == b"\x00\x01"
            assert host in {line["address"] for line in served.lines("concentrators.csv")}
            assert served.end(signal.SIGTERM) == ExitCode.PASSED


@pytest.mark.slow
def test_a_shard_that_dies_ends_it(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        (shard,) = psutil.Process(served.process.pid).children()
        shard.kill()
        assert served.process.wait(timeout=END_S) == ExitCode.ENVIRONMENT
        assert served.process.stdout is not None
        assert "shard-0 ended with status -9" in served.process.stdout.read()


def test_the_reference_head_ends_fleet_waits_to_be_read(tmp_path: Path) -> None:
    file = tmp_path / "served.toml"
    file.write_text(SCENARIO)
    prepared = prepare(_as_served(Scenario.load(file)), scenario_file=file, out=tmp_path / "runs")
    assert RunFolder(prepared.folder.path).fleet().behaviour.mode == "pull"
    told = summary(prepared)
    assert "pushes     nothing" in told
    assert str(prepared.provisioning) in told
    assert "client 1: everything; HLS 5 (GMAC), messages authenticated and encrypted" in told
    assert f"127.1.0.1:{prepared.fleet.listen_ports[0]}" in told
