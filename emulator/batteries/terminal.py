"""A battery management system on a pseudo-terminal, as its UART adapter would show it.

A local wire: nothing is modelled, and the rate that is set means nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import trio

from emulator.batteries.device import BatterySession
from emulator.terminals import open_terminal

RECEIVE_SIZE: Final = 4_096


@dataclass(frozen=True, slots=True)
class Terminal:
    """A pseudo-terminal that is open; ``path`` is what serial libraries open."""

    path: str


async def serve_terminal(
    make_session: Callable[[], BatterySession[Any]],
    *,
    task_status: trio.TaskStatus[Terminal] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve lines, one after the other, on a new pseudo-terminal until cancelled.

    Nobody can see who opens and closes it: one line ends by its silence, and the next begins.
    Cancellation loses an answer under way, no command. Raises `OSError`: there is no terminal.
    """
    async with open_terminal() as (stream, path):
        task_status.started(Terminal(path))
        while True:
            await _serve_line(make_session(), stream)


async def _serve_line(session: BatterySession[Any], stream: trio.abc.Stream) -> None:
    while session.deadline is not None:
        data: bytes | None = None
        with trio.move_on_at(session.deadline):
            data = bytes(await stream.receive_some(RECEIVE_SIZE))
        if data is None:
            session.handle_deadline(trio.current_time())
        else:
            session.receive_data(data, now=trio.current_time())
        await stream.send_all(session.data_to_send())
