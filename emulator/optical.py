"""Optical ports: a meter's C12.18 line on a TCP port or a pseudo-terminal of this machine.

A TCP port carries the octets of the line as they are (pyserial's ``socket://``), to loopback only.
A pseudo-terminal looks like the serial port of an optical probe; its rate means nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, TypeAlias

import trio
from structlog import get_logger

from emulator.concentrators import Concentrators
from emulator.fleet_config import FleetConfig
from emulator.keys import KeyFileError, key_ring
from emulator.terminals import open_terminal
from netem.draws import generator
from protocols.c12.meter import Meter, Passwords
from protocols.c12.plugin import C12Options
from protocols.c12.psem import C12_18_DEVICE, PsemServer
from protocols.c12.services import Dialect
from protocols.framing import Message

RECEIVE_SIZE: Final = 16_384
CONNECTIONS_MAX: Final = 4
"""Callers of one port at a time; whoever comes later is dropped."""
ANSWER_S: Final = 30.0
"""Real seconds that a caller may take to take an answer."""
log = get_logger(__name__)

MakeLine: TypeAlias = Callable[[], PsemServer]
"""Makes the meter's end of a new line."""


@dataclass(frozen=True, slots=True)
class OpticalPort:
    """A port that is open. ``url`` is what serial libraries open: a ``socket://`` or a path."""

    url: str


def meter_line(
    concentrators: Concentrators, config: FleetConfig, concentrator: int, meter: int
) -> MakeLine:
    """Return what makes the ends of lines to a meter, counted within its concentrator.

    The password that allows everything is the meter's secret, padded with spaces. Raises
    `KeyFileError`.
    """
    model = concentrators[concentrator]
    name = bytes(model.meter_names[meter])
    title = concentrators.dialects.plugin(concentrator).title_of(name)
    passwords = Passwords.of(key_ring(config.seed, config.key_file).of(name, title))
    draws = generator(config.seed, "optical port", concentrator, meter)
    # On a terminal nobody sees a client leave, and the next one must not find its session.
    options = replace(C12_18_DEVICE, identify_restarts=True)
    settings = C12Options.of(concentrators.dialects.options(concentrator)).settings

    def line() -> PsemServer:
        application = Meter(model, meter, passwords, dialect=Dialect.C12_18, settings=settings)
        return PsemServer(application, random_bytes=draws.bytes, options=options)

    return line


async def open_optical_port(
    order: Message, concentrators: Concentrators, config: FleetConfig, nursery: trio.Nursery
) -> Message:
    """Open what an order asks for, in ``nursery``; return what to tell whoever ordered it.

    The order: ``concentrator``, ``meter`` within it, and ``port``: a TCP port, 0 for any free one,
    or ``None`` for a pseudo-terminal. What is told: its ``url``, or the ``error`` that there was.
    """
    try:
        make_line = meter_line(concentrators, config, order["concentrator"], order["meter"])
        if order["port"] is None:
            opened = await nursery.start(serve_optical_terminal, make_line)
        else:
            serve = partial(serve_optical_tcp, make_line, port=order["port"])
            opened = await nursery.start(serve)
    except (OSError, KeyFileError) as error:
        return {"state": "optical", "error": str(error)}
    return {"state": "optical", "url": opened.url}


async def serve_optical_tcp(
    make_line: MakeLine,
    *,
    port: int = 0,
    task_status: trio.TaskStatus[OpticalPort] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve a line on every connection to ``port`` of 127.0.0.1 (0: any free one).

    Until cancelled, which ends the connections at once; one bad connection never ends it. Raises
    `OSError`: the port is taken.
    """
    (listener,) = await trio.open_tcp_listeners(port, host="127.0.0.1")
    bound: int = listener.socket.getsockname()[1]
    callers: set[trio.SocketStream] = set()
    async with trio.open_nursery() as nursery:
        handler = partial(_serve_caller, make_line, callers)
        await nursery.start(
            partial(trio.serve_listeners, handler, [listener], handler_nursery=nursery)
        )
        task_status.started(OpticalPort(f"socket://127.0.0.1:{bound}"))


async def serve_optical_terminal(
    make_line: MakeLine, *, task_status: trio.TaskStatus[OpticalPort] = trio.TASK_STATUS_IGNORED
) -> None:
    """Serve lines, one after the other, on a new pseudo-terminal until cancelled.

    Nobody can see who opens and closes it, so a session that is not ended ends by its silence, or
    with the next Identify. Raises `OSError`: there is no pseudo-terminal to be had.
    """
    async with open_terminal() as (stream, path):
        task_status.started(OpticalPort(path))
        while True:
            await serve_line(make_line(), stream)


async def _serve_caller(
    make_line: MakeLine, callers: set[trio.SocketStream], stream: trio.SocketStream
) -> None:
    if len(callers) >= CONNECTIONS_MAX:
        log.info("optical port: too many callers")
        await trio.aclose_forcefully(stream)
        return
    callers.add(stream)
    try:
        async with stream:
            await serve_line(make_line(), stream)
    except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
        log.info("optical port: the caller vanished", error=str(error))
    finally:
        callers.discard(stream)


async def serve_line(line: PsemServer, stream: trio.abc.Stream) -> None:
    """Serve one line until it is closed, or somebody does not take an answer.

    Raises what streams raise. Cancellation loses what is under way.
    """
    while not line.closed:
        await _hear(line, stream)
        answer = line.data_to_send()
        with trio.move_on_after(ANSWER_S) as timer:
            await stream.send_all(answer)
        if timer.cancelled_caught:
            line.receive_eof()
    faults = {fault.name.lower(): count for fault, count in line.faults.items()}
    log.info("optical line ended", **faults)


async def _hear(line: PsemServer, stream: trio.abc.Stream) -> None:
    """Give the line octets, the end of them, or the time."""
    data: bytes | None = None
    with trio.move_on_at(math.inf if line.deadline is None else line.deadline):
        data = bytes(await stream.receive_some(RECEIVE_SIZE))
    now = trio.current_time()
    if data is None:
        line.handle_deadline(now)
    elif data:
        line.receive_data(data, now)
    else:
        line.receive_eof()
    while line.next_event() is not None:
        pass  # What was asked is the client's to tell; what went wrong is counted by the line.
