"""The v3 face under a client with a certificate and octets of its own: protobuf by hand."""

from __future__ import annotations

import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import trio

from tests.harness.bal.judged.wire import Wire
from tests.harness.bal.test_service import HOME
from tests.support.bal import bal_config, open_layer
from tests.support.batteries import FIRST_S, battery_config, open_park
from tests.support.faces import Authority, open_face

NOW = FIRST_S * 1_000
MOST = 2**64 - 1
FAILED = b"\x08" + b"\xff" * 9 + b"\x01"  # code -1
SET_CURRENT, GET_STATUS, REMOVE, SET_STATUS, SET_SCHEDULE = range(5)


def varint(value: int) -> bytes:
    octets = b""
    while value > 127:
        octets += bytes([value & 127 | 128])
        value >>= 7
    return octets + bytes([value])


def message(*fields: tuple[int, int | float | bytes]) -> bytes:
    """Return a protobuf message of fields by number."""
    octets = b""
    for number, value in fields:
        match value:
            case float():
                octets += varint(number << 3 | 1) + struct.pack("<d", value)
            case int():
                octets += varint(number << 3) + varint(value & MOST)
            case bytes():
                octets += varint(number << 3 | 2) + varint(len(value)) + value
    return octets


def setting(current_ma: float, start_ms: int = NOW, end_ms: int = NOW + 1_000) -> bytes:
    return message((1, SET_CURRENT), (3, message((1, current_ma), (2, start_ms), (3, end_ms))))


class Framed(Wire):
    """A client of dialect v3, over TLS."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        super().__init__("127.0.0.1", port)
        self._context = context

    async def __aenter__(self) -> Self:
        raw = await trio.open_tcp_stream(*self.place)
        self.stream = trio.SSLStream(raw, self._context, server_hostname="127.0.0.1")
        return self

    async def ask(self, body: bytes, *, cut: int | None = None) -> bytes:
        """Return the body that answers another."""
        await self.send(struct.pack(">I", len(body)) + body, cut=cut)
        return await self.answer()

    async def answer(self) -> bytes:
        """Return the next body."""
        (length,) = struct.unpack(">I", await self.take(4))
        return await self.take(length)


@asynccontextmanager
async def connected(folder: Path) -> AsyncIterator[Framed]:
    authority = Authority(folder)
    files = authority.files("client")
    context = ssl.create_default_context(cafile=str(authority.file))
    context.load_cert_chain(files.certificate, files.key)
    async with (
        open_park(folder, battery_config(2)) as park,
        open_layer(bal_config(folder, park, extra=HOME), park.clock) as layer,
        open_face(layer, speaks="v3", tls=authority.files("node")) as face,
        Framed(face.port, context) as client,
    ):
        yield client
        assert not layer.counts["v3: failed"]


NAMES = {
    "nobody": message((1, b"nobody")),
    "empty": b"",
    "no UTF-8": message((1, b"\xff")),
    "NUL": message((1, b"ho\0me")),
    "long": message((1, b"x" * 300)),
    "no protobuf": b"\xff\xff\xff",
    "a command": message((1, GET_STATUS)),
    "large": message((1, b"x" * 100_000)),
}
REFUSED = {
    "no such command": message((1, 77)),
    "a command below 0": message((1, -5)),
    "no protobuf": b"\xff\xff\xff",
    "nothing to set": message((1, SET_CURRENT)),
    "empty": b"",
    "NaN": setting(float("nan")),
    "infinity": setting(float("inf")),
    "1e300": setting(1e300),
    "over the limit": setting(110_001.0),
    "the past": setting(1.0, 1, 2),
    "no window": setting(1.0, 0, 0),
    "backwards": setting(1.0, NOW + 2, NOW + 1),
    "a status": message((1, SET_STATUS), (2, message((1, 1.0)))),
    "a status of NaN": message((1, SET_STATUS), (2, message((1, float("nan"))))),
    "no status": message((1, SET_STATUS)),
    "a private schedule": message((1, SET_SCHEDULE), (4, message((1, b"x" * 1_000)))),
    "no schedule": message((1, SET_SCHEDULE)),
}


async def test_whom_a_connection_is_not_about_is_said_and_asked_again(tmp_path: Path) -> None:
    async with connected(tmp_path) as client:
        for name, body in NAMES.items():
            assert await client.ask(body) == message((1, 2)), name
        assert await client.ask(message((1, b"home"))) == b""
        assert await client.ask(message((1, GET_STATUS)))


async def test_every_command_is_answered_and_the_connection_goes_on(tmp_path: Path) -> None:
    async with connected(tmp_path) as client:
        assert await client.ask(message((1, b"home")), cut=3) == b""
        for name, body in REFUSED.items():
            assert (await client.ask(body)).startswith(FAILED), name
            assert (await client.ask(message((1, GET_STATUS)))).startswith(b"\x1a"), name
        for body in (setting(5.0), setting(5.0, NOW, MOST), setting(2.5, MOST - 1, MOST)):
            assert not (await client.ask(body)).startswith(FAILED)
        asked = message((1, GET_STATUS))
        framed = struct.pack(">I", len(asked)) + asked
        for cut in range(1, len(framed)):
            assert (await client.ask(asked, cut=cut)).startswith(b"\x1a")
        await client.send(framed * 3)
        for _ in range(3):
            assert (await client.answer()).startswith(b"\x1a")


async def test_a_length_beyond_the_bound_has_last_words(tmp_path: Path) -> None:
    async with connected(tmp_path) as client:
        assert await client.ask(message((1, b"home"))) == b""
        await client.send(struct.pack(">I", 2**32 - 1))
        assert (await client.answer()).startswith(FAILED)
        assert await client.is_over()
