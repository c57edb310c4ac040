"""The emulator's process: two wires, a scheduler for each direction, one loop.

It lives in a process of its own because it has to be on time. Nothing in it awaits or shares: it
sleeps until a frame comes in, one is due, or it is told something. It ends when its control socket
closes, so it outlives nobody, whichever way its owner ends.
"""

from __future__ import annotations

import ctypes
import gc
import json
import select
import signal
import socket
import time
from dataclasses import asdict
from typing import Any, Final

import numpy as np

from netem.addresses import AddressPlan
from netem.lab import Direction
from netem.model.delay import NANOSECONDS
from netem.packet.control import REQUEST, Change, Count, LineReader, Setup, line_of
from netem.packet.ring import RingSocket
from netem.packet.scheduler import Scheduler

_RECEIVE_OCTETS: Final = 65_536
_PR_SET_TIMERSLACK: Final = 29
_CONTROL_TIMEOUT_S: Final = 5.0
"""How long an answer may wait for its reader; the links stand still meanwhile."""


class Wire:
    """One direction: from the end where frames come in to the end where they go out."""

    def __init__(self, scheduler: Scheduler, source: RingSocket, target: RingSocket) -> None:
        self.scheduler = scheduler
        self._source = source
        self._target = target
        self.late_most_ns = 0
        """The longest that a frame was sent after it was due."""

    def carry(self) -> None:
        """Take in what came, send what is due."""
        scheduler, source = self.scheduler, self._source
        for arrived_ns, frame in source.receive():
            scheduler.arrive(arrived_ns, frame)
        due_ns = scheduler.due_ns
        # Not the time it is now: what came in since the last reading may have to go first.
        now_ns = source.read_ns
        if due_ns is None or due_ns > now_ns:
            return
        self.late_most_ns = max(self.late_most_ns, now_ns - due_ns)
        send = self._target.send
        for frame in scheduler.take(now_ns):
            send(frame)

    def counts(self) -> dict[str, Any]:
        """Return all counts so far."""
        self._source.update_missed()
        scheduler = self.scheduler
        return {
            "classes": [asdict(one.summary()) for one in scheduler.counts],
            "unclassified": scheduler.unclassified,
            "other": scheduler.other,
            "flows_forgotten": scheduler.flows_forgotten,
            "missed": self._source.missed,
            "oversize": self._source.oversize + self._target.oversize,
            "unfinished": self._source.unfinished,
            "refused": self._target.refused,
            "late_most_ns": self.late_most_ns,
        }


class Loop:
    """Runs both wires and answers the owner.

    Args:
        control: the owner's socket; its first line is a `Setup`.
        fleet: where the concentrators are.
        head_end: where the head-end is.
    """

    def __init__(self, control: socket.socket, fleet: RingSocket, head_end: RingSocket) -> None:
        self._control = control
        self._lines = LineReader()
        self._pending: list[bytes] = []
        self._ends: dict[Direction, tuple[RingSocket, RingSocket]] = {
            "up": (fleet, head_end),
            "down": (head_end, fleet),
        }
        self._wires: dict[Direction, Wire] = {}
        self._closed = False

    def run(self) -> None:
        """Serve until the control socket closes."""
        self._control.settimeout(_CONTROL_TIMEOUT_S)
        self._set_up()
        # Nothing here makes cycles, and a collection over all that is held would be a pause.
        gc.freeze()
        gc.disable()
        readable = [self._control.fileno(), *(end.fileno() for end in self._ends["up"])]
        wires = tuple(self._wires.values())
        while not self._closed:
            ready, _, _ = select.select(readable, (), (), self._wait_s(wires))
            if self._control.fileno() in ready:
                self._read_control()
                self._answer()
            for wire in wires:
                wire.carry()

    def _set_up(self) -> None:
        while not self._pending and not self._closed:
            try:
                self._read_control()
            except TimeoutError:
                continue
        if self._closed:
            return
        try:
            self._make_wires(Setup.model_validate_json(self._pending.pop(0)))
        except ValueError as error:  # such as a trace that is gone
            self._send({"error": str(error)})
        else:
            self._send({"answer": "ready"})

    def _make_wires(self, setup: Setup) -> None:
        category = np.frombuffer(setup.category, dtype=np.uint8)
        packed = AddressPlan(category).packed.astype(">u4").tobytes()
        numbers = {packed[4 * n : 4 * n + 4]: n for n in range(len(category))}
        for direction, (source, target) in self._ends.items():
            scheduler = Scheduler(
                direction,
                setup.profiles,
                setup.category,
                numbers,
                setup.options,
                setup.seed,
                setup.bounds,
            )
            self._wires[direction] = Wire(scheduler, source, target)

    def _wait_s(self, wires: tuple[Wire, ...]) -> float | None:
        dues = [wire.scheduler.due_ns for wire in wires]
        soonest = min((due_ns for due_ns in dues if due_ns is not None), default=None)
        if soonest is None:
            return None
        return max(0, soonest - time.monotonic_ns()) / NANOSECONDS

    def _read_control(self) -> None:
        try:
            octets = self._control.recv(_RECEIVE_OCTETS)
        except ConnectionResetError:
            octets = b""
        self._closed = not octets
        self._pending += self._lines.feed(octets)

    def _answer(self) -> None:
        while self._pending:
            line = self._pending.pop(0)
            number = json.loads(line)["id"]
            try:
                answer = self._do(REQUEST.validate_json(line))
            except ValueError as error:
                # One request that cannot be met must not cost all the links.
                self._send({"id": number, "error": str(error)})
            else:
                self._send({"id": number, "answer": answer})

    def _do(self, request: Change | Count) -> dict[str, Any]:
        if isinstance(request, Count):
            return {direction: wire.counts() for direction, wire in self._wires.items()}
        for wire in self._wires.values():
            wire.scheduler.change(request.category, request.profile, request.numbers)
        return {}

    def _send(self, message: dict[str, Any]) -> None:
        try:
            self._control.sendall(line_of(message))
        except OSError:
            self._closed = True


def run_emulator(control_fd: int, fleet_fd: int, head_end_fd: int) -> None:
    """Run the emulator of this process on three inherited sockets until the first one closes."""
    # An interrupt from the keyboard is for the owner, who ends this in its own time.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1)  # nanosecond, where 50 microseconds are usual
    with socket.socket(fileno=control_fd) as control:
        ends = [RingSocket(socket.socket(fileno=fd)) for fd in (fleet_fd, head_end_fd)]
        try:
            Loop(control, *ends).run()
        finally:
            for end in ends:
                end.close()
