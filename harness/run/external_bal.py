"""Somebody's own battery layer in a run: told what it needs, asked over its API, waited for.

It may start on what is exported into ``provisioning/``::

    batteries.csv        one line a battery: where it is, what it speaks, what it is built for
    topology.toml        the virtual batteries that clients will ask for, and what they are made of
    battery-layer.json   the scenario clock, and how old a reading may be that an answer rests on

Scenario time is ``scenario_s + (POSIX time - posix_s) * speed`` from the moment at which ``clock``
is there, which is when the run's own clock starts. No journal of it is read: what is judged is what
clients were told and what the batteries have on record.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any, Final
from urllib.parse import quote

import trio

from emulator.atomic import write_json
from emulator.clock import ScenarioClock
from harness.run.battery_files import FLOWS, FOLDER, export_batteries, write_topology
from harness.run.battery_processes import BatteryProcesses
from harness.run.http import asked
from harness.run.listening import url_listens
from harness.run.preparation import Prepared
from harness.run.set_points import SetPoint, give_set_points, set_points
from harness.scenario.bal import Bal, ExternalBal

FACTS: Final = "battery-layer.json"
ANSWER_S: Final = 120.0
"""Real seconds for an answer: batteries behind slow links may have to be read first."""


class ExternalBalSystem:
    """A battery layer that is not ours, over the batteries of a run.

    Args:
        prepared: the run.
        bal: what the scenario wants of it.
        target: where its API is.
        realtime_offset_s: POSIX seconds minus CLOCK_MONOTONIC.
        started: told name and process id of everything that starts.
        note: told what is worth a line of the record.
        doubt: told what makes the run prove nothing.
    """

    def __init__(
        self,
        prepared: Prepared,
        bal: Bal,
        target: ExternalBal,
        realtime_offset_s: float,
        *,
        started: Callable[[str, int], None],
        note: Callable[[str], None],
        doubt: Callable[[str], None],
    ) -> None:
        self._prepared = prepared
        self._bal = bal
        self._realtime_offset_s = realtime_offset_s
        self._note = note
        self._doubt = doubt
        self._folder = prepared.folder.path / FOLDER
        self._batteries = BatteryProcesses(prepared, started=started, doubt=doubt)
        self._nursery: trio.Nursery | None = None
        self._has_api = target.has_api
        self.url = target.url.rstrip("/")
        self.token_file = target.token_file

    async def start(self, nursery: trio.Nursery) -> None:
        """Start the batteries, export them, and wait until its API accepts a connection.

        Raises:
            ProcessFailedError: a process of batteries did not come up.
            EnvironmentUnfitError: nobody listens within 30 s.
            OSError: the export cannot be written.
        """
        self._nursery = nursery
        self._folder.mkdir(exist_ok=True)
        await self._batteries.start(nursery)
        grid, provisioning = self._batteries.grid, self._prepared.provisioning
        for folder in (self._folder, provisioning):
            write_topology(folder, self._bal, grid)
        export_batteries(provisioning, grid, self._batteries.fleet)
        self._write_facts(None)
        await url_listens(self.url, who="battery layer", key="bal.target.url")

    async def start_clock(self, clock: ScenarioClock) -> None:
        """Give the batteries the scenario clock, and say what it is; then give set points."""
        await self._batteries.start_clock(clock)
        self._write_facts(clock)
        if self._bal.schedule and self._nursery is not None:
            points = set_points(self._bal, self._prepared.fleet.first_s)
            give = partial(give_set_points, folder=self._folder, doubt=self._doubt)
            self._nursery.start_soon(partial(give, points, self._schedule, now_s=clock.now_s))

    async def stop(self) -> None:
        """Give batteries time to do what they were told last, and end them, records complete."""
        await trio.sleep(self._bal.obeys_within)
        if self._has_api:
            await self._keep_flows()
        await self._batteries.stop()

    async def _keep_flows(self) -> None:
        try:
            (self._folder / FLOWS).write_text(json.dumps(await self.flows()))
        except (OSError, ValueError) as error:
            self._note(f"the battery layer does not say what flowed: {error}")

    async def flows(self, to_ms: int | None = None) -> list[dict[str, Any]]:
        """Return what its virtual meters registered. Raises `OSError`, `ValueError`."""
        until = "" if to_ms is None else f"&to_ms={to_ms}"
        url = f"{self.url}/flows?from_ms=0{until}"
        told = await asked(url, self.token_file, timeout_s=ANSWER_S)
        try:
            return [dict(flow) for flow in json.loads(told)]
        except TypeError as error:
            raise ValueError(f"{url} tells no flows: {error}") from error

    def pids(self) -> dict[str, int]:
        """Return the process ids of the batteries by name."""
        return self._batteries.pids()

    async def _schedule(self, point: SetPoint) -> str | None:
        body = {
            "id": point.id,
            "current_ma": point.current_ma,
            "start_ms": point.start_ms,
            "end_ms": point.end_ms,
        }
        url = f"{self.url}/batteries/{quote(point.name, safe='')}/schedule"
        try:
            await asked(url, self.token_file, "POST", body, timeout_s=ANSWER_S)
        except OSError as error:
            return str(error)
        return None

    def _write_facts(self, clock: ScenarioClock | None) -> None:
        scenario = self._prepared.scenario
        facts: dict[str, Any] = {
            "speed": scenario.speed,
            "first_s": self._prepared.fleet.first_s,
            "staleness_s": self._bal.staleness,
            "obeys_within_s": self._bal.obeys_within,
            "clock": None,
        }
        if clock is not None:
            facts["clock"] = {
                "scenario_s": clock.scenario_s,
                "posix_s": clock.monotonic_s + self._realtime_offset_s,
                "monotonic_s": clock.monotonic_s,
            }
        write_json(self._prepared.provisioning / FACTS, facts)
