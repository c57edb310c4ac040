"""termineter, a C12.18 client of somebody else's, reads an emulated meter at its optical port."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import pytest
import trio

from emulator.optical import OpticalPort, serve_optical_tcp, serve_optical_terminal
from protocols.c12.meter import (
    CONTROL_LOG,
    Meter,
    Passwords,
    block_layout,
    decode_blocks,
    decode_control_log,
    meter_schema,
)
from protocols.c12.meter.event_log import decode_entries, decode_header, log_layout
from protocols.c12.psem import Fault, PsemServer
from protocols.c12.services import Dialect, ResponseCode
from protocols.plugin import Command, CommandKind
from tests.harness.test_serve import serving
from tests.support.c12_meter_model import AnsiConcentrator, logged, risen
from tests.support.command_line import ROOT
from tests.support.concentrator_model import FIRST_S, STEP_S

PROGRAM: Final = ROOT / "tests" / "support" / "termineter_client.py"
END_S: Final = 60.0
NUMBER: Final = 1
NAME: Final = b"MST%013d" % (NUMBER + 1)
PASSWORD: Final = b"open sesame".ljust(20)
LOGIN: Final = f"login:2:0000:{PASSWORD.hex()}"
PORTS: Final = [
    pytest.param(serve_optical_tcp, id="TCP"),
    pytest.param(serve_optical_terminal, id="pseudo-terminal"),
]
Serve = Callable[..., Awaitable[None]]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("termineter") is None, reason="termineter is not installed"
    ),
]


def concentrator() -> AnsiConcentrator:
    """Return one whose meter has had its battery run low, and was tampered with."""
    raised = [logged(NUMBER, 2, 44, 1, 7), risen(NUMBER, 2, 8), logged(NUMBER, 5, 47, 2)]
    return AnsiConcentrator(raised=raised)


async def ask(serve: Serve, model: AnsiConcentrator, *orders: str) -> list[Any]:
    """Return what termineter said to each of its orders; the line must have been without fault."""
    lines: list[PsemServer] = []

    def line() -> PsemServer:
        meter = Meter(model, NUMBER, Passwords(full=PASSWORD), dialect=Dialect.C12_18)
        lines.append(PsemServer(meter, random_bytes=bytes))
        return lines[-1]

    with trio.fail_after(END_S):
        async with trio.open_nursery() as nursery:
            port: OpticalPort = await nursery.start(serve, line)
            command = [sys.executable, str(PROGRAM), port.url, "start", *orders]
            done = await trio.run_process(command, capture_stdout=True)
            nursery.cancel_scope.cancel()
    assert not set(lines[0].faults) - {Fault.TRANSPORT_CLOSED, Fault.RESPONSE_TOO_LARGE}
    said: list[Any]
    started, *said = json.loads(done.stdout)
    assert started is True
    return said


@pytest.mark.parametrize("serve", PORTS)
async def test_it_logs_in_reads_writes_runs_a_procedure_and_logs_off(serve: Serve) -> None:
    model = concentrator()
    label = b"SHED 4".ljust(20)
    login, before, part, written, after, result, breaker, logoff = await ask(
        serve,
        model,
        LOGIN,
        "read:1",
        "read:1:4:8",
        f"write:5:{label.hex()}",
        "read:5",
        "procedure:21:0000",
        f"read:{CONTROL_LOG}",
        "logoff",
    )
    assert login is True
    assert bytes.fromhex(before)[:12] == b"MTSMEMULATED"
    assert bytes.fromhex(before)[16:] == NAME
    assert bytes.fromhex(part) == b"EMULATED"
    assert written is None
    assert bytes.fromhex(after) == label
    assert result == [0, ""]
    assert not model.is_connected(NUMBER, 0)
    schema = meter_schema(model.registers, STEP_S)
    (execution,) = decode_control_log(schema, bytes.fromhex(breaker))
    assert execution.command == Command(CommandKind.DISCONNECT)
    assert logoff is True


@pytest.mark.parametrize("serve", PORTS)
async def test_it_reads_the_load_profile_by_offset(serve: Serve) -> None:
    model = concentrator()
    schema = meter_schema(model.registers, STEP_S)
    size = block_layout(schema).size
    element = FIRST_S // STEP_S % schema.settings.blocks
    _, blocks = await ask(serve, model, LOGIN, f"read:64:{element * size}:{8 * size}")
    captures = decode_blocks(schema, bytes.fromhex(blocks))
    held = model.buffer(0, model.buffer_span()[1], range(NUMBER, NUMBER + 1))
    assert captures.captured_at_s.tolist() == held.captured_at_s.tolist()
    assert captures.values.tolist() == held.values.tolist()
    assert [len(handed) for handed in model.handed] == [8]


@pytest.mark.parametrize("serve", PORTS)
async def test_it_decodes_the_general_tables(serve: Serve) -> None:
    model = concentrator()
    model.meter_state(NUMBER).status_bits = 1 << 8
    _, general, done = await ask(serve, model, LOGIN, "general", "set-device-id:GARAGE")
    assert general["manufacturer"] == "MTSM"
    assert general["ed_model"] == "EMULATED"
    assert general["mfg_serial_no"] == general["device_id"] == NAME.decode()
    assert general["nameplate_type"] == "Electric"
    assert general["ed_mode"] == 1
    assert general["std_status"] == 1 << 8
    assert {0, 1, 3, 5, 8, 61, 62, 64, 74, 76} <= set(general["std_tbls_used"])
    assert {9, 10, 21} <= set(general["std_proc_used"])
    assert done == 0
    assert model.meter_state(NUMBER).written[5] == b"GARAGE".ljust(20)


@pytest.mark.parametrize("serve", PORTS)
async def test_it_decodes_the_logs(serve: Serve) -> None:
    model = concentrator()
    schema = meter_schema(model.registers, STEP_S)
    header_size = log_layout(schema).header_size
    _, reset, log, header, entries = await ask(
        serve,
        model,
        LOGIN,
        "procedure:9:01",
        "log",
        f"read:76:0:{header_size}",
        f"read:76:{header_size + log_layout(schema).entry.itemsize}"
        f":{2 * log_layout(schema).entry.itemsize}",
    )
    assert reset == [0, "01"]
    told = [
        (entry["History Sequence Number"], entry["Procedure Number"], entry["User ID"])
        for entry in log["entries"]
        if entry["History Sequence Number"]
    ]
    demand_reset, procedure_invoked = 20, 9
    assert told == [(1, demand_reset, 2), (2, procedure_invoked, 2)]
    newest = decode_header(schema, bytes.fromhex(header)).sequence
    events = decode_entries(schema, bytes.fromhex(entries), newest, NAME)
    assert events.code.tolist() == [44, 47]
    assert events.argument.tolist() == [7, 0]


async def test_it_is_told_why_not() -> None:
    wrong = f"login:2:0000:{b'wrong'.ljust(20).hex()}"
    login, missing, outside, whole = await ask(
        serve_optical_tcp, concentrator(), wrong, "read:2", "read:1:30:8", "read:64"
    )
    assert login is False
    assert missing["code"] == ResponseCode.INAPPROPRIATE_ACTION_REQUESTED
    assert outside["code"] == ResponseCode.OPERATION_NOT_POSSIBLE
    assert whole["code"] == ResponseCode.INSUFFICIENT_SECURITY_CLEARANCE


async def test_what_does_not_fit_its_packets_is_said_so() -> None:
    _, whole, part = await ask(serve_optical_tcp, concentrator(), LOGIN, "read:64", "read:64:0:8")
    assert whole["code"] == ResponseCode.RESPONSE_TOO_LARGE
    assert len(part) == 16


@pytest.mark.parametrize("words", [[], ["--optical-pty"]], ids=["TCP", "pseudo-terminal"])
def test_it_reads_a_meter_of_a_served_fleet_as_it_is_told_to(
    tmp_path: Path, words: list[str]
) -> None:
    with serving(tmp_path, "", "--set", "protocol=c12", "--optical", "4", *words) as served:
        told = "".join(served.told)
        (url,) = re.findall(r"set SERIAL_CONNECTION (\S+)", told)
        (password,) = re.findall(r"set PASSWORD (\S+)", told)
        command = [sys.executable, str(PROGRAM), url, "start", f"login:2:0000:{password}"]
        command += ["read:5", "procedure:21:0000", f"read:{CONTROL_LOG}", "logoff"]
        done = subprocess.run(command, check=True, capture_output=True, timeout=END_S)
        started, login, name, result, log, logoff = json.loads(done.stdout)
    assert started is login is logoff is True
    assert bytes.fromhex(name) == b"MST0000000000005".ljust(20)
    assert result == [0, ""]
    assert log
