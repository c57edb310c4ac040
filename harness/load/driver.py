"""What Locust's processes do for a run: take orders from it, keep the shards, report back.

A run (`meterstorm run`) gives its orders over a Unix socket: ``prepare``, ``start``, ``quiesce``,
``stop``. Locust's local or master process is the *coordinator*: it holds that socket and passes
orders on as Locust messages. Every local or worker process is a *keeper*: it owns the shards
``worker_index, worker_index + workers, ...`` and answers ``ready``, ``drained``, ``gone`` and
``ended``. A local process is both; its runner delivers messages to itself.

Nothing outlives the run: when it closes the socket, the coordinator has the shards stopped and
quits; a keeper that quits ends its shards; a shard whose keeper is gone ends by itself.
"""

from __future__ import annotations

import logging
from typing import Final

from locust.env import Environment
from locust.rpc.protocol import Message as RunnerMessage
from locust.runners import MasterRunner, Runner, WorkerRunner

from harness.load.coordinator import Coordinator
from harness.load.keeper import Keeper
from harness.load.names import ORDER, REPORT
from harness.load.standalone import AttachedRun
from harness.load.tables import rewrite_tables

log: Final = logging.getLogger(__name__)


class Driver:
    """The coordinator and the keeper of one Locust process, as far as it is either.

    Args:
        environment: Locust's environment, its runner made.
        attached: the run to start once the test begins; ``None`` where a run started Locust.
    """

    def __init__(self, environment: Environment, attached: AttachedRun | None) -> None:
        runner = environment.runner
        assert isinstance(runner, Runner)
        self._environment = environment
        self.coordinator: Coordinator | None = None
        self.keeper: Keeper | None = None
        if not isinstance(runner, MasterRunner):
            self.keeper = Keeper(runner)
            runner.register_message(ORDER, self._on_order)
        if not isinstance(runner, WorkerRunner):
            self.coordinator = Coordinator(environment, runner, attached)
            runner.register_message(REPORT, self._on_report)

    def start(self) -> None:
        """The test begins."""
        if self.coordinator is not None:
            self.coordinator.start()

    def finish(self) -> None:
        """Locust quits: end what is left and take over the run's exit code."""
        if self.keeper is not None:
            self.keeper.end()
        code = self.coordinator.finish() if self.coordinator is not None else None
        if code is not None:
            self._environment.process_exit_code = code
        if self.coordinator is not None:
            # Not later: writing its JSON file, Locust sets its statistics to zero.
            rewrite_tables(self._environment)

    def _on_order(self, environment: Environment, msg: RunnerMessage, **_: object) -> None:
        if self.keeper is not None:
            self.keeper.obey(msg.data)

    def _on_report(self, environment: Environment, msg: RunnerMessage, **_: object) -> None:
        if self.coordinator is not None:
            self.coordinator.note(msg.data)
