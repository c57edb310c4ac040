"""File descriptors: the limit that decides how many processes a fleet needs."""

from __future__ import annotations

import resource
from typing import Final

RESERVED: Final = 500
"""Descriptors a shard needs for anything but its concentrators."""
CONCENTRATORS_PER_CORE: Final = 20_000
"""Concentrators one loop carries at ten times real time, as measured."""


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open files to the hard one and return it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def shards_needed(concentrators: int, descriptors: int) -> int:
    """Return how many fleet shards ``concentrators`` need under a limit of ``descriptors``.

    A concentrator may hold two connections at once: the one it pushes on and one it is asked on.

    Raises:
        ValueError: the limit is too low for any concentrator.
    """
    room = (descriptors - RESERVED) // 2
    if room < 1:
        raise ValueError(f"{descriptors} open files are too few: a shard needs over {RESERVED}")
    return -(-concentrators // min(room, CONCENTRATORS_PER_CORE))
