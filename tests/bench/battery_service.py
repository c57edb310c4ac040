"""Operations a second on the battery layer as its users see it: over HTTP, every command durable.

Emulated batteries, the layer and its API run as in a run, each in a process of its own, over links
that cost nothing. A few clients ask one after another: for snapshots of one aggregate, which rest
on readings of the last twenty minutes, then for currents, each of its own command. The journal is
below the folder for temporary files (set TMPDIR where that one is not on a disk). A command that is
answered is durable; its orders go to every source after that, so how long the batteries take to
have them all is told, too.

What was commanded is held against the journal and the batteries' own record afterwards.
"""

from __future__ import annotations

import http.client
import json
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import trio

from emulator.batteries.config import record_path
from emulator.batteries.record import read_record
from emulator.clock import ScenarioClock
from harness.bal.journal import read_journal
from harness.check.batteries import account_of_batteries
from harness.run.batteries import BatterySystem
from harness.run.battery_files import FOLDER, JOURNAL, virtual_name
from harness.run.preparation import Prepared, prepare
from harness.run.questions import ask
from harness.scenario import Scenario
from harness.scenario.bal import Bal

CLIENTS: Final = 4
ASKED_S: Final = 4.0
REST_S: Final = 60.0
SOURCE_MA: Final = 1_000
_SCENARIO: Final[dict[str, Any]] = {
    "name": "bench",
    "seed": 7,
    "speed": 1.0,
    "link": "none",
    "grid": {"transformer_stations": 1},
    "behaviour": {"steps": 4},
    "bal": {"virtual": 1, "refresh": "lazy", "staleness": "20 min"},
}
_BATTERIES: Final[dict[str, Any]] = {
    "categories": [
        {
            "name": "pack",
            "share": "100 %",
            "interface": "sunspec",
            "capacity": ["280 Ah", "280 Ah"],
            "first_charge": ["50 %", "50 %"],
        }
    ]
}


@dataclass(frozen=True)
class Served:
    """What one aggregate did for its users.

    Attributes:
        statuses_per_s, commands_per_s: snapshots and durable commands in a second.
        commands: how many commands there were.
        told_s: seconds from the last answer until every battery had its orders.
    """

    statuses_per_s: float
    commands_per_s: float
    commands: int
    told_s: float


def served(sources: int) -> Served:
    """Measure an aggregate of so many sources.

    Raises:
        AssertionError: an answer was wrong, or a command was lost or executed twice.
    """
    with tempfile.TemporaryDirectory(prefix="meterstorm-bench-") as folder:
        batteries = {**_BATTERIES, "count": sources}
        scenario = Scenario.model_validate({**_SCENARIO, "batteries": batteries})
        prepared = prepare(scenario, scenario_file=Path("none.toml"), out=Path(folder))
        result = trio.run(_measured, prepared, sources)
        _check(prepared, result.commands)
    return result


async def _measured(prepared: Prepared, sources: int) -> Served:
    doubts: list[str] = []
    with tempfile.TemporaryDirectory(prefix="meterstorm-") as sockets:
        bal = prepared.scenario.bal
        assert isinstance(bal, Bal)
        system = BatterySystem(
            prepared,
            bal,
            Path(sockets),
            started=lambda name, pid: None,
            note=doubts.append,
            doubt=doubts.append,
            say=lambda text: None,
        )
        async with trio.open_nursery() as nursery:
            await system.start(nursery)
            clock = ScenarioClock()
            clock.start(time.monotonic(), float(prepared.fleet.first_s), 1.0)
            await system.start_clock(clock)
            assert system.url is not None
            users = _Users(system.url, system.token_file.read_text().strip(), sources)
            await trio.to_thread.run_sync(users.look)
            statuses = await trio.to_thread.run_sync(users.ask, users.look)
            commands = await trio.to_thread.run_sync(users.ask, users.command)
            told_s = await _told(Path(sockets) / "bal.sock")
            await system.stop()
            nursery.cancel_scope.cancel()
    assert not doubts, doubts
    return Served(statuses / ASKED_S, commands / ASKED_S, commands, told_s)


class _Users:
    """Clients that ask one aggregate, each over a connection of its own."""

    def __init__(self, url: str, token: str, sources: int) -> None:
        self._place = urlsplit(url).netloc
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._sources = sources
        self._path = f"/batteries/{virtual_name(0)}"
        self._numbers = count(1)

    def ask(self, question: Callable[[http.client.HTTPConnection], None]) -> int:
        """Let all of them ask for a while; return how many answers there were."""
        until_s = time.monotonic() + ASKED_S
        with ThreadPoolExecutor(CLIENTS) as pool:
            return sum(pool.map(partial(self._ask, question), [until_s] * CLIENTS))

    def _ask(self, question: Callable[[http.client.HTTPConnection], None], until_s: float) -> int:
        connection, answers = http.client.HTTPConnection(self._place), 0
        while time.monotonic() < until_s:
            question(connection)
            answers += 1
        connection.close()
        return answers

    def look(self, connection: http.client.HTTPConnection | None = None) -> None:
        """Ask for a snapshot, which must be of all sources."""
        told = self._exchange(connection or http.client.HTTPConnection(self._place), "GET", "")
        assert told["sources_online"] == self._sources, told

    def command(self, connection: http.client.HTTPConnection) -> None:
        """Set a current, a new one for every source."""
        number = next(self._numbers)
        current_ma = self._sources * (SOURCE_MA + number % 7)
        asked = {"current_ma": current_ma, "id": f"command-{number}"}
        told = self._exchange(connection, "POST", "/current", json.dumps(asked))
        assert told["id"] == asked["id"], told

    def _exchange(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: str = ""
    ) -> dict[str, Any]:
        connection.request(method, self._path + path, body or None, self._headers)
        answer = connection.getresponse()
        told: dict[str, Any] = json.loads(answer.read())
        assert answer.status < 300, (answer.status, told)
        return told


async def _told(socket: Path) -> float:
    """Return after how many seconds no order ends any more."""
    begin_s = ended_s = trio.current_time()
    ended = -1
    while trio.current_time() < begin_s + REST_S:
        counts = await ask(socket, "counts")
        now = sum(number for name, number in counts["counts"].items() if name.startswith("orders"))
        if now != ended:
            ended, ended_s = now, trio.current_time()
        elif trio.current_time() > ended_s + 1.0:
            break
        await trio.sleep(0.05)
    return ended_s - begin_s


def _check(prepared: Prepared, commands: int) -> None:
    """Hold the journal against the batteries' own record."""
    folder = prepared.folder.path
    events, orders = read_journal(folder / FOLDER / JOURNAL)
    named = [event.command for event in events if event.command]
    assert len(named) == len(set(named)) == commands, (len(named), commands)
    entries = list(read_record(record_path(folder, 0)))
    account = account_of_batteries(entries, orders)
    assert account.sound, account
