"""What every driver can do, and opening one for an endpoint."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol, TypeAlias

import trio

from harness.bal.config import Endpoint
from harness.bal.model.values import Nameplate, Reading

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


class Driver(ABC):
    """One open line to one battery. Not for two tasks at once.

    Args:
        battery: its name, for errors.
        nameplate: what it is made for, where its line does not say.
        stream: the line; whoever opened it closes it.
        now_ms: the scenario clock.
    """

    def __init__(
        self, battery: str, nameplate: Nameplate, stream: trio.abc.Stream, now_ms: NowMs
    ) -> None:
        self.battery = battery
        self._nameplate = nameplate
        self._stream = stream
        self._now_ms = now_ms

    @abstractmethod
    async def begin(self) -> None:
        """Learn what must be known before anything else. Raises `DriverError`."""

    @abstractmethod
    async def read(self) -> Reading:
        """Return a reading. Raises `DriverError`."""

    @abstractmethod
    async def ordered_ma(self) -> int | None:
        """Return the current that the battery was last told; None where it does not say.

        Raises `DriverError`.
        """

    @abstractmethod
    async def set_current(self, current_ma: int) -> int:
        """Have the battery do a current from now on, positive to discharge.

        Return the number that went over the line: mA where the battery takes a current, mW where
        it takes a power.

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
            raise DriverError(self.battery, "connection broken") from error
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


Make: TypeAlias = Callable[[str, Nameplate, trio.abc.Stream, NowMs, Endpoint, float], Driver]


@asynccontextmanager
async def open_driver(
    battery: str,
    nameplate: Nameplate,
    endpoint: Endpoint,
    now_ms: NowMs,
    *,
    timeout_s: float,
    makers: Mapping[str, Make],
) -> AsyncIterator[Driver]:
    """Connect to a battery and give its driver, ready, for the length of an ``async with``.

    ``timeout_s`` holds for connecting and for each answer, real seconds.

    Raises:
        DriverError: nobody there, or not what it should be.
    """
    try:
        with trio.fail_after(timeout_s):
            stream = await trio.open_tcp_stream(endpoint.host, endpoint.port)
    except (OSError, trio.TooSlowError) as error:
        raise DriverError(battery, "no connection", str(error)) from error
    async with stream:
        driver = makers[endpoint.driver](battery, nameplate, stream, now_ms, endpoint, timeout_s)
        await driver.begin()
        yield driver
