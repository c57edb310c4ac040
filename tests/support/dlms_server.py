"""Serve one `ServerSession` per connection on loopback, for clients in other processes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import trio

from protocols.dlms.server import ServerSession

RECEIVE_SIZE = 65536


async def _serve(make_session: Callable[[float], ServerSession], stream: trio.SocketStream) -> None:
    session = make_session(trio.current_time())
    async with stream:
        while not session.closed:
            with trio.move_on_at(session.deadline or trio.current_time()) as timer:
                data = await stream.receive_some(RECEIVE_SIZE)
            if timer.cancelled_caught:
                session.handle_deadline(trio.current_time())
            elif not data:
                session.receive_eof()
            else:
                session.receive_data(bytes(data), trio.current_time())
            while answer := session.data_to_send():
                await stream.send_all(answer)


@asynccontextmanager
async def serving(make_session: Callable[[float], ServerSession]) -> AsyncIterator[int]:
    """Serve on a free port, which is yielded; everything ends with the block.

    ``make_session`` gets the time and gives the session of one connection.
    """
    async with trio.open_nursery() as nursery:

        async def handle(stream: trio.SocketStream) -> None:
            await _serve(make_session, stream)

        listen = partial(trio.serve_tcp, handle, 0, host="127.0.0.1")
        listeners = await nursery.start(listen)
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()
