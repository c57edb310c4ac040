"""The control socket of a head-end shard: status, queries, commands, stop.

One question a message, one answer a message, over a Unix socket (`protocols.framing`). A question
is ``{"ask": NAME, ...}``; the answer is ``{"answer": ...}`` or ``{"error": TEXT, "kind": KIND}``,
KIND being ``"unknown"``, ``"invalid"`` or ``"store"``. The HTTP API and the run speak it; it never
crosses a shaped link.

========== =================================================== =====================================
ask        with                                                answer
========== =================================================== =====================================
clock      triple                                              {}: the scenario clock runs
status     —                                                   counts, latencies, octets, commits,
                                                               missing, recovering, size_bytes
readings   meter, from_s, to_s                                 columns: captured_at_s, profile,
                                                               status, via, stored_at_us, values
devices    first, count                                        number, name, address, link, meters
gaps       —                                                   concentrator, from_s, to_s, missing
command    id, meter, kind, parameter, created_at_us           {}: it is in the journal
commands   after, count: both may be left out                  lines of the journal, by id
alarms     from_s, to_s, count, see `tell_alarms`              columns of alarms, stored_at_us
nodes      after, count                                        total, registered, nodes
export     path, format, from_s, to_s, what                    path
usage      folder, stem, windows, step_s, see `UsageQuestion`  {}: the files of `write_usage`
forget     before_s                                            how many readings are dropped, on
                                                               purpose: nobody fetches them again
lose       before_s                                            how many readings are gone, as if
                                                               storage had failed: for tests
recover    from_s, to_s                                        the `Recovery`: what of the span the
                                                               store lacks is read again, but for
                                                               captures that are not overdue yet
recoveries —                                                   every `Recovery`, how far it is
stop       —                                                   {}: then the shard ends
========== =================================================== =====================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Final, get_args

import trio

from emulator.tally import RECEIVED, SENT
from harness.control_socket import INVALID, Answer, ControlSocket
from harness.headend.alarms import tell_alarms
from harness.headend.commands import Commands
from harness.headend.service import Shard
from harness.store.commands import Command
from harness.store.errors import CommandError, StoreError
from harness.store.interface import ExportedTable, ExportFormat
from harness.store.usage import UsageQuestion, Window
from harness.store.usage_file import write_usage
from protocols.framing import Message

DEVICES_MAX: Final = 10_000
COMMANDS_MAX: Final = 1_000_000
KINDS: Final[Mapping[type[Exception], str]] = {CommandError: INVALID, StoreError: "store"}


class Control:
    """Answers questions about one shard."""

    def __init__(self, shard: Shard, commands: Commands, stop: Callable[[], None]) -> None:
        self._shard = shard
        self._commands = commands
        self._stop = stop
        self._answers: dict[str, Answer] = {
            "clock": self._clock,
            "status": self._status,
            "readings": self._readings,
            "devices": self._devices,
            "gaps": self._gaps,
            "alarms": self._alarms,
            "nodes": self._nodes,
            "command": self._command,
            "commands": self._journal,
            "export": self._export,
            "usage": self._usage,
            "forget": self._forget,
            "lose": self._lose,
            "recover": self._recover,
            "recoveries": self._recoveries,
        }

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve the control socket until cancelled."""
        path = self._shard.config.control_socket
        await ControlSocket(path, self._answers, KINDS, stop=self._stop).run(task_status)

    async def _clock(self, question: Message) -> dict[str, Any]:
        monotonic_s, scenario_s, rate = map(float, question["triple"])
        self._shard.start_clock((monotonic_s, scenario_s, rate))
        return {}

    async def _status(self, question: Message) -> dict[str, Any]:
        shard = self._shard
        totals = shard.committer.totals
        return {
            "counts": dict(shard.totals.counts),
            "commits": asdict(totals),
            "latencies": shard.tally.histograms(),
            "octets": {"received": shard.tally.counts[RECEIVED], "sent": shard.tally.counts[SENT]},
            "commit_us": shard.totals.commit_us.encode().decode(),
            "missing": shard.presence.missing_total(shard.clock.now_s()),
            "recovering": len(shard.recoveries.unfinished()),
            "conflicts": await trio.to_thread.run_sync(shard.store.conflict_count),
            "alarm_conflicts": await trio.to_thread.run_sync(shard.store.alarm_conflict_count),
            "nodes_registered": shard.nodes.registered,
            "size_bytes": await trio.to_thread.run_sync(shard.store.size_bytes),
        }

    async def _readings(self, question: Message) -> dict[str, Any]:
        read = partial(
            self._shard.store.readings,
            int(question["meter"]),
            int(question["from_s"]),
            int(question["to_s"]),
        )
        stored = await trio.to_thread.run_sync(read)
        return {
            "registers": list(self._shard.store.registers),
            "captured_at_s": stored.rows.captured_at_s.tolist(),
            "profile": stored.rows.profile.tolist(),
            "status": stored.rows.status.tolist(),
            "via": stored.rows.via.tolist(),
            "stored_at_us": stored.stored_at_us.tolist(),
            "values": stored.rows.values.tolist(),
        }

    async def _devices(self, question: Message) -> list[dict[str, Any]]:
        first, count = int(question["first"]), int(question["count"])
        if not 0 < count <= DEVICES_MAX:
            raise ValueError(f"count must be 1 to {DEVICES_MAX}")
        records = self._shard.registry.concentrators
        return [
            {
                "number": number,
                "name": records[number].name,
                "address": f"{records[number].address}:{records[number].port}",
                "link": records[number].link,
                "first_meter": records[number].first_meter,
                "meters": records[number].meters,
            }
            for number in self._shard.concentrators
            if number >= first
        ][:count]

    async def _gaps(self, question: Message) -> list[dict[str, Any]]:
        rules = self._shard.config.gap_filling
        gaps = self._shard.presence.gaps(self._shard.clock.now_s(), rules)
        return [asdict(gap) for gap in gaps]

    async def _alarms(self, question: Message) -> dict[str, Any]:
        return await tell_alarms(self._shard.store, question)

    async def _nodes(self, question: Message) -> dict[str, Any]:
        return self._shard.nodes.told(int(question["after"]), int(question["count"]))

    async def _command(self, question: Message) -> dict[str, Any]:
        command = Command(
            id=int(question["id"]),
            meter=int(question["meter"]),
            kind=str(question["kind"]),
            parameter=str(question["parameter"]),
            created_at_us=int(question["created_at_us"]),
        )
        await self._commands.take(command)
        return {}

    async def _journal(self, question: Message) -> list[dict[str, Any]]:
        after = int(question.get("after", -1))
        count = int(question.get("count", COMMANDS_MAX))
        if not 0 < count <= COMMANDS_MAX:
            raise ValueError(f"count must be 1 to {COMMANDS_MAX}")
        journal = await trio.to_thread.run_sync(self._shard.store.commands)
        return [asdict(command) for command in journal if command.id > after][:count]

    async def _export(self, question: Message) -> dict[str, Any]:
        if question["format"] not in get_args(ExportFormat):
            raise ValueError(f"format must be {' or '.join(get_args(ExportFormat))}")
        what = question.get("what", "readings")
        if what not in get_args(ExportedTable):
            raise ValueError(f"what must be {' or '.join(get_args(ExportedTable))}")
        export = partial(
            self._shard.store.export,
            Path(question["path"]),
            file_format=question["format"],
            from_s=int(question["from_s"]),
            to_s=int(question["to_s"]),
            what=what,
        )
        return {"path": str(await trio.to_thread.run_sync(export))}

    async def _forget(self, question: Message) -> int:
        before_s = int(question["before_s"])
        # First: whoever dies in between must not fetch again what is gone.
        self._shard.recoveries.forget(before_s)
        self._shard.presence.forget(before_s)
        return await trio.to_thread.run_sync(self._shard.store.forget, before_s)

    async def _lose(self, question: Message) -> int:
        before_s = int(question["before_s"])
        dropped = await trio.to_thread.run_sync(self._shard.store.forget, before_s)
        self._shard.presence.lose(before_s)
        return dropped

    async def _recover(self, question: Message) -> dict[str, Any]:
        shard, (from_s, to_s) = self._shard, (int(question["from_s"]), int(question["to_s"]))
        # What is not overdue is on its way; history is, whatever the clock says.
        overdue_s = shard.clock.now_s() - shard.config.gap_filling.after_s
        captured_by_s = max(shard.presence.first_s - 1.0, overdue_s)
        return asdict(shard.recoveries.ask(from_s, to_s, captured_by_s, shard.now_us()))

    async def _recoveries(self, question: Message) -> list[dict[str, Any]]:
        return self._shard.recoveries.told()

    async def _usage(self, question: Message) -> dict[str, Any]:
        asked = UsageQuestion(
            windows=tuple(Window(*map(int, window)) for window in question["windows"]),
            step_s=int(question["step_s"]),
            profile=int(question["profile"]),
            imported=str(question["imported"]),
            exported=str(question["exported"]),
            meters=_meters(question["meters"]),
            margin_s=int(question["margin_s"]),
        )
        folder, stem = Path(question["folder"]), str(question["stem"])

        def answer() -> None:
            write_usage(folder, stem, self._shard.store.usage(asked))

        await trio.to_thread.run_sync(answer)
        return {}


def _meters(told: Any) -> tuple[int, int] | None:  # noqa: ANN401
    if told is None:
        return None
    first, end = map(int, told)
    return first, end
