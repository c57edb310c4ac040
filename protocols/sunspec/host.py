"""A host of one SunSpec battery, without any I/O: finds its map, reads its status, sets its power.

Theory of operation
-------------------
One job at a time, one event for it: `Found`, `StatusRead`, `PowerSet`, `PowerRead`, or `JobRefused`
and `JobFailed`. A job is as many Modbus requests as it needs. Finding walks the chain of models
from the mark "SunS" to the end model, at most `MAX_MODELS`. Read with every status are the headers
of the models, because a map that was found on an earlier connection may hold no more, and scale
factors, because some devices change them; that of the command once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

from protocols.asking import Failed
from protocols.errors import CodecError, LocalProtocolError
from protocols.sunspec.client import TIMEOUT_S, Answered, ModbusClient, Refused
from protocols.sunspec.faults import Fault
from protocols.sunspec.image import (
    BASES,
    END_MODEL,
    MARK,
    MARK_REGISTERS,
    Image,
    Name,
    RegisterMap,
    Run,
    shared_map,
)
from protocols.sunspec.models import HEADER_REGISTERS
from protocols.sunspec.pdu import ReadRegisters, Request
from protocols.sunspec.plans import read_plan, write_plan
from protocols.sunspec.storage import (
    IN_WATTS,
    SET_ENABLED,
    SET_MODE,
    SET_POWER,
    StorageStatus,
    command_points,
    power_command,
    power_values,
    read_storage,
    status_points,
    told_points,
)

MAX_MODELS: Final = 64
HEADER: Final = ("ID", "L")
"""Points that every model begins with."""
_MARK: Final = (int.from_bytes(MARK[:2], "big"), int.from_bytes(MARK[2:], "big"))


@dataclass(frozen=True, slots=True)
class Found:
    """The battery's models, and where they are."""

    map: RegisterMap


@dataclass(frozen=True, slots=True)
class StatusRead:
    """What the battery says of itself; ``requests`` is how many moments that mixes: one or more."""

    status: StorageStatus
    requests: int


@dataclass(frozen=True, slots=True)
class PowerSet:
    """The battery took the command."""

    power_mw: int


@dataclass(frozen=True, slots=True)
class PowerRead:
    """The power that the battery was last told to hold; ``None``: none, or not in watts."""

    power_mw: int | None


@dataclass(frozen=True, slots=True)
class JobRefused:
    """The battery answered with exception ``code``; nothing more of the job was done."""

    request: Request
    code: int


@dataclass(frozen=True, slots=True)
class JobFailed:
    """The job came to nothing; whether a command was taken is not known."""

    fault: Fault
    detail: str


HostEvent: TypeAlias = Found | StatusRead | PowerSet | PowerRead | JobRefused | JobFailed
Job: TypeAlias = Generator[Request, Answered | Refused, HostEvent]


class SunSpecHost:
    """Sans-IO host for one connection. Times are seconds of any monotonic clock.

    ``layout`` is the map where it is known already, so that nothing need be found.
    """

    def __init__(
        self, *, unit: int = 1, timeout_s: float = TIMEOUT_S, layout: RegisterMap | None = None
    ) -> None:
        self._client = ModbusClient(unit=unit, timeout_s=timeout_s)
        self._image = None if layout is None else Image(layout, {})
        self._job: Job | None = None
        self._events: deque[HostEvent] = deque()

    @property
    def closed(self) -> bool:
        """Whether the connection is over."""
        return self._client.closed

    @property
    def deadline(self) -> float | None:
        """When `handle_deadline` wants to be called; ``None``: nothing is waited for."""
        return self._client.deadline

    @property
    def faults(self) -> Mapping[Fault, int]:
        """How often each thing went wrong so far."""
        return self._client.faults

    def find(self, *, now: float) -> None:
        """Look for the map. Raises `LocalProtocolError` while a job is under way."""
        self._begin(self._finding(), now)

    def read_status(self, *, now: float) -> None:
        """Ask what the battery says of itself; the map must be known. Raises as `find` does."""
        self._begin(self._reading(self._known()), now)

    def set_power(self, power_mw: int, *, now: float) -> None:
        """Have the battery hold a power, positive: discharge. Raises as `read_status` does."""
        image = self._known()
        for name in (SET_ENABLED, SET_MODE, SET_POWER):
            image.map.place(name)
        self._begin(self._setting(image, power_mw), now)

    def read_power(self, *, now: float) -> None:
        """Ask which power it was told to hold. Raises as `set_power` does."""
        image = self._known()
        self._begin(self._reading_back(image, told_points(image.map)), now)

    def receive_data(self, data: bytes, *, now: float) -> None:
        """Take octets of the battery, in any split. Never raises for what they hold."""
        self._client.receive_data(data)
        self._go_on(now)

    def receive_eof(self) -> None:
        """The transport is gone. Safe to call twice."""
        self._client.receive_eof()
        self._go_on(0.0)

    def handle_deadline(self, now: float) -> None:
        """Be told the time once `deadline` has come."""
        self._client.handle_deadline(now)
        self._go_on(now)

    def data_to_send(self) -> bytes:
        """Return octets for the battery, once."""
        return self._client.data_to_send()

    def next_event(self) -> HostEvent | None:
        """Return the next thing that came of a job, or ``None``."""
        return self._events.popleft() if self._events else None

    def _known(self) -> Image:
        if self._image is None:
            raise LocalProtocolError("the register map is not known: find it first")
        return self._image

    def _begin(self, job: Job, now: float) -> None:
        if self._job is not None or self.closed:
            raise LocalProtocolError("over" if self.closed else "a job is under way")
        self._job = job
        self._step(None, now)

    def _go_on(self, now: float) -> None:
        while (event := self._client.next_event()) is not None:
            if isinstance(event, Failed):
                self._end(JobFailed(event.fault, event.detail))
            else:
                self._step(event, now)

    def _step(self, answer: Answered | Refused | None, now: float) -> None:
        if self._job is None:
            return
        try:
            request = next(self._job) if answer is None else self._job.send(answer)
        except StopIteration as stop:
            self._end(stop.value)
        except CodecError as problem:
            self._end(JobFailed(Fault.DOES_NOT_FIT, str(problem)))
        else:
            self._client.ask(request, now=now)

    def _end(self, event: HostEvent) -> None:
        if self._job is not None:
            self._job.close()
            self._job = None
            self._events.append(event)

    def _finding(self) -> Job:
        for base in BASES:
            answer = yield ReadRegisters(base, MARK_REGISTERS)
            if isinstance(answer, Answered) and answer.registers == _MARK:
                return (yield from self._walking(base))
        return JobFailed(Fault.NO_MAP, f"no mark SunS at {', '.join(map(str, BASES))}")

    def _walking(self, base: int) -> Job:
        runs: list[Run] = []
        address = base + MARK_REGISTERS
        while len(runs) <= MAX_MODELS and address + HEADER_REGISTERS <= 0x1_0000:
            answer = yield ReadRegisters(address, HEADER_REGISTERS)
            if isinstance(answer, Refused):
                return JobRefused(answer.request, answer.code)
            number, length = answer.registers
            if number == END_MODEL:
                self._image = Image(shared_map(base, tuple(runs)), {})
                return Found(self._image.map)
            runs.append(Run(number, address, HEADER_REGISTERS + length))
            address += HEADER_REGISTERS + length
        return JobFailed(Fault.NO_MAP, f"no end after {len(runs)} models")

    def _reading(self, image: Image) -> Job:
        plan = _status_plan(image.map)
        if (refused := (yield from _loading(image, plan))) is not None:
            return refused
        if not _holds(image):
            self._image = None
            return JobFailed(Fault.NO_MAP, "the models are not where they were found")
        return StatusRead(read_storage(image), len(plan))

    def _reading_back(self, image: Image, names: list[Name]) -> Job:
        if (refused := (yield from _loading(image, read_plan(image.map, names)))) is not None:
            return refused
        return PowerRead(power_command(image) if image.get(SET_MODE) == IN_WATTS else None)

    def _setting(self, image: Image, power_mw: int) -> Job:
        unknown = [name for name in command_points(image.map) if image.get(name) is None]
        if (refused := (yield from _loading(image, read_plan(image.map, unknown)))) is not None:
            return refused
        for write in write_plan(image.map, power_values(image, power_mw)):
            answer = yield write
            if isinstance(answer, Refused):
                return JobRefused(answer.request, answer.code)
        return PowerSet(power_mw)


def _loading(
    image: Image, plan: Iterable[ReadRegisters]
) -> Generator[Request, Answered | Refused, JobRefused | None]:
    for request in plan:
        answer = yield request
        if isinstance(answer, Refused):
            return JobRefused(answer.request, answer.code)
        image.load(request.address, answer.registers)
    return None


@lru_cache(maxsize=64)
def _status_plan(layout: RegisterMap) -> tuple[ReadRegisters, ...]:
    names = status_points(layout)
    headers = [(model, part) for model in sorted({name[0] for name in names}) for part in HEADER]
    return tuple(read_plan(layout, headers + names))


def _holds(image: Image) -> bool:
    """Return whether the headers that were read say what the map says."""
    return all(
        image.read(run.address, HEADER_REGISTERS) == (run.model, run.registers - HEADER_REGISTERS)
        for run in image.map.runs
    )
