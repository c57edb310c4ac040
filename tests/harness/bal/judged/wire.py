"""Somebody else's clients: octets by `struct` and `json` alone, nothing of ours in them."""

from __future__ import annotations

import json
import struct
from types import TracebackType
from typing import Any, Self

import trio

PATIENCE_S = 20.0


class Wire:
    """A connection whose answers are cut by hand."""

    def __init__(self, host: str, port: int) -> None:
        self.place = host, port
        self.stream: trio.abc.HalfCloseableStream | trio.SSLStream[trio.SocketStream]
        self._buffer = b""

    async def __aenter__(self) -> Self:
        self.stream = await trio.open_tcp_stream(*self.place)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await trio.aclose_forcefully(self.stream)

    async def send(self, octets: bytes, *, cut: int | None = None) -> None:
        """Send octets, in two segments if they are cut."""
        for part in (octets,) if cut is None else (octets[:cut], octets[cut:]):
            await self.stream.send_all(part)
            await trio.lowlevel.checkpoint()

    async def take(self, count: int) -> bytes:
        """Return so many octets. Raises `EOFError`: the peer has hung up."""
        while len(self._buffer) < count:
            await self._more()
        octets, self._buffer = self._buffer[:count], self._buffer[count:]
        return octets

    async def until(self, end: bytes) -> bytes:
        """Return what comes before ``end``. Raises `EOFError`."""
        while end not in self._buffer:
            await self._more()
        octets, _, self._buffer = self._buffer.partition(end)
        return octets

    async def rest(self) -> bytes:
        """Return all that comes until the peer hangs up."""
        try:
            while True:
                await self._more()
        except EOFError:
            octets, self._buffer = self._buffer, b""
            return octets

    async def is_over(self) -> bool:
        """Return whether nothing more comes."""
        try:
            await self._more()
        except EOFError:
            return not self._buffer
        return False

    async def _more(self) -> None:
        with trio.fail_after(PATIENCE_S):
            try:
                octets = await self.stream.receive_some(4_096)
            except trio.BrokenResourceError:
                octets = b""
        if not octets:
            raise EOFError(self._buffer.hex())
        self._buffer += octets


class Modbus(Wire):
    """A Modbus TCP client of one unit."""

    def __init__(self, host: str, port: int, unit: int = 1) -> None:
        super().__init__(host, port)
        self._unit = unit
        self._transaction = 0

    def frame(self, pdu: bytes, *, unit: int | None = None, protocol: int = 0) -> bytes:
        """Return the next request as octets."""
        self._transaction += 1
        header = (self._transaction, protocol, len(pdu) + 1, self._unit if unit is None else unit)
        return struct.pack(">HHHB", *header) + pdu

    async def answer(self) -> bytes:
        """Return the PDU of the next answer, which is to the last request."""
        transaction, protocol, length, _ = struct.unpack(">HHHB", await self.take(7))
        assert (transaction, protocol) == (self._transaction, 0)
        return await self.take(length - 1)

    async def ask(self, pdu: bytes, *, unit: int | None = None) -> bytes:
        """Return the PDU that answers another."""
        await self.send(self.frame(pdu, unit=unit))
        return await self.answer()

    async def read(self, address: int, count: int) -> tuple[int, ...]:
        """Return registers."""
        pdu = await self.ask(struct.pack(">BHH", 3, address, count))
        return struct.unpack(f">{count}H", pdu[2:])

    async def write(self, address: int, *registers: int) -> bytes:
        """Return the PDU that answers a write."""
        head = struct.pack(">BHHB", 16, address, len(registers), 2 * len(registers))
        return await self.ask(head + struct.pack(f">{len(registers)}H", *registers))

    async def models(self) -> dict[int, int]:
        """Return where each model begins, the end model included."""
        assert struct.pack(">2H", *await self.read(40_000, 2)) == b"SunS"
        found: dict[int, int] = {}
        address = 40_002
        while 0xFFFF not in found:
            number, length = await self.read(address, 2)
            found[number] = address
            address += 2 + length
        return found


class Json(Wire):
    """A client of dialect v1."""

    async def ask(self, request: bytes, *, cut: int | None = None) -> dict[str, Any]:
        """Return what answers a request."""
        await self.send(request, cut=cut)
        return await self.answer()

    async def answer(self) -> dict[str, Any]:
        """Return the next answer."""
        answer: dict[str, Any] = json.loads(await self.until(b"\0"))
        return answer


class Records(Wire):
    """A client of dialect v2."""

    async def ask(self, request: bytes, *, cut: int | None = None) -> bytes:
        """Return the body of what answers a request."""
        await self.send(request, cut=cut)
        (length,) = struct.unpack("<I", await self.take(4))
        return await self.take(length)


class Jbd(Wire):
    """A host of a JBD battery."""

    async def frame(self) -> bytes:
        """Return the next reply: its register, status and data, once its sum is right."""
        head = await self.take(4)
        body = await self.take(head[3] + 3)
        data, (told, end) = body[:-3], struct.unpack(">HB", body[-3:])
        assert (head[0], end, told) == (0xDD, 0x77, -sum(head[2:] + data) & 0xFFFF)
        return head[1:3] + data

    async def ask(self, octets: bytes) -> bytes:
        """Return what answers octets."""
        await self.send(octets)
        return await self.frame()


def jbd_read(register: int) -> bytes:
    """Return the request to read a register."""
    return _jbd(0xA5, register, b"")


def jbd_write(register: int, data: bytes) -> bytes:
    """Return the request to write a register."""
    return _jbd(0x5A, register, data)


def _jbd(direction: int, register: int, data: bytes) -> bytes:
    summed = bytes([register, len(data)]) + data
    return b"\xdd" + bytes([direction]) + summed + struct.pack(">HB", -sum(summed) & 0xFFFF, 0x77)


def record(
    function: int,
    name: bytes = b"home",
    current_ma: int = 0,
    window_s: tuple[int, int] = (0, 0),
    *,
    length: int | None = None,
    end: bytes = b"\0",
) -> bytes:
    """Return a request of dialect v2; ``length`` and ``end`` may lie."""
    told = len(name) if length is None else length
    fields = (function, told, current_ma, 0, window_s[0], 0, window_s[1], 0)
    body = struct.pack("<8q", *fields) + name + end
    return struct.pack("<I", len(body)) + body
