"""The link between a run and Locust's processes: orders one way, reports the other."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import gevent
from gevent.event import Event
from locust.env import Environment
from locust.runners import MasterRunner, Runner

from harness.load.channel import Channel
from harness.load.names import CONTROL_VARIABLE, ORDER
from harness.load.shards import FAREWELL_S
from harness.load.standalone import AttachedRun

CONNECT_S: Final = 30.0
LEAVE_S: Final = FAREWELL_S + 5.0
"""How long everybody has to end before Locust quits without them."""
log = logging.getLogger(__name__)


class Coordinator:
    """Passes orders of the run to the keepers, and their reports to the run.

    Args:
        environment: Locust's environment.
        runner: its runner, local or master.
        attached: the run to start; ``None`` where a run started Locust.
    """

    def __init__(
        self, environment: Environment, runner: Runner, attached: AttachedRun | None
    ) -> None:
        self._environment = environment
        self._runner = runner
        self._attached = attached
        self._channel: Channel | None = None
        self._started = False
        self._reports: Counter[str] = Counter()
        self._pids: dict[int, int] = {}
        self._ended = Event()

    def start(self) -> None:
        """Connect to the run and obey it, in a greenlet of its own; once."""
        if not self._started:
            self._started = True
            gevent.spawn(self._coordinate)

    def note(self, report: Mapping[str, Any]) -> None:
        """Take a keeper's report; tell the run once all keepers agree, or at once of a loss."""
        state = report["state"]
        if state == "gone":
            self._tell(report)
            return
        self._reports[state] += 1
        self._pids |= report.get("pids", {})
        if self._reports[state] != self._workers():
            return
        pids = {str(shard): pid for shard, pid in self._pids.items()}
        self._tell({"state": state, "pids": pids} if state == "ready" else {"state": state})
        if state == "ended":
            self._ended.set()
            gevent.spawn(self._quit)

    def finish(self) -> int | None:
        """Let the shards end and the run know; return its exit code where we started it."""
        if self._channel is not None:
            if not self._ended.is_set():
                self._order({"do": "stop"})
                self._ended.wait(timeout=LEAVE_S)
            self._channel.close()
        return self._attached.wait() if self._attached else None

    def _coordinate(self) -> None:
        try:
            self._channel = Channel.connect(self._control_socket(), timeout_s=CONNECT_S)
        except (OSError, RuntimeError) as error:
            log.error("no run to drive: %s", error)
            self._quit()
            return
        self._tell({"state": "load", "workers": self._workers()})
        while (order := self._channel.receive()) is not None:
            self._order(order)
        if not self._ended.is_set():
            self._order({"do": "stop"})
            self._ended.wait(timeout=LEAVE_S)
            self._quit()

    def _control_socket(self) -> str:
        if self._attached is None:
            return os.environ[CONTROL_VARIABLE]
        distributed = isinstance(self._runner, MasterRunner)
        return self._attached.start(self._workers() if distributed else 0)

    def _order(self, order: Mapping[str, Any]) -> None:
        if order["do"] == "prepare" and self._attached and self._attached.decides_users:
            users = order["shards"] * order["slices"]
            self._runner.start(users, spawn_rate=users)
        self._runner.send_message(ORDER, {**order, "workers": self._workers()})

    def _tell(self, report: Mapping[str, Any]) -> None:
        try:
            if self._channel is not None:
                self._channel.send(dict(report))
        except OSError:
            return  # the run is gone, and its end is noticed where its orders are read

    def _quit(self) -> None:
        self._runner.quit()
        if self._environment.web_ui is not None:
            self._environment.web_ui.stop()  # type: ignore[no-untyped-call]

    def _workers(self) -> int:
        return self._runner.worker_count if isinstance(self._runner, MasterRunner) else 1
