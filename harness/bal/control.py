"""The control socket of a battery layer (`harness.control_socket`): what it may be asked.

========== ============================================ ======================================
ask        with                                         answer
========== ============================================ ======================================
clock      triple                                       {}: the scenario clock runs
batteries  after, count                                 total, names and kinds
status     name                                         one snapshot, see `status_answer`
location   name                                         point, or None
flows      from_ms, to_ms: None for now; name: of all  the virtual meters' records, durable
command    kind, details, id: may be left out           {}: it is durable
counts     —                                            counters, commits, batteries, online
stop       —                                            {}: then the layer ends
========== ============================================ ======================================

Kinds of error are the names of the classes in `harness.bal.errors`, beside *unknown* and *invalid*.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final

from harness.bal import errors
from harness.bal.happenings import (
    FORGET,
    MAKE_AGGREGATOR,
    MAKE_BATTERY,
    MAKE_SPLITTER,
    REMOVE,
    SCHEDULE,
    SET_CURRENT,
    SETTLE,
)
from harness.bal.model.values import Status, Values
from harness.bal.service import BatteryLayer
from harness.control_socket import ControlSocket
from protocols.framing import Message

NAMES_MAX: Final = 10_000
COMMANDS: Final = frozenset(
    {MAKE_BATTERY, MAKE_AGGREGATOR, MAKE_SPLITTER, REMOVE, SET_CURRENT, SCHEDULE, SETTLE, FORGET}
)
"""What people may let happen; the rest happens by itself."""
KINDS: Final[Mapping[type[Exception], str]] = {
    error: error.__name__
    for error in vars(errors).values()
    if isinstance(error, type) and issubclass(error, Exception) and error is not errors.BatteryError
}


def values_answer(values: Values) -> dict[str, int]:
    """Return values as they are told: their fields, power and state of charge."""
    return asdict(values) | {"power_uw": values.power_uw, "charged_ppm": values.charged_ppm}


def status_answer(status: Status) -> dict[str, Any]:
    """Return a snapshot as it is told."""
    return {
        "name": status.name,
        "kind": status.kind.value,
        "expected": values_answer(status.expected),
        "current": values_answer(status.current),
        "oldest_ms": status.oldest_ms,
        "newest_ms": status.newest_ms,
        "sources": status.sources,
        "sources_online": status.sources_online,
    }


class Control:
    """Answers questions about one battery layer.

    Args:
        layer: whom it is about.
        start_clock: told the triple of the scenario clock.
        stop: called once the layer is to end.
    """

    def __init__(
        self,
        layer: BatteryLayer,
        start_clock: Callable[[tuple[float, float, float]], None],
        stop: Callable[[], None],
    ) -> None:
        self._layer = layer
        self._start_clock = start_clock
        self._stop = stop

    def socket(self) -> ControlSocket:
        """Return the socket, to be run."""
        answers = {
            "clock": self._clock,
            "batteries": self._batteries,
            "status": self._status,
            "location": self._location,
            "flows": self._flows,
            "command": self._command,
            "counts": self._counts,
        }
        path = self._layer.config.control_socket
        return ControlSocket(path, answers, KINDS, stop=self._stop)

    async def _clock(self, question: Message) -> dict[str, Any]:
        monotonic_s, scenario_s, rate = map(float, question["triple"])
        self._start_clock((monotonic_s, scenario_s, rate))
        return {}

    async def _batteries(self, question: Message) -> dict[str, Any]:
        names = self._layer.batteries.names()
        after, count = int(question.get("after", 0)), int(question.get("count", NAMES_MAX))
        wanted = names[max(0, after) : max(0, after) + min(max(0, count), NAMES_MAX)]
        kinds = [self._layer.batteries.battery(name).kind.value for name in wanted]
        return {"total": len(names), "names": wanted, "kinds": kinds}

    async def _status(self, question: Message) -> dict[str, Any]:
        return status_answer(await self._layer.status(str(question["name"])))

    async def _location(self, question: Message) -> dict[str, Any] | None:
        location = self._layer.batteries.location(str(question["name"]))
        return None if location is None else asdict(location)

    async def _flows(self, question: Message) -> list[dict[str, Any]]:
        to_ms = question.get("to_ms")
        to_ms = None if to_ms is None else int(to_ms)
        flows = await self._layer.flows(int(question["from_ms"]), to_ms)
        name = question.get("name")
        if name is not None:
            flows = [flow for flow in flows if flow.name == name]
            if not flows:  # then nobody of that name ever had a meter, or there is none
                self._layer.batteries.battery(str(name))
        return [asdict(flow) for flow in flows]

    async def _command(self, question: Message) -> dict[str, Any]:
        kind = str(question["kind"])
        if kind not in COMMANDS:
            raise ValueError(f"{kind!r} is no command: {', '.join(sorted(COMMANDS))}")
        await self._layer.command(kind, dict(question["details"]), question.get("id"))
        return {}

    async def _counts(self, question: Message) -> dict[str, Any]:
        batteries = self._layer.batteries
        sources = batteries.sources()
        return {
            "counts": dict(self._layer.counts),
            "commits": self._layer.chronicle.commits,
            "batteries": len(batteries.names()),
            "sources": len(sources),
            "sources_online": sum(batteries.status(name).online for name in sources),
        }
