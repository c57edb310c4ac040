"""The fleet shards and the client of one Locust process, and the users that let them live."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event
from locust.runners import Runner, WorkerRunner

from harness.load.clients.living import LivingClient, read_config
from harness.load.names import REPORT
from harness.load.shards import ShardProcess
from harness.load.statistics import enter_batch
from protocols.framing import Message


class Keeper:
    """Owns shards and client of this process and hands out slices and client to Locust's users.

    Args:
        runner: the runner of this process, local or worker.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._shards: dict[int, ShardProcess] = {}
        self._slices = 0
        self._ready: dict[int, int] = {}
        self._drained: set[int] = set()
        self._gone: set[int] = set()
        self._free: list[tuple[int, int]] = []
        self._client: LivingClient | None = None
        self._client_taken = False
        self._prepared = Event()
        self._ended = False

    def obey(self, order: Mapping[str, Any]) -> None:
        """Carry out one order of the coordinator."""
        match order["do"]:
            case "prepare":
                self._prepare(order)
            case "start":
                for shard in self._shards.values():
                    shard.send(order)
                if self._client is not None:
                    self._client.begin(float(order["clock"][0]))
            case "quiesce":
                if self._client is not None:
                    self._client.stop()
                for shard in self._shards.values():
                    for part in range(self._slices):
                        shard.send({"do": "end", "slice": part})
            case "stop":
                gevent.spawn(self.end)

    def begin_slice(self) -> tuple[int, int] | None:
        """Begin the next free slice and return (shard, slice), or ``None`` when all live."""
        self._prepared.wait()
        if not self._free or self._ended:
            return None
        shard, part = self._free.pop(0)
        self._shards[shard].send({"do": "begin", "slice": part})
        return shard, part

    def take_client(self) -> LivingClient | None:
        """Return the client of this process, once; ``None`` where there is none to be had."""
        self._prepared.wait()
        if self._client is None or self._client_taken or self._ended:
            return None
        self._client_taken = True
        return self._client

    def end_slice(self, taken: tuple[int, int] | None) -> None:
        """Silence a slice and make it free again."""
        if taken is None or taken[0] not in self._shards:
            return
        self._shards[taken[0]].send({"do": "end", "slice": taken[1]})
        self._free.append(taken)

    def end(self) -> None:
        """End all shards, having taken their last counts, and report it; idempotent."""
        if self._ended:
            return
        self._ended = True
        shards, self._shards = self._shards, {}
        if self._client is not None and self._client_taken:
            self._client.end()
        gevent.joinall([gevent.spawn(self._end, shard) for shard in shards.values()])
        self._report({"state": "ended"})

    def _end(self, shard: ShardProcess) -> None:
        code = shard.end()
        if code and shard.shard not in self._gone:
            self._report({"state": "gone", "shard": shard.shard, "code": code})

    def _prepare(self, order: Mapping[str, Any]) -> None:
        # A local runner is the only worker there is.
        index = self._runner.worker_index if isinstance(self._runner, WorkerRunner) else 0
        mine = range(index, order["shards"], order["workers"])
        self._prepare_client(Path(order["run"]), index)
        self._slices = order["slices"]
        for number in mine:
            self._shards[number] = ShardProcess(Path(order["run"]), number, self._receive)
        self._free = [(number, part) for part in range(self._slices) for number in mine]
        if not mine:
            self._report({"state": "ready", "pids": {}})
            self._report({"state": "drained"})
            self._prepared.set()

    def _prepare_client(self, run: Path, index: int) -> None:
        config = read_config(run)
        if config is not None and index < config.clients:
            enter = partial(enter_batch, self._runner.stats)
            self._client = LivingClient(run, config, index, enter)

    def _receive(self, shard: int, message: Message) -> None:
        match message["state"]:
            case "counts":
                for batch in message["batches"]:
                    enter_batch(self._runner.stats, batch)
            case "ready":
                self._ready[shard] = self._shards[shard].pid
                if len(self._ready) == len(self._shards):
                    self._report({"state": "ready", "pids": self._ready})
                    self._prepared.set()
            case "drained":
                self._drain(shard)
            case "gone" if shard in self._shards:
                self._gone.add(shard)
                self._report({"state": "gone", "shard": shard, "code": message["code"]})
                # It delivers nothing any more: nobody need wait for it.
                self._drain(shard)

    def _drain(self, shard: int) -> None:
        before = len(self._drained)
        self._drained.add(shard)
        if before < len(self._drained) == len(self._shards):
            self._report({"state": "drained"})

    def _report(self, report: Mapping[str, Any]) -> None:
        self._runner.send_message(REPORT, dict(report))
