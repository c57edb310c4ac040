"""The load, as Locust sees it: each user is a slice of a fleet shard's concentrators.

Under ``meterstorm run`` this file is started for you. On its own it runs the same scenario::

    METERSTORM_SCENARIO=scenarios/quickstart.toml locust -f harness/load/locustfile.py --headless

with Locust's web page (leave out ``--headless``), or as one ``--master`` and ``--worker`` processes
on the same machine, which need no scenario of their own. The run's folder is made below ``runs``
and its exit code becomes Locust's. As many users as the scenario has slices are started; with
``--users`` fewer live, and the rest of the fleet stays silent.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import gevent
from locust import User, constant, events, task
from locust.env import Environment
from locust.runners import WorkerRunner

from harness.load.driver import Driver
from harness.load.names import CLIENTS_VARIABLE, CONTROL_VARIABLE, SCENARIO_VARIABLE
from harness.load.standalone import AttachedRun

DRIVERS: Final[dict[Environment, Driver]] = {}


class ConcentratorSlice(User):
    """A slice of concentrators: while the user lives, its slice pushes or answers."""

    wait_time = constant(0)

    def on_start(self) -> None:
        """Take the next free slice of this process's shards and let it begin."""
        keeper = DRIVERS[self.environment].keeper
        self.taken = keeper.begin_slice() if keeper else None

    def on_stop(self) -> None:
        """Give the slice back: its concentrators fall silent."""
        keeper = DRIVERS[self.environment].keeper
        if keeper:
            keeper.end_slice(self.taken)

    @task
    def live(self) -> None:
        """Nothing to pace: the plan paces the concentrators, on the shard's own clock."""
        gevent.sleep(3600)


class SystemClient(User):
    """A client of the HTTP systems of a run: battery layer, billing."""

    wait_time = constant(0)
    fixed_count = int(os.environ.get(CLIENTS_VARIABLE, "0"))
    abstract = not fixed_count

    @task
    def live(self) -> None:
        """Make every request in its time; nothing is paced by answers."""
        keeper = DRIVERS[self.environment].keeper
        client = keeper.take_client() if keeper else None
        if client is not None:
            client.live()
        gevent.sleep(3600)


def _prepare(environment: Environment, **_: object) -> None:
    attached = None
    if not isinstance(environment.runner, WorkerRunner) and CONTROL_VARIABLE not in os.environ:
        attached = _attached_run(environment)
    DRIVERS[environment] = Driver(environment, attached)


def _attached_run(environment: Environment) -> AttachedRun:
    scenario = os.environ.get(SCENARIO_VARIABLE)
    if scenario is None:
        raise SystemExit(f"set {SCENARIO_VARIABLE} to a scenario file")
    chosen = getattr(environment.parsed_options, "num_users", None)
    return AttachedRun(Path(scenario), decides_users=chosen is None)


def _start(environment: Environment, **_: object) -> None:
    DRIVERS[environment].start()


def _finish(environment: Environment, **_: object) -> None:
    DRIVERS[environment].finish()


for _hook, _listener in (
    (events.init, _prepare),
    (events.test_start, _start),
    (events.quitting, _finish),
):
    _hook.add_listener(_listener)  # type: ignore[no-untyped-call]
