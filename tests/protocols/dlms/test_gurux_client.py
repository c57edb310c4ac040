"""gurux-dlms, an independent implementation, reads our server from a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trio

from protocols.dlms.ciphering import SecurityContext
from protocols.dlms.clock import encode_date_time
from protocols.dlms.cosem.access import Level
from protocols.dlms.cosem.disconnect import ControlState
from protocols.dlms.server import (
    AssociationOpened,
    AssociationRefused,
    RefusalKind,
    Refused,
    ServerEvent,
    ServerSession,
)
from protocols.dlms.server.association import ServerAssociation
from tests.support.dlms_device import (
    CLIENT_TITLE,
    FIRST_S,
    KEYS,
    SECRET,
    SERVER_TITLE,
    STEP_S,
    Premises,
    security,
    server,
)
from tests.support.dlms_server import serving

SCRIPT = Path(__file__).parents[2] / "support" / "gurux_client.py"
CLOCK_NAME = "0.0.1.0.0.255"
REGISTER_NAME = "1.0.1.8.0.255"
PROFILE_NAME = "1.0.99.1.0.255"
DISCONNECT_NAME = "0.0.96.3.10.255"

HOW = [
    pytest.param(("--client", "16"), Level.PUBLIC, id="no security"),
    pytest.param(
        ("--client", "1", "--authentication", "low", "--password", SECRET.decode()),
        Level.LOW,
        id="LLS",
    ),
    *(
        pytest.param(
            (
                *("--client", "1", "--authentication", "low", "--password", SECRET.decode()),
                *("--ciphering", ciphering),
            ),
            Level.LOW,
            id=f"LLS, ciphering {ciphering}",
        )
        for ciphering in ("service", "general")
    ),
    *(
        pytest.param(
            ("--client", "1", "--authentication", "gmac", "--ciphering", ciphering),
            Level.HIGH,
            id=f"GMAC, ciphering {ciphering}",
        )
        for ciphering in ("none", "service", "general")
    ),
]
LAST_TAGS = {"none": 0xC0, "service": 0xC8, "general": 0xDB}
"""How gurux sends a GET: in clear, glo-get-request, general-glo-ciphering."""


@dataclass
class Bench:
    """A device served to gurux clients, one after the other."""

    tmp_path: Path
    premises: Premises = field(default_factory=Premises)
    context: SecurityContext = field(default_factory=lambda: security(SERVER_TITLE))
    sessions: list[ServerSession] = field(default_factory=list)
    next_counter: int = 1

    def make_session(self, now: float) -> ServerSession:
        session = server(self.premises.device(), context=self.context, now=now)
        self.sessions.append(session)
        return session

    async def read(self, how: tuple[str, ...], *wanted: str, counter: int | None = None) -> Any:
        """Let gurux read ``wanted`` and return its results."""
        output = self.tmp_path / "output.json"
        async with serving(self.make_session) as port:
            command = [
                *(sys.executable, str(SCRIPT), "--port", str(port), "--output", str(output)),
                *("--system-title", CLIENT_TITLE.hex()),
                *("--encryption-key", KEYS.unicast_encryption.hex()),
                *("--authentication-key", KEYS.authentication.hex()),
                *("--invocation-counter", str(counter or self.next_counter)),
                *how,
                *wanted,
            ]
            run = await trio.run_process(
                command, check=False, capture_stdout=True, capture_stderr=True
            )
        if run.returncode:
            raise subprocess.CalledProcessError(run.returncode, command, run.stdout, run.stderr)
        said = json.loads(output.read_text())
        self.next_counter = said["next_invocation_counter"] + 1
        return said["results"]

    def events(self) -> list[ServerEvent]:
        found: list[ServerEvent] = []
        for session in self.sessions:
            while (event := session.next_event()) is not None:
                found.append(event)
        return found


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.parametrize(("how", "level"), HOW)
async def test_gurux_reads_the_device(bench: Bench, how: tuple[str, ...], level: Level) -> None:
    view, clock, register = await bench.read(
        how, "association-view", f"clock:{CLOCK_NAME}", f"attribute:3:{REGISTER_NAME}:2"
    )
    assert [8, CLOCK_NAME, 0] in view
    assert [15, "0.0.40.0.0.255", 1] in view
    assert clock == FIRST_S
    public = level is Level.PUBLIC
    assert ([3, REGISTER_NAME, 0] in view) is not public
    assert register == ({"error": 13} if public else 123_456)
    events = bench.events()
    opened = [event for event in events if isinstance(event, AssociationOpened)]
    assert [event.level for event in opened] == [level]
    assert not [event for event in events if isinstance(event, Refused)]


@pytest.mark.parametrize(("ciphering", "tag"), LAST_TAGS.items())
async def test_gurux_ciphers_the_way_the_test_says(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, ciphering: str, tag: int
) -> None:
    received: list[tuple[int, int]] = []
    receive = ServerAssociation.receive

    def spy(association: ServerAssociation, octets: bytes, now: float) -> bytes | None:
        answer = receive(association, octets, now)
        received.append((octets[0], answer[0] if answer else 0))
        return answer

    monkeypatch.setattr(ServerAssociation, "receive", spy)
    how = ("--client", "1", "--authentication", "gmac", "--ciphering", ciphering)
    await bench.read(how, f"clock:{CLOCK_NAME}")
    # The last but one: the release follows. The answer comes in kind.
    assert received[-2] == (tag, {0xC0: 0xC4, 0xC8: 0xCC, 0xDB: 0xDB}[tag])


@pytest.mark.parametrize(("how", "_level"), HOW[1:])
async def test_gurux_reads_the_profile_by_entry_and_by_range(
    bench: Bench, how: tuple[str, ...], _level: Level
) -> None:
    # A PDU of 128 octets: every one of these answers comes in blocks.
    by_entry, by_range, both = await bench.read(
        (*how, "--max-pdu-size", "128"),
        f"entries:{PROFILE_NAME}:3:40",
        f"range:{PROFILE_NAME}:{FIRST_S + STEP_S}:{FIRST_S + 3 * STEP_S}",
        f"list:3:{REGISTER_NAME}:2,3:{REGISTER_NAME}:3",
    )
    assert [row[2] for row in by_entry] == list(range(1002, 1042))
    assert [row[1] for row in by_range] == [
        encode_date_time(FIRST_S + i * STEP_S).hex() for i in (1, 2, 3)
    ]
    assert both == [123_456, [0, 30]]


@pytest.mark.parametrize(("how", "_level"), HOW[1:])
async def test_gurux_switches_the_disconnector(
    bench: Bench, how: tuple[str, ...], _level: Level
) -> None:
    (nothing,) = await bench.read(how, f"action:70:{DISCONNECT_NAME}:1:0")
    assert nothing is None
    await bench.read(how, f"action:70:{DISCONNECT_NAME}:2:0")
    assert bench.premises.changes == [ControlState.DISCONNECTED, ControlState.CONNECTED]


GMAC = ("--client", "1", "--authentication", "gmac", "--ciphering", "general")
LOW = ("--client", "1", "--authentication", "low", "--password")


@pytest.mark.parametrize(
    ("how", "counter", "reason"),
    [
        pytest.param((*LOW, "wrong"), None, RefusalKind.AUTHENTICATION_FAILED, id="secret"),
        pytest.param(("--client", "1"), None, RefusalKind.AUTHENTICATION_REQUIRED, id="none"),
        pytest.param(("--client", "7"), None, RefusalKind.UNKNOWN_CLIENT, id="client"),
        pytest.param(GMAC, 1, RefusalKind.REPLAYED, id="counter"),
        pytest.param((*GMAC, "--encryption-key", "ff" * 16), None, RefusalKind.WRONG_MAC, id="key"),
    ],
)
async def test_gurux_understands_a_refusal(
    bench: Bench, how: tuple[str, ...], counter: int | None, reason: RefusalKind
) -> None:
    await bench.read(GMAC, f"clock:{CLOCK_NAME}")
    bench.events()
    with pytest.raises(subprocess.CalledProcessError) as failed:
        await bench.read(how, f"clock:{CLOCK_NAME}", counter=counter)
    assert "gurux_dlms.GXDLMSException" in failed.value.stderr.decode()
    (refused,) = bench.events()
    assert isinstance(refused, AssociationRefused)
    assert refused.reason is reason
    assert await bench.read(GMAC, f"clock:{CLOCK_NAME}") == [FIRST_S]
