"""Pseudo-terminals, by which serial software reaches what is emulated here."""

from __future__ import annotations

import os
import tty
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio


@asynccontextmanager
async def open_terminal() -> AsyncIterator[tuple[trio.abc.Stream, str]]:
    """Open a new pseudo-terminal: our end of it, and the path that others open.

    Nobody can see who opens and closes it. Raises `OSError`: there is none to be had.
    """
    ours, theirs = os.openpty()
    try:
        # Held open, so that the line does not break whenever a client closes it.
        tty.setraw(theirs)
        async with trio.lowlevel.FdStream(ours) as stream:
            yield stream, os.ttyname(theirs)
    finally:
        os.close(theirs)
