"""One battery and its line: read when asked, told what it is to do, held on to when it goes away.

A line is opened when there is something to do, and kept. When it breaks, it is opened anew at once:
a line that was quiet for long may have ended without anybody's fault. Only when that fails, too, is
the battery lost; from then on it is tried again until it is back.

A battery of another node may be made of one of ours that is made of it: then who asks it is asked
by it, and neither is answered. Whoever finds that out cuts the reading (`cut`); the battery is lost
and tried again much later, at a time that the other node will hardly choose, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol
from zlib import crc32

import trio
from structlog import get_logger

from harness.bal.config import Endpoint
from harness.bal.drivers import (
    Driver,
    DriverError,
    DriverRefusedError,
    Make,
    Memory,
    NowMs,
    open_driver,
)
from harness.bal.journal import Fate, Order
from harness.bal.model.values import Nameplate, Reading

CIRCLE: Final = "circle"
"""Cause of a loss: the question came back."""
CIRCLE_RETRY_S: Final = 60.0
"""Real seconds until a battery that was asked in a circle is tried again, at least; twice, at most.
"""
log = get_logger(__name__)


class Listener(Protocol):
    """Who is told what became of a battery."""

    def was_read(self, name: str, reading: Reading) -> None:
        """Take a reading."""

    def was_learned(self, name: str, what: str) -> None:
        """Take what was learned of a battery (`Memory.learned`), for a restart."""

    def was_lost(self, name: str, cause: str) -> None:
        """Take note that a battery cannot be reached, or still cannot."""

    async def order_leaves(self, order: Order, number: int) -> None:
        """Return once it is durable that ``number`` is about to be sent for an order."""

    def order_ended(self, order: Order, fate: Fate, sent: int | None = None) -> None:
        """Take note of what became of an order, and what number was sent for it."""


class Keeper:
    """Keeps one battery.

    Args:
        name: of the battery.
        nameplate: what it is made for.
        endpoint: where it is.
        listener: who is told.
        now_ms: the scenario clock.
        timeout_s: real seconds that connecting and an answer may take.
        retry_s: real seconds between attempts to find a lost battery again.
        limit: how many batteries may be talked to at once.
        makers: the drivers there are.
        memory: of lines before, of this process or an earlier one.
    """

    def __init__(
        self,
        name: str,
        nameplate: Nameplate,
        endpoint: Endpoint,
        listener: Listener,
        now_ms: NowMs,
        *,
        timeout_s: float,
        retry_s: float,
        limit: trio.CapacityLimiter,
        makers: Mapping[str, Make],
        memory: Memory,
    ) -> None:
        self.name = name
        self._nameplate = nameplate
        self._endpoint = endpoint
        self._listener = listener
        self._now_ms = now_ms
        self._timeout_s = timeout_s
        self._retry_s = retry_s
        self._limit = limit
        self._makers = makers
        self._memory = memory
        self._layout = memory.layout
        self._work = trio.Event()
        self._read_wanted = False
        self._order: Order | None = None
        self._telling: Order | None = None
        self._verify = False
        self._seen = trio.Event()
        self._resting = trio.lowlevel.ParkingLot()
        self._why = ""
        self._away = False
        self._reading = False
        self._line_scope = trio.CancelScope()
        self._cuts = 0

    @property
    def idle(self) -> bool:
        """Whether there is nothing that the battery is to be told or asked."""
        return self._order is None and self._telling is None and not self._read_wanted

    async def rest(self) -> None:
        """Return once it is idle."""
        while not self.idle:
            await self._resting.park()

    def read(self) -> trio.Event:
        """Have the battery read; the event says that it was, or that it is out of reach.

        Of one that is lost that is known at once: it is looked for all the time, by itself.
        """
        if self._away:
            known = trio.Event()
            known.set()
            return known
        self._want_reading()
        return self._seen

    @property
    def under_way(self) -> trio.Event | None:
        """The event of the reading that the battery is being asked for now, if it is."""
        return self._seen if self._reading else None

    def cut(self) -> None:
        """Give up the reading that is under way: the battery waits for an answer of ours."""
        if self._reading:
            self._cuts += 1
            self._line_scope.cancel()

    def order(self, order: Order, *, verify: bool = False) -> None:
        """Have the battery told; an order that was not sent yet gives way.

        ``verify``: an equal one may be in force already; ask first.
        """
        if self._order not in (None, self._telling):
            self._end(self._order, "superseded")
        self._order = order
        self._verify = self._verify or verify
        self._work.set()

    async def run(self) -> None:
        """Keep the battery until cancelled; whether an order under way was taken is not known.

        Then nobody waits for it any more.
        """
        try:
            await self._keep()
        finally:
            self._away = True
            self._see()

    async def _keep(self) -> None:
        while True:
            await self._work.wait()
            pause_s = self._retry_s
            try:
                with trio.CancelScope() as self._line_scope:
                    await self._line()
                if not self._line_scope.cancelled_caught:
                    continue
                pause_s, error = self._circle()
            except DriverError as caught:
                error = caught
            except Exception as caught:
                # A bug of ours that one battery has found must not take the others with it.
                log.exception("line failed", battery=self.name)
                error = DriverError(self.name, "failed", f"{type(caught).__name__}: {caught}")
            self._lose(error)
            await trio.sleep(pause_s)
            self._want_reading()

    def _circle(self) -> tuple[float, DriverError]:
        """Return how long a battery that was cut is let alone, and why it is lost."""
        # Two nodes that have cut each other at once must not try again at once, too.
        part = crc32(f"{self.name} {self._endpoint.place} {self._cuts}".encode()) / 2**32
        detail = (
            f"{self._endpoint.place} asks us before it answers; let one of the two not be made of "
            "the other, or raise circle_s if it is only slow"
        )
        return CIRCLE_RETRY_S * (1 + part), DriverError(self.name, CIRCLE, detail)

    def _want_reading(self) -> None:
        self._read_wanted = True
        self._work.set()

    async def _line(self) -> None:
        """Open a line and work on it until it breaks. Raises `DriverError` if it is no good."""
        opened = open_driver(
            self.name,
            self._nameplate,
            self._endpoint,
            self._now_ms,
            timeout_s=self._timeout_s,
            makers=self._makers,
            memory=self._memory,
        )
        good = False
        async with opened as driver:
            while True:
                try:
                    async with self._limit:
                        await self._do(driver)
                except DriverError:
                    if not good:
                        raise
                    self._verify = True
                    return  # it served before: a new line may serve again
                good, self._why = True, ""
                self._learn()
                await self._work.wait()

    def _learn(self) -> None:
        """Tell what the line has taught, where it is news."""
        if self._memory.layout is not self._layout:
            self._layout = self._memory.layout
            self._listener.was_learned(self.name, self._memory.learned())

    async def _do(self, driver: Driver) -> None:
        """Do all there is to do."""
        while self._work.is_set():
            if self._order is not None:
                await self._tell(driver, self._order)
            elif self._read_wanted:
                self._read_wanted, self._reading = False, True
                try:
                    reading = await driver.read()
                except BaseException:
                    self._read_wanted = True
                    raise
                finally:
                    self._reading = False
                self._away = False
                self._listener.was_read(self.name, reading)
                self._see()
            if self.idle:
                self._work = trio.Event()
                self._resting.unpark_all()

    async def _tell(self, driver: Driver, order: Order) -> None:
        self._telling = order
        self._end(order, *await self._told(driver, order))
        self._telling, self._verify = None, False

    async def _told(self, driver: Driver, order: Order) -> tuple[Fate, int | None]:
        """Have the battery do it, unless it does already; return its fate, and what was sent."""
        if self._verify and await driver.in_force(order.current_ma):
            return "in force", None
        number = await driver.number(order.current_ma)
        if number != order.current_ma:
            # It does not follow from the order, so it must be known after a restart, too.
            await self._listener.order_leaves(order, number)
        self._verify = True  # until it is known what became of this one
        try:
            await driver.send(order.current_ma, number)
            return "executed", number
        except DriverRefusedError as refusal:
            log.warning("order refused", battery=self.name, why=str(refusal))
            return "refused", None

    def _end(self, order: Order | None, fate: Fate, sent: int | None = None) -> None:
        """Note the end of an order; a newer one may wait already."""
        if order is not None:
            self._listener.order_ended(order, fate, sent)
        if self._order is order:
            self._order = None

    def _lose(self, error: DriverError) -> None:
        """Note that the battery is out of reach; it is told what it is to do when it is back."""
        if (why := str(error)) != self._why:
            self._why = why
            log.warning("battery out of reach", battery=self.name, why=why)
        for order in dict.fromkeys((self._telling, self._order)):
            self._end(order, "lost")
        self._telling, self._verify, self._away = None, True, True
        self._read_wanted = False
        self._work = trio.Event()
        self._resting.unpark_all()
        self._listener.was_lost(self.name, error.cause)
        self._see()

    def _see(self) -> None:
        self._seen.set()
        self._seen = trio.Event()
