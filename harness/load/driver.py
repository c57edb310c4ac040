"""What Locust's processes do for a run: take orders from it, keep the shards, report back.

A run (`meterstorm run`) gives its orders over a Unix socket: ``prepare``, ``start``, ``stop``.
Locust's local or master process is the *coordinator*: it holds that socket and passes orders on as
Locust messages. Every local or worker process is a *keeper*: it owns the shards
``worker_index, worker_index + workers, ...`` and answers ``ready``, ``drained``, ``gone`` and
``ended``. A local process is both; its runner delivers messages to itself.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import gevent
from gevent.event import Event
from locust.env import Environment
from locust.rpc.protocol import Message as RunnerMessage
from locust.runners import MasterRunner, WorkerRunner

from harness.load.channel import Channel
from harness.load.names import CONTROL_VARIABLE
from harness.load.shards import ShardProcess
from harness.load.standalone import AttachedRun
from harness.load.statistics import enter_batch
from protocols.framing import Message

ORDER: Final = "meterstorm-order"
REPORT: Final = "meterstorm-report"
CONNECT_S: Final = 30.0


class Keeper:
    """Owns the shards of this process and hands out their slices to Locust's users."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._shards: dict[int, ShardProcess] = {}
        self._ready: dict[int, int] = {}
        self._drained: set[int] = set()
        self._free: list[tuple[int, int]] = []
        self._prepared = Event()

    def obey(self, order: Mapping[str, Any]) -> None:
        """Carry out one order of the coordinator."""
        match order["do"]:
            case "prepare":
                self._prepare(order)
            case "start":
                for shard in self._shards.values():
                    shard.send(order)
            case "stop":
                gevent.spawn(self.end)

    def begin_slice(self) -> tuple[int, int] | None:
        """Begin the next free slice and return (shard, slice), or ``None`` when all live."""
        self._prepared.wait()
        if not self._free:
            return None
        shard, part = self._free.pop(0)
        self._shards[shard].send({"do": "begin", "slice": part})
        return shard, part

    def end_slice(self, taken: tuple[int, int] | None) -> None:
        """Silence a slice and make it free again."""
        if taken is None or taken[0] not in self._shards:
            return
        self._shards[taken[0]].send({"do": "end", "slice": taken[1]})
        self._free.append(taken)

    def end(self) -> None:
        """End all shards, having taken their last counts, and report it; idempotent."""
        shards, self._shards = self._shards, {}
        gevent.joinall([gevent.spawn(shard.end) for shard in shards.values()])
        if shards:
            self._report({"state": "ended"})

    def _prepare(self, order: Mapping[str, Any]) -> None:
        runner = self._environment.runner
        mine = range(max(0, runner.worker_index), order["shards"], order["workers"])
        for number in mine:
            self._shards[number] = ShardProcess(Path(order["run"]), number, self._receive)
        self._free = [(number, part) for part in range(order["slices"]) for number in mine]

    def _receive(self, shard: int, message: Message) -> None:
        match message["state"]:
            case "counts":
                for batch in message["batches"]:
                    enter_batch(self._environment.stats, batch)
            case "ready":
                self._ready[shard] = self._shards[shard].pid
                if len(self._ready) == len(self._shards):
                    self._report({"state": "ready", "pids": self._ready})
                    self._prepared.set()
            case "drained":
                self._drained.add(shard)
                if self._drained == self._shards.keys():
                    self._report({"state": "drained"})
            case "gone" if shard in self._shards:
                self._report({"state": "gone", "shard": shard, "code": message["code"]})

    def _report(self, report: Mapping[str, Any]) -> None:
        self._environment.runner.send_message(REPORT, dict(report))


class Coordinator:
    """Passes orders of the run to the keepers, and their reports to the run."""

    def __init__(self, environment: Environment, attached: AttachedRun | None) -> None:
        self._environment = environment
        self._attached = attached
        self._channel: Channel | None = None
        self._reports: Counter[str] = Counter()
        self._pids: dict[int, int] = {}

    def start(self) -> None:
        """Connect to the run and obey it, in a greenlet of its own."""
        gevent.spawn(self._coordinate)

    def note(self, report: Mapping[str, Any]) -> None:
        """Take a keeper's report; tell the run once all keepers agree, or at once of a loss."""
        state = report["state"]
        self._reports[state] += 1
        self._pids |= report.get("pids", {})
        everybody = self._reports[state] == self._workers()
        if state == "gone":
            self._tell({"state": "gone", "shard": report["shard"], "code": report["code"]})
        elif everybody and state == "ready":
            self._tell({"state": "ready", "pids": {str(k): v for k, v in self._pids.items()}})
        elif everybody:
            self._tell({"state": state})
            if state == "ended":
                gevent.spawn(self._environment.runner.quit)

    def outcome(self) -> int | None:
        """Return the run's exit code where this process started it, waiting for its end."""
        if self._channel is not None:
            self._channel.close()
        return self._attached.wait() if self._attached else None

    def _coordinate(self) -> None:
        path = self._attached.start() if self._attached else os.environ[CONTROL_VARIABLE]
        self._channel = Channel.connect(path, timeout_s=CONNECT_S)
        self._tell({"state": "load", "workers": self._workers()})
        while (order := self._channel.receive()) is not None:
            everything = {**order, "workers": self._workers()}
            self._environment.runner.send_message(ORDER, everything)
        if not self._reports["ended"]:
            self._environment.runner.send_message(ORDER, {"do": "stop"})

    def _tell(self, report: Mapping[str, Any]) -> None:
        try:
            if self._channel is not None:
                self._channel.send(report)
        except OSError:
            return

    def _workers(self) -> int:
        runner = self._environment.runner
        return runner.worker_count if isinstance(runner, MasterRunner) else 1


class Driver:
    """The coordinator and the keeper of one Locust process, as far as it is either."""

    def __init__(self, environment: Environment, attached: AttachedRun | None) -> None:
        runner = environment.runner
        coordinates = not isinstance(runner, WorkerRunner)
        keeps = not isinstance(runner, MasterRunner)
        self._environment = environment
        self.coordinator = Coordinator(environment, attached) if coordinates else None
        self.keeper = Keeper(environment) if keeps else None
        if self.keeper is not None:
            runner.register_message(ORDER, self._on_order)
        if self.coordinator is not None:
            runner.register_message(REPORT, self._on_report)

    def start(self) -> None:
        """The test begins."""
        if self.coordinator is not None:
            self.coordinator.start()

    def finish(self) -> None:
        """Locust quits: end what is left and take over the run's exit code."""
        if self.keeper is not None:
            self.keeper.end()
        code = self.coordinator.outcome() if self.coordinator is not None else None
        if code is not None:
            self._environment.process_exit_code = code

    def _on_order(self, environment: Environment, msg: RunnerMessage, **_: object) -> None:
        if self.keeper is not None:
            self.keeper.obey(msg.data)

    def _on_report(self, environment: Environment, msg: RunnerMessage, **_: object) -> None:
        if self.coordinator is not None:
            self.coordinator.note(msg.data)
