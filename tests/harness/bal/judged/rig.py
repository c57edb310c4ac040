"""A layer and its HTTP API, before batteries that are neither ours nor of a fleet."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio
import trio.testing
import uvicorn

from emulator.clock import ScenarioClock
from harness.api import serving
from harness.api.asking import ControlClient
from harness.bal.api.__main__ import QUESTIONS_MAX
from harness.bal.api.app import application
from harness.bal.config import BalConfig, Refresh
from harness.bal.control import Control
from harness.bal.service import BatteryLayer

TOKEN = "of-a-judge-0123456789"
PATIENCE_S = 60.0
BEGIN_MS = 1_767_225_600_000


@dataclass
class Pack:
    """A battery that says what it is told to say; amperes and ampere-hours."""

    charge: float
    capacity: float
    discharge: float
    charging: float
    volts: float = 50.0
    amperes: float = 0.0
    told: list[float] = field(default_factory=list)


class Packs:
    """Batteries that speak dialect v1, by name, over one listener."""

    def __init__(self, packs: Mapping[str, Pack]) -> None:
        self.packs = dict(packs)
        self.port = 0

    def __getitem__(self, name: str) -> Pack:
        return self.packs[name]

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = listeners[0].socket.getsockname()[1]
        task_status.started()
        await trio.serve_listeners(self._serve, listeners)

    async def _serve(self, stream: trio.SocketStream) -> None:
        text = ""
        try:
            async for octets in stream:
                text += octets.decode()
                while "}" in text:
                    request, _, text = text.partition("}")
                    answer = self._answer(json.loads(request + "}"))
                    await stream.send_all(json.dumps(answer).encode() + b"\0")
        except trio.BrokenResourceError:
            return

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        pack = self.packs[request["name"]]
        if request["request"] == "set_current":
            pack.told.append(request["current"])
            pack.amperes = request["current"]
            return {"response": None}
        return {
            "response": {
                "voltage": pack.volts,
                "current": pack.amperes,
                "state_of_charge": pack.charge,
                "max_capacity": pack.capacity,
                "max_discharging_current": pack.discharge,
                "max_charging_current": pack.charging,
            }
        }


class Node:
    """A layer at work, as somebody with the token sees it. Its clock stands until it is moved."""

    def __init__(self, packs: Packs) -> None:
        self.packs = packs
        self.port = 0
        self.now_ms = BEGIN_MS
        self.clock = ScenarioClock()
        self._asking = trio.CapacityLimiter(1_000)

    async def ask(
        self, method: str, path: str, body: bytes | None = None, **fields: Any
    ) -> tuple[int, Any]:
        """Return status and answer; ``body`` as octets goes out as it is."""
        octets = body if isinstance(body, bytes) else json.dumps(fields).encode()
        return await trio.to_thread.run_sync(
            self.ask_now, method, path, octets, limiter=self._asking
        )

    async def get(self, path: str) -> Any:
        """Return an answer that is no refusal."""
        status, answer = await self.ask("GET", path)
        assert status == 200, answer
        return answer

    async def do(self, path: str, **fields: Any) -> None:
        """Have something done that is not refused."""
        status, answer = await self.ask("POST", path, **fields)
        assert status == 200, answer

    async def refused(self, path: str, **fields: Any) -> tuple[int, str, str]:
        """Return status, kind and words of a refusal."""
        status, answer = await self.ask("POST", path, **fields)
        return status, answer.get("kind", ""), answer["detail"]

    async def battery(self, name: str) -> None:
        """Make a battery of the packs, with what it says now on its plate."""
        pack = self.packs[name]
        await self.do(
            "/batteries",
            name=name,
            kind="networked",
            interface=f"v1://127.0.0.1:{self.packs.port}/{name}",
            voltage_mv=int(pack.volts * 1_000),
            capacity_mah=int(pack.capacity * 1_000),
            max_charge_ma=int(pack.charging * 1_000),
            max_discharge_ma=int(pack.discharge * 1_000),
        )
        await self.get(f"/batteries/{name}")

    async def split(self, source: str, policy: str, **percent: int) -> None:
        """Divide a battery."""
        parts = [{"name": name, "share_ppm": share * 10_000} for name, share in percent.items()]
        await self.do("/splitters", source=source, policy=policy, partitions=parts)

    def later(self, wait_ms: int = 10) -> None:
        """Let so much time pass, at once; what is read next is read anew."""
        self.now_ms += wait_ms
        # In the middle of the millisecond: nothing may be rounded into the one before.
        self.clock.start(0.0, (self.now_ms + 0.5) / 1_000, 0.0)

    async def charge_ah(self, name: str) -> float:
        """Return what a battery holds now."""
        held: int = (await self.get(f"/batteries/{name}"))["current"]["charge_ma_ms"]
        return held / 3_600_000_000

    async def told(self, *names: str, count: int = 1) -> list[float]:
        """Return what batteries were told last, once each was told so many things."""
        with trio.fail_after(PATIENCE_S):
            while any(len(self.packs[name].told) < count for name in names):
                await trio.testing.wait_all_tasks_blocked(0.005)
        return [self.packs[name].told[-1] if count else 0.0 for name in names]

    def ask_now(self, method: str, path: str, octets: bytes) -> tuple[int, Any]:
        """Ask from a thread."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
            connection.request(method, path, octets, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        return answer.status, json.loads(text) if text.startswith(("{", "[", "null")) else text


@asynccontextmanager
async def node(folder: Path, **packs: Pack) -> AsyncIterator[Node]:
    """Run packs, a layer that has none of them yet, and its API, for the length of the block."""
    async with impatient_node(folder, PATIENCE_S, packs) as layer:
        yield layer


@asynccontextmanager
async def impatient_node(
    folder: Path, timeout_s: float, packs: Mapping[str, Pack]
) -> AsyncIterator[Node]:
    """Run a `node` that lets no battery keep it waiting for longer than ``timeout_s``."""
    made = Node(Packs(packs))
    made.later()
    config = BalConfig(
        control_socket=folder / "bal.sock",
        journal=folder / "journal.sqlite",
        group_commit_s=0.0,
        timeout_s=timeout_s,
        refresh=Refresh(max_staleness_ms=1),
    )
    layer = BatteryLayer(config, made.clock)
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            await nursery.start(made.packs.run)
            await nursery.start(layer.run)
            control = Control(layer, lambda triple: None, nursery.cancel_scope.cancel)
            await nursery.start(control.socket().run)
            with serving.bound("127.0.0.1", 0) as listener:
                made.port = listener.getsockname()[1]
                async with _served(config.control_socket, listener):
                    yield made
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def _served(control_socket: Path, listener: socket.socket) -> AsyncIterator[None]:
    """Serve the API of a layer on a thread of its own, which has asyncio's loop."""
    app = application(ControlClient("battery layer", control_socket, QUESTIONS_MAX), TOKEN)
    server = uvicorn.Server(uvicorn.Config(app, http="h11", lifespan="off", log_config=None))

    def serve() -> None:
        asyncio.run(server.serve(sockets=[listener]))

    listener.listen()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, serve)
        try:
            yield
        finally:
            server.should_exit = True
