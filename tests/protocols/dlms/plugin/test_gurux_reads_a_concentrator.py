"""gurux-dlms, an independent client in a process of its own, reads a served concentrator."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
import trio

from protocols.dlms.plugin import FIRST_METER_DEVICE
from protocols.plugin import SessionOptions
from tests.protocols.dlms.plugin.conversation import Place
from tests.support.concentrator_model import CREDENTIALS, FIRST_S, HEAD_END, REGISTERS, STEP_S
from tests.support.gurux import gurux_is_installed

pytestmark = pytest.mark.skipif(not gurux_is_installed(), reason="gurux-dlms is not installed")

SCRIPT: Final = Path(__file__).parents[3] / "support" / "gurux_client.py"
LOAD_PROFILE: Final = "1.0.99.1.0.255"

HOW: Final = [
    pytest.param(SessionOptions("none", "clear"), ("--client", "16"), id="no security"),
    pytest.param(
        SessionOptions("lls", "clear"),
        ("--client", "1", "--authentication", "low", "--password", CREDENTIALS.secret.decode()),
        id="LLS",
    ),
    *(
        pytest.param(
            SessionOptions(),
            ("--client", "1", "--authentication", "gmac", "--ciphering", ciphering),
            id=f"GMAC, ciphering {ciphering}",
        )
        for ciphering in ("service", "general")
    ),
]


@dataclass
class Bench:
    """A concentrator on a loopback socket, as the emulator serves it."""

    output: Path
    place: Place
    refusals: list[str] = field(default_factory=list)

    async def serve(self, stream: trio.SocketStream) -> None:
        session = self.place.served()
        while data := await stream.receive_some(65_536):
            session.receive_data(bytes(data), now=trio.current_time())
            self.refusals += session.refusals()
            await stream.send_all(session.data_to_send())

    async def read(self, how: Sequence[str], server: int, *wanted: str) -> Any:
        async with trio.open_nursery() as nursery:
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            port = listeners[0].socket.getsockname()[1]
            nursery.start_soon(trio.serve_listeners, self.serve, listeners)
            command = [
                *(sys.executable, str(SCRIPT), "--port", str(port), "--server", str(server)),
                *("--system-title", HEAD_END.hex(), "--output", str(self.output)),
                *("--encryption-key", CREDENTIALS.encryption_key.hex()),
                *("--authentication-key", CREDENTIALS.authentication_key.hex()),
                *how,
                *wanted,
            ]
            await trio.run_process(command, capture_stdout=True, capture_stderr=True)
            nursery.cancel_scope.cancel()
        return json.loads(self.output.read_text())["results"]


def rows(place: Place, *, named: bool, meters: range | None = None) -> list[list[Any]]:
    """Return the rows that gurux should have read, octets as hexadecimal."""
    readings = place.model.buffer(FIRST_S, FIRST_S + 7 * STEP_S, meters)
    return [
        [*([bytes(name).hex()] if named else []), int(status), *values.tolist()]
        for name, status, values in zip(
            readings.meter_ids, readings.status, readings.values, strict=True
        )
    ]


def without_times(found: list[list[Any]], column: int) -> list[list[Any]]:
    return [row[:column] + row[column + 1 :] for row in found]


@pytest.mark.parametrize(("options", "how"), HOW)
async def test_gurux_reads_the_concentrator(
    tmp_path: Path, options: SessionOptions, how: Sequence[str]
) -> None:
    bench = Bench(tmp_path / "output.json", Place(options=options))
    view, clock, saps, by_entry, by_range = await bench.read(
        how,
        1,
        "association-view",
        "clock:0.0.1.0.0.255",
        "attribute:17:0.0.41.0.0.255:2",
        f"entries:{LOAD_PROFILE}:4:6",
        f"range:{LOAD_PROFILE}:{FIRST_S + STEP_S}:{FIRST_S + 2 * STEP_S}",
    )
    for item in ([7, LOAD_PROFILE, 1], [40, "0.7.25.9.0.255", 0], [64, "0.0.43.0.0.255", 0]):
        assert item in view
    assert clock == bench.place.model.now_s
    assert [sap for sap, _ in saps] == [1, 256, 257, 258]
    expected = rows(bench.place, named=True)
    assert without_times(by_entry, 1) == expected[3:9]
    assert without_times(by_range, 1) == expected[3:9]
    assert bench.refusals == []


@pytest.mark.parametrize(("options", "how"), HOW)
async def test_gurux_reads_and_switches_a_meter_behind_it(
    tmp_path: Path, options: SessionOptions, how: Sequence[str]
) -> None:
    bench = Bench(tmp_path / "output.json", Place(options=options))
    view, clock, registers, by_entry, by_range, switched, state = await bench.read(
        how,
        FIRST_METER_DEVICE + 1,
        "association-view",
        "clock:0.0.1.0.0.255",
        "list:" + ",".join(f"3:{'.'.join(map(str, r.logical_name))}:2" for r in REGISTERS),
        f"entries:{LOAD_PROFILE}:2:3",
        f"range:{LOAD_PROFILE}:{FIRST_S + STEP_S}:{FIRST_S + 3 * STEP_S}",
        "action:70:0.0.96.3.10.255:1:0",
        "attribute:70:0.0.96.3.10.255:2",
    )
    assert [70, "0.8.96.3.10.255", 0] in view
    assert [9, "0.0.10.0.100.255", 0] in view
    assert clock == bench.place.model.now_s
    expected = rows(bench.place, named=False, meters=range(1, 2))
    assert registers == expected[-1][1:]
    assert without_times(by_entry, 0) == expected[1:4]
    assert without_times(by_range, 0) == expected[1:4]
    assert (switched, state) == (None, False)
    assert [meter for meter, _ in bench.place.model.executed] == [1]
    assert bench.refusals == []


async def test_gurux_as_the_public_client_sees_little(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "output.json", Place())
    view, clock, profile = await bench.read(
        ("--client", "16"),
        1,
        "association-view",
        "clock:0.0.1.0.0.255",
        f"attribute:7:{LOAD_PROFILE}:2",
    )
    assert sorted(class_id for class_id, _, _ in view) == [1, 1, 1, 8, 15, 17]
    assert clock == bench.place.model.now_s
    assert "error" in profile
    assert bench.refusals == ["scope of access violated"]
