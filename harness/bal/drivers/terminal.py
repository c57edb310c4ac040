"""A serial line: a terminal device, opened as the UART of a battery management system wants it.

Theory of operation. Nobody at the other end sees that a line is opened or closed. What an earlier
line left behind, the end of an answer or half of a request, would be taken for a part of this one;
so a new line first hears nothing for `QUIET_S`, and throws away what comes until then. The device
has given up on half a request after that, too (`protocols.bms.jbd`).

Only serial ports and pseudo-terminals are opened: whoever may make batteries through the API names
devices, and there are some that do things when they are opened.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import termios
from collections.abc import Mapping
from typing import Final

import trio

from protocols.bms.jbd.device import SILENCE_S

QUIET_S: Final = SILENCE_S + 0.1
"""Silence after which neither end has anything under way, real seconds."""
SERIAL: Final = re.compile(r"/dev/(tty[A-Za-z]+[0-9]+|pts/[0-9]+|rfcomm[0-9]+)")
"""What a device is called, where its links lead to."""
RECEIVE_SIZE: Final = 4_096
MENDS: Final[Mapping[int, str]] = {
    errno.ENOENT: "plug its adapter in, or correct the path",
    errno.ENODEV: "plug its adapter in, or correct the path",
    errno.ENXIO: "plug its adapter in, or correct the path",
    errno.EIO: "plug its adapter in anew",
    errno.EACCES: "let this user be of the group that owns it",
    errno.EPERM: "let this user be of the group that owns it",
    errno.EBUSY: "end what else uses it",
    errno.EWOULDBLOCK: "end what else uses it",
}


class TerminalError(OSError):
    """A device cannot be a battery's line; names it, says why, and the mend."""

    def __init__(self, device: str, why: str, mend: str) -> None:
        super().__init__(f"{device}: {why}; {mend}")
        self.device = device
        self.mend = mend


async def open_terminal(device: str, *, quiet_s: float = QUIET_S) -> trio.lowlevel.FdStream:
    """Open a device: 9,600 bit/s, 8 data bits, no parity, 1 stop bit, raw, nobody's but ours.

    Returns once it was silent for ``quiet_s`` real seconds. Cancellation closes it. Raises
    `TerminalError`: it cannot be opened, is none, is in use, or has gone.
    """
    stream = trio.lowlevel.FdStream(_opened(device))
    try:
        await _fall_silent(stream, device, quiet_s)
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return stream


def _opened(device: str) -> int:
    path = os.path.realpath(device)
    if os.path.lexists(path) and not SERIAL.fullmatch(path):
        raise TerminalError(device, "it is no serial port", "name one, such as /dev/ttyUSB0")
    try:
        # Not blocking: it would wait for a carrier that three wires do not have.
        descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _explained(device, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # as other serial programs do
        _set_raw(descriptor)
    except (OSError, termios.error) as error:
        os.close(descriptor)
        raise _explained(device, error) from error
    return descriptor


def _set_raw(descriptor: int) -> None:
    """Have every octet pass as it is, without control lines. See termios(3)."""
    characters = termios.tcgetattr(descriptor)[6]
    characters[termios.VMIN], characters[termios.VTIME] = 1, 0
    control = termios.CS8 | termios.CREAD | termios.CLOCAL
    rate = termios.B9600
    attributes = [0, 0, control, 0, rate, rate, characters]
    termios.tcsetattr(descriptor, termios.TCSANOW, attributes)


async def _fall_silent(stream: trio.lowlevel.FdStream, device: str, quiet_s: float) -> None:
    """Throw away what comes until nothing does."""
    data = b"."
    while data:
        data = b""
        with trio.move_on_after(quiet_s) as silence:
            try:
                data = bytes(await stream.receive_some(RECEIVE_SIZE))
            except trio.BrokenResourceError as error:
                raise _explained(device, error.__cause__ or error) from error
        if not data and not silence.cancelled_caught:
            raise TerminalError(device, "the line has gone", MENDS[errno.EIO])


def _explained(device: str, error: BaseException) -> TerminalError:
    number, *words = error.args or (0,)
    mend = MENDS.get(number, "name a serial port, such as /dev/ttyUSB0")
    return TerminalError(device, str(words[0]) if words else str(error), mend)
