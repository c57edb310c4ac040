"""The load, as Locust sees it: each user is a slice of a fleet shard's concentrators.

Under ``meterstorm run`` this file is started for you. On its own it runs the same scenario::

    METERSTORM_SCENARIO=scenarios/quickstart.toml locust -f harness/load/locustfile.py --headless

with Locust's web page (leave out ``--headless``), or as a ``--master`` and ``--worker`` processes
that see the same run directory. Users and spawn rate follow from the scenario when not given.
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
from harness.load.names import CONTROL_VARIABLE, SCENARIO_VARIABLE
from harness.load.standalone import AttachedRun
from harness.scenario import Scenario

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


@events.init.add_listener
def _prepare(environment: Environment, **_: object) -> None:
    scenario = os.environ.get(SCENARIO_VARIABLE)
    attached = None
    if not isinstance(environment.runner, WorkerRunner) and CONTROL_VARIABLE not in os.environ:
        if scenario is None:
            raise SystemExit(f"set {SCENARIO_VARIABLE} to a scenario file")
        attached = AttachedRun(Path(scenario))
        _default_users(environment, users_of(Scenario.load(Path(scenario))))
    DRIVERS[environment] = Driver(environment, attached)


def users_of(scenario: Scenario) -> int:
    """Return how many users stand for the whole fleet of a scenario."""
    return scenario.load_driver.users or max(1, scenario.load_driver.workers)


def _default_users(environment: Environment, users: int) -> None:
    options = environment.parsed_options
    if options is not None:
        options.num_users = options.num_users or users
        options.spawn_rate = options.spawn_rate or users


@events.test_start.add_listener
def _start(environment: Environment, **_: object) -> None:
    DRIVERS[environment].start()


@events.quitting.add_listener
def _finish(environment: Environment, **_: object) -> None:
    DRIVERS[environment].finish()
