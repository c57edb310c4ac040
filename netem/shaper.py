"""A trio stream whose octets take as long as the link model says.

The stream wraps a raw one (a socket, or memory in tests) on the concentrator's side: what it sends
goes up, what it receives came down. Nothing runs while a connection is idle: arriving octets are
stamped and held by whoever waits in `ShapedStream.receive_some`, and a task that writes what is
due exists only while something sent is still under way.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Literal, TypeAlias

import trio
from trio.abc import HalfCloseableStream

from netem.gate import LinkGate
from netem.model import Direction, LinkModel
from netem.model.delay import NANOSECONDS
from netem.profiles import LinkProfile
from netem.raw import RawStream, break_raw
from netem.transit import Piece, Transit

IN_FLIGHT_OCTETS: Final = 256 * 1024
"""Octets under way in one direction beyond which no more are taken."""
CLOCK_GRAIN_NS: Final = 1_000
"""Finer than this, trio's clock, a float, does not tell two times apart reliably."""
RECEIVE_OCTETS: Final = 64 * 1024


def now_ns() -> int:
    """Return trio's clock in nanoseconds, the time of every model in this process."""
    return int(trio.current_time() * NANOSECONDS)


Tap: TypeAlias = Callable[[Direction, bytes], None]
"""Told of octets as they are given to a link, and as they come out of it."""


class ShapedStream(HalfCloseableStream):
    """A connection over a modelled link, seen from the concentrator.

    Cancellation: a cancelled `receive_some` loses nothing; a cancelled `send_all` either took all
    octets or none; a cancelled `aclose` resets the connection and discards what is under way.

    Args:
        raw: the stream underneath; belongs to this one from now on.
        model: the link, or None for one that is perfect.
        nursery: where the writing of octets that are under way runs.
        gates: outages this connection is subject to.

    ``tap``, where set, is told of what the concentrator sends (UP) and what reaches it (DOWN).
    """

    def __init__(
        self,
        raw: RawStream,
        model: LinkModel | None,
        nursery: trio.Nursery,
        gates: Sequence[LinkGate] = (),
    ) -> None:
        self.raw = raw
        self.tap: Tap | None = None
        self._model = model
        self._nursery = nursery
        self._gates = tuple(gates)
        self._transit = Transit(model, self._gates)
        self._inbox: deque[Piece] = deque()
        self._outbox: deque[Piece] = deque()
        self._inbox_octets = self._outbox_octets = 0
        self._raw_ended = self._end_sent = self._closed = self._broken = False
        self._sending = False
        self._is_receiving = False
        self._waiting: trio.CancelScope | None = None
        self._pump_scope: trio.CancelScope | None = None
        self._room: trio.Event | None = None
        self._through: trio.Event | None = None
        self._raw_closed = False
        for gate in self._gates:
            gate.streams.add(self)

    def begin_exchange(self, number: int, attempt: int = 0) -> None:
        """Key the link's draws from here on by this push or exchange and this attempt at it."""
        if self._model is not None:
            self._model.begin_exchange(number, attempt)

    def become(self, profile: LinkProfile) -> None:
        """Let the link be as ``profile`` says for what is sent from now on (`LinkModel.become`).

        Raises:
            ValueError: this stream was made without a model; give links that are to change a
                model of the profile ``none`` to begin with.
        """
        if self._model is None:
            raise ValueError("a link without a model cannot become another")
        self._model.become(profile)

    # -- sending ------------------------------------------------------------------------------

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Take ``data`` under way; waits only while 256 KiB are already under way.

        Raises:
            BusyResourceError: another task is sending.
            ClosedResourceError: this stream was closed, or its sending half was.
            BrokenResourceError: the peer or the link broke the connection.
        """
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        self._sending = True
        try:
            await trio.lowlevel.checkpoint()
            await self._wait_for_room()
            if self._is_direct():
                await self.raw.send_all(data)
            elif data:
                self._take(bytes(data))
            if self.tap is not None:
                self.tap("up", bytes(data))
        finally:
            self._sending = False

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until `send_all` would take octets at once; raises as `send_all` does."""
        await trio.lowlevel.checkpoint()
        await self._wait_for_room()

    async def send_eof(self) -> None:
        """End the sending half; the end arrives behind the octets under way."""
        await trio.lowlevel.checkpoint()
        if self._end_sent:
            return
        self._check_sendable()
        self._end_sent = True
        self._take_end("end")

    async def aclose(self) -> None:
        """Close; octets under way still arrive, and then the end of the stream."""
        if not self._closed:
            self._closed = True
            self._wake_all()
            if not self._broken:
                self._take_end("close")
        try:
            await trio.lowlevel.checkpoint()
        except trio.Cancelled:
            self.reset()
            raise

    async def wait_closed(self) -> None:
        """Wait until what was under way when this was closed has arrived, or was lost.

        Until then the raw stream must not be closed by anybody else.
        """
        await trio.lowlevel.checkpoint()
        if not self._raw_closed:
            self._through = self._through or trio.Event()
            await self._through.wait()

    def reset(self) -> None:
        """Break the connection at once: both ends find it broken, octets under way are lost.

        Where a link hangs, the far end finds it broken only when that is over.
        """
        if self._broken:
            return
        self._broken = True
        self._inbox.clear()
        self._outbox.clear()
        for gate in self._gates:
            gate.streams.discard(self)
        self._wake_all()
        if self._pump_scope is not None:
            self._pump_scope.cancel()
        if any(gate.kind == "hang" for gate in self._gates):
            self._nursery.start_soon(self._reset_raw_later)
        else:
            self._reset_raw()

    async def _reset_raw_later(self) -> None:
        """Reset once a packet could say so."""
        try:
            while hanging := [gate for gate in self._gates if gate.kind == "hang"]:
                await hanging[0].wait_up()
        finally:
            self._reset_raw()

    def _reset_raw(self) -> None:
        break_raw(self.raw, self._nursery)
        self._note_raw_closed()

    def _note_raw_closed(self) -> None:
        self._raw_closed = True
        if self._through is not None:
            self._through.set()

    def _is_direct(self) -> bool:
        return self._model is None and not self._outbox and not self._transit.is_down

    def _check_sendable(self) -> None:
        if self._closed or self._end_sent:
            raise trio.ClosedResourceError("this stream was closed for sending")
        if self._broken:
            raise trio.BrokenResourceError("the connection is broken")

    async def _wait_for_room(self) -> None:
        self._check_sendable()
        while self._outbox_octets >= IN_FLIGHT_OCTETS:
            self._room = trio.Event()
            await self._room.wait()
            self._check_sendable()

    def _take(self, data: bytes) -> None:
        pieces, broken_ns = self._transit.pieces("up", now_ns(), data)
        self._outbox.extend(pieces)
        self._outbox_octets += len(data)
        if broken_ns is not None:
            self._nursery.start_soon(self._reset_at, broken_ns)
        self._start_pump()

    def _take_end(self, what: Literal["end", "close"]) -> None:
        sent_ns = now_ns()
        # An end that was sent already is not sent again by the closing.
        ended = what == "close" and self._end_sent
        release_ns = sent_ns if ended else self._transit.end_ns(sent_ns)
        if self._outbox:
            release_ns = max(release_ns, self._outbox[-1].release_ns)
        self._outbox.append(Piece(sent_ns, release_ns, what=what))
        self._start_pump()

    def _start_pump(self) -> None:
        if self._pump_scope is None:
            self._pump_scope = trio.CancelScope()
            self._nursery.start_soon(self._pump, self._pump_scope)

    async def _pump(self, scope: trio.CancelScope) -> None:
        """Write what is under way when it is due; ends when nothing is."""
        try:
            with scope:
                while self._outbox:
                    await self._wait_until_due(self._outbox[0])
                    await self._write(self._due_pieces())
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.reset()
        except trio.Cancelled:
            self.reset()  # the links are being shut down: a power cut
            raise
        finally:
            self._pump_scope = None

    async def _wait_until_due(self, piece: Piece) -> None:
        while True:
            for gate in self._gates:
                await gate.wait_up()
            due_ns = self._transit.due_ns("up", piece)
            if due_ns <= now_ns() + CLOCK_GRAIN_NS:
                return
            await trio.sleep_until(due_ns / NANOSECONDS)

    def _due_pieces(self) -> list[Piece]:
        now = now_ns() + CLOCK_GRAIN_NS
        pieces = [self._outbox.popleft()]
        while self._outbox and pieces[-1].what == "octets":
            if self._transit.due_ns("up", self._outbox[0]) > now:
                break
            pieces.append(self._outbox.popleft())
        return pieces

    async def _write(self, pieces: list[Piece]) -> None:
        octets = b"".join(piece.octets for piece in pieces)
        if octets:
            await self.raw.send_all(octets)
            self._outbox_octets -= len(octets)
            if self._room is not None:
                self._room.set()
        if pieces[-1].what == "end":
            await self.raw.send_eof()
        elif pieces[-1].what == "close":
            for gate in self._gates:
                gate.streams.discard(self)
            await self.raw.aclose()
            self._note_raw_closed()

    async def _reset_at(self, at_ns: int) -> None:
        await trio.sleep_until(at_ns / NANOSECONDS)
        self.reset()

    # -- receiving ----------------------------------------------------------------------------

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return octets whose time has come, b"" at the end of the stream.

        Octets count from when they reached the socket while somebody waits here; what comes while
        nobody does counts from the next call. Their delays run side by side, not one after the
        other.

        Raises:
            BusyResourceError: another task is receiving.
            ClosedResourceError: this stream was closed.
            BrokenResourceError: the peer or the link broke the connection.
        """
        if self._is_receiving:
            raise trio.BusyResourceError("another task is receiving on this stream")
        self._is_receiving = True
        try:
            await trio.lowlevel.checkpoint()
            while not self._is_due():
                with trio.CancelScope(deadline=self._next_due_s()) as self._waiting:
                    await self._hold_what_arrives()
            octets = self._deliver(max_bytes)
            if self.tap is not None:
                self.tap("down", octets)
            return octets
        finally:
            self._is_receiving = False
            self._waiting = None

    def _is_due(self) -> bool:
        self._check_receivable()
        if not self._inbox or self._transit.is_down:
            return False
        return self._transit.due_ns("down", self._inbox[0]) <= now_ns() + CLOCK_GRAIN_NS

    def _next_due_s(self) -> float:
        if not self._inbox or self._transit.is_down:
            return math.inf
        return self._transit.due_ns("down", self._inbox[0]) / NANOSECONDS

    async def _hold_what_arrives(self) -> None:
        """Stamp and hold what arrives next, or wait for the end of an outage."""
        for gate in self._gates:
            if gate.is_down:
                await gate.wait_up()
                return
        if self._raw_ended or self._inbox_octets >= IN_FLIGHT_OCTETS:
            await trio.sleep_forever()
        self._stamp(bytes(await self._read_raw()))

    async def _read_raw(self) -> bytes | bytearray:
        try:
            return await self.raw.receive_some(RECEIVE_OCTETS)
        except trio.ClosedResourceError:
            if self._broken or self._closed:
                return b""
            raise
        except trio.BrokenResourceError:
            self.reset()
            return b""

    def _stamp(self, data: bytes) -> None:
        if self._broken or self._closed:
            return
        if not data:
            self._raw_ended = True
        pieces, broken_ns = self._transit.pieces("down", now_ns(), data)
        if not data:
            end = pieces[-1] if pieces else Piece(now_ns(), now_ns())
            pieces = [Piece(end.sent_ns, end.release_ns, what="end")]
        self._inbox.extend(pieces)
        self._inbox_octets += len(data)
        if broken_ns is not None:
            self._nursery.start_soon(self._reset_at, broken_ns)

    def _check_receivable(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("this stream was closed")
        if self._broken:
            raise trio.BrokenResourceError("the connection is broken")

    def _deliver(self, max_bytes: int | None) -> bytes:
        piece = self._inbox[0]
        if piece.what == "end":
            return b""
        self._inbox.popleft()
        octets, rest = piece.octets, None
        if max_bytes is not None:
            octets, rest = piece.split(max_bytes)
        if rest is not None:
            self._inbox.appendleft(rest)
        self._inbox_octets -= len(octets)
        return octets

    # -- both ---------------------------------------------------------------------------------

    def _wake_all(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
        if self._room is not None:
            self._room.set()
