"""Batteries of the layer as networked batteries, in the dialects v1, v2 and v3.

A dialect knows one set of values: it is told the current ones. It says one time: that of the oldest
reading behind them, so that nothing is older than it says. A window that has begun counts from now
on, as nobody can set a current in the past; what a battery says of itself is for its driver to
read, and private schedules are for nobody here.
"""

from __future__ import annotations

from typing import Final

from structlog import get_logger

from harness.bal import happenings
from harness.bal.errors import BatteryError
from harness.bal.faces.conversation import command_name
from harness.bal.model.values import Status as Snapshot
from harness.bal.model.values import mah
from harness.bal.service import BatteryLayer
from protocols.batteries import (
    DIALECTS,
    BatteryServer,
    Connect,
    Done,
    GetStatus,
    Refresh,
    Refusal,
    Remove,
    Reply,
    Request,
    SetCurrent,
    SetSchedule,
    SetStatus,
    Status,
)
from protocols.errors import CodecError

REASON_MAX: Final = 1_000
"""Characters of a reason: clients bound the replies they take."""
log = get_logger(__name__)


class DialectConversation:
    """One connection in the dialect ``speaks``."""

    def __init__(self, layer: BatteryLayer, speaks: str) -> None:
        self._layer = layer
        self._speaks = speaks
        self._server = BatteryServer(DIALECTS[speaks])

    @property
    def closed(self) -> bool:
        """Whether the peer has lost its framing."""
        return self._server.closed

    def receive_data(self, data: bytes) -> None:
        """Take octets of the peer."""
        self._server.receive_data(data)

    def receive_eof(self) -> None:
        """Take the end of the peer's stream."""
        self._server.receive_eof()

    async def next_answer(self) -> bytes:
        """Answer the next request; see `Conversation`."""
        request = self._server.next_request()
        if request is not None:
            reply = await self._reply(request)
            self._layer.counts[f"{self._speaks}: {type(reply).__name__.lower()}"] += 1
            self._answer(reply)
        return self._server.data_to_send()

    def _answer(self, reply: Reply) -> None:
        try:
            self._server.answer(reply)
        except CodecError as problem:
            self._server.answer(Refusal(f"it cannot be said in this dialect: {problem}"))

    async def _reply(self, request: Request) -> Reply:
        try:
            return await self._done(request)
        except BatteryError as refusal:
            return Refusal(str(refusal)[:REASON_MAX])
        except Exception:
            # A bug of ours must not leave the peer waiting.
            log.exception("request failed", dialect=self._speaks)
            return Refusal("something went wrong here; the log of the battery layer says what")

    async def _done(self, request: Request) -> Reply:
        match request:
            case GetStatus(name):
                return wire_status(await self._layer.status(name, of_node=True))
            case Refresh(name):
                return wire_status(await self._layer.status(name, anew=True, of_node=True))
            case Connect(name):
                self._layer.batteries.battery(name)
            case SetCurrent():
                await self._set_current(request)
            case Remove(name):
                await self._layer.command(
                    happenings.REMOVE, {"name": name}, command_name(self._speaks)
                )
            case SetStatus():
                return Refusal("how a battery is, its driver reads; nobody can set it")
            case SetSchedule():
                return Refusal("private schedules are not taken here; schedule a current")
        return Done()

    async def _set_current(self, request: SetCurrent) -> None:
        command = command_name(self._speaks)
        if request.start_ms is None or request.end_ms is None:
            details = {"name": request.name, "current_ma": request.current_ma}
            await self._layer.command(happenings.SET_CURRENT, details, command, of_node=True)
        else:
            await self._layer.hold(
                request.name, request.current_ma, request.start_ms, request.end_ms, command
            )


def wire_status(snapshot: Snapshot) -> Status:
    """Return a snapshot as a dialect says it; charges in whole mAh, rounded down."""
    values = snapshot.current
    return Status(
        voltage_mv=values.voltage_mv,
        current_ma=values.current_ma,
        charge_mah=mah(values.charge_ma_ms),
        capacity_mah=mah(values.capacity_ma_ms),
        max_charge_current_ma=values.max_charge_ma,
        max_discharge_current_ma=values.max_discharge_ma,
        at_ms=snapshot.oldest_ms,
    )
