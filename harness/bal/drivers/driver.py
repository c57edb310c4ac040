"""What every driver can do, and opening one for an endpoint."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import astuple, dataclass
from typing import Any, Final, Protocol, TypeAlias

import trio

from harness.bal.config import Endpoint
from harness.bal.drivers.terminal import TerminalError, open_terminal
from harness.bal.model.values import Nameplate, Reading
from harness.bal.tls import client_context
from protocols.sunspec import RegisterMap
from protocols.sunspec.image import Run, shared_map

RECEIVE_SIZE: Final = 4_096
NowMs: TypeAlias = Callable[[], int]
"""Tells the scenario time, POSIX milliseconds."""


class DriverError(Exception):
    """A battery could not be reached, went away, or said what cannot be; names it and why.

    Whether a command under way was carried out is not known.
    """

    def __init__(self, battery: str, cause: str, detail: str = "") -> None:
        super().__init__(f'battery "{battery}": {cause}' + (f": {detail}" if detail else ""))
        self.battery = battery
        self.cause = cause


class DriverRefusedError(DriverError):
    """The battery answered that it will not: nothing has changed, and the line stands."""


class ClientSession(Protocol):
    """The sans-IO client of one line, one request at a time."""

    @property
    def deadline(self) -> float | None:
        """When `handle_deadline` wants to be called."""

    def receive_data(self, data: bytes, *, now: float) -> None:
        """Take octets."""

    def receive_eof(self) -> None:
        """Take the end of the stream."""

    def handle_deadline(self, now: float) -> None:
        """Be told the time."""

    def data_to_send(self) -> bytes:
        """Return octets to send, once."""

    def next_event(self) -> Any:  # noqa: ANN401 - of the client's own
        """Return what came of the request, or ``None``."""


@dataclass(slots=True)
class Memory:
    """What is remembered of a battery from one line to the next.

    Attributes:
        layout: the register map that was found (SunSpec).
        sent: the current ordered last of what was sent, and the number that went over the line,
            which may have arrived or not.
    """

    layout: RegisterMap | None = None
    sent: tuple[int, int] | None = None

    def learned(self) -> str:
        """Return what a restart need not learn again, as JSON."""
        layout = self.layout
        runs = None if layout is None else [layout.base, *map(astuple, layout.runs)]
        return json.dumps(runs)

    @classmethod
    def of(cls, learned: str | None, sent: tuple[int, int] | None) -> Memory:
        """Return the memory of what `learned` said, and what was sent last."""
        found = json.loads(learned or "null")
        if found is None:
            return cls(None, sent)
        base, *runs = found
        return cls(shared_map(base, tuple(Run(*run) for run in runs)), sent)


@dataclass(frozen=True, slots=True)
class Line:
    """An open line, and what a driver needs to know about who is at its other end.

    Attributes:
        battery: its name, for errors.
        nameplate: what it is made for, where its line does not say.
        stream: the line; whoever opened it closes it.
        now_ms: the scenario clock.
        endpoint: where it is.
        timeout_s: real seconds that an answer may take.
        memory: of the lines before.
    """

    battery: str
    nameplate: Nameplate
    stream: trio.abc.Stream
    now_ms: NowMs
    endpoint: Endpoint
    timeout_s: float
    memory: Memory


class Driver(ABC):
    """One open line to one battery. Not for two tasks at once."""

    def __init__(self, line: Line) -> None:
        self.battery = line.battery
        self._line = line
        self._nameplate = line.nameplate
        self._stream = line.stream
        self._now_ms = line.now_ms
        self._memory = line.memory

    @abstractmethod
    async def begin(self) -> None:
        """Learn what must be known before anything else. Raises `DriverError`."""

    @abstractmethod
    async def read(self) -> Reading:
        """Return a reading. Raises `DriverError`."""

    @abstractmethod
    async def in_force(self, current_ma: int) -> bool:
        """Return whether the battery says that this is what it was last told.

        Raises `DriverError`.
        """

    @abstractmethod
    async def number(self, current_ma: int) -> int:
        """Return what goes over the line for a current, positive to discharge.

        That is mA where the battery takes a current, mW where it takes a power. Raises
        `DriverError`; nothing was sent.
        """

    @abstractmethod
    async def send(self, current_ma: int, number: int) -> None:
        """Have the battery do a current from now on; ``number`` is what `number` said.

        Raises `DriverRefusedError`: it will not; `DriverError`: not known.
        """

    async def _event(self, session: ClientSession) -> Any:  # noqa: ANN401 - of the session's own
        """Send what was asked of ``session`` and return what came of it.

        Cancellation: whether the battery carries it out is not known; the line is of no more use.
        """
        try:
            while (event := session.next_event()) is None:
                await self._step(session)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            place = self._line.endpoint.place
            raise DriverError(self.battery, "connection broken", f"{place} has gone") from error
        return event

    async def _step(self, session: ClientSession) -> None:
        if octets := session.data_to_send():
            await self._stream.send_all(octets)
        deadline = session.deadline
        with trio.move_on_at(float("inf") if deadline is None else deadline) as timer:
            data = await self._stream.receive_some(RECEIVE_SIZE)
        if timer.cancelled_caught:
            session.handle_deadline(trio.current_time())
        elif data:
            session.receive_data(bytes(data), now=trio.current_time())
        else:
            session.receive_eof()


Make: TypeAlias = Callable[[Line], Driver]


@asynccontextmanager
async def open_driver(
    battery: str,
    nameplate: Nameplate,
    endpoint: Endpoint,
    now_ms: NowMs,
    *,
    timeout_s: float,
    makers: Mapping[str, Make],
    memory: Memory,
) -> AsyncIterator[Driver]:
    """Connect to a battery and give its driver, ready, for the length of an ``async with``.

    ``timeout_s`` holds for connecting and for each answer, real seconds; ``memory`` is of the
    battery, and is kept up.

    Raises:
        DriverError: nobody there, or not what it should be.
    """
    try:
        with trio.fail_after(timeout_s):
            stream = await _connected(endpoint)
    except (OSError, ValueError, trio.BrokenResourceError, trio.TooSlowError) as error:
        # A ValueError: words of an interface that no path or host can be (NUL, an empty label).
        raise DriverError(battery, "no connection", _why(error, endpoint, timeout_s)) from error
    try:
        line = Line(battery, nameplate, stream, now_ms, endpoint, timeout_s, memory)
        driver = makers[endpoint.driver](line)
        await driver.begin()
        yield driver
    finally:
        # Whatever is under way is of no more use, and TLS would wait for a farewell.
        await trio.aclose_forcefully(stream)


def _why(error: Exception, endpoint: Endpoint, timeout_s: float) -> str:
    match error:
        case TerminalError():
            return str(error)
        case trio.TooSlowError():
            return f"{endpoint.place}: not ready within {timeout_s} s"
    return f"{endpoint.place}: {error.__cause__ or error}"


async def _connected(endpoint: Endpoint) -> trio.abc.Stream:
    if endpoint.device is not None:
        return await open_terminal(endpoint.device)
    assert endpoint.host is not None, "it is one or the other"
    assert endpoint.port is not None, "it is one or the other"
    stream = await trio.open_tcp_stream(endpoint.host, endpoint.port)
    if endpoint.tls is None:
        return stream
    secured = trio.SSLStream(
        stream,
        client_context(endpoint.tls),
        server_hostname=endpoint.tls.server_name or endpoint.host,
        https_compatible=True,
    )
    try:
        await secured.do_handshake()
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return secured
