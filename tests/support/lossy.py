"""A way to a battery on which an answer can get lost, for tests of what is done about it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import trio

from harness.bal.config import BalConfig

Asked = Callable[[bytes], bool]
Dial = Callable[[], Awaitable[trio.SocketStream]]


@dataclass
class LossyWay:
    """What was asked over each connection; the answer to what `losing` picks is lost, once."""

    dial: Dial
    connections: list[list[bytes]] = field(default_factory=list)
    losing: Asked | None = None
    hang: bool = False
    """After the loss, let whoever asked wait instead of breaking the connection."""
    lost: trio.Event = field(default_factory=trio.Event)
    port: int = 0

    async def serve(self, client: trio.SocketStream) -> None:
        asked: list[bytes] = []
        self.connections.append(asked)
        async with client, await self.dial() as battery:
            while data := await client.receive_some(4_096):
                asked.append(bytes(data))
                await battery.send_all(data)
                answer = await battery.receive_some(4_096)
                if self.losing is not None and self.losing(bytes(data)):
                    self.losing = None
                    self.lost.set()
                    if self.hang:
                        await trio.sleep_forever()
                    return
                await client.send_all(answer)

    def redirect(self, config: BalConfig, name: str, **changes: Any) -> BalConfig:
        """Return the configuration of a layer that goes this way to the battery ``name``."""
        to = {"host": "127.0.0.1", "port": self.port, **changes}
        endpoint = config.endpoints[name].model_copy(update=to)
        return config.model_copy(update={"endpoints": config.endpoints | {name: endpoint}})


@asynccontextmanager
async def open_way(dial: Dial) -> AsyncIterator[LossyWay]:
    """Let there be a way to whom ``dial`` leads to for the length of the block."""
    way = LossyWay(dial)
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, way.serve, 0, host="127.0.0.1"))
        way.port = listeners[0].socket.getsockname()[1]
        yield way
        nursery.cancel_scope.cancel()


def is_modbus_write(data: bytes) -> bool:
    """Return whether octets are a request to write registers."""
    return data[7] == 16
