"""How many processes a fleet needs on this machine."""

from __future__ import annotations

import resource
from typing import Final

SPARE_DESCRIPTORS: Final = 500
"""Descriptors of a process that are not connections: listeners, logs, the store, reserve."""


def descriptor_limit() -> int:
    """Return how many descriptors a process of ours may have: the hard limit.

    Every process raises its soft limit to it when it starts.
    """
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return 2**20 if hard == resource.RLIM_INFINITY else hard


def shards_by_descriptors(connections: int, limit: int) -> int:
    """Return the processes that ``connections`` need when each may have ``limit`` descriptors.

    Raises:
        ValueError: ``limit`` leaves no descriptor for a connection.
    """
    each = limit - SPARE_DESCRIPTORS
    if each < 1:
        raise ValueError(f"a limit of {limit} descriptors leaves none for connections")
    return max(1, -(-connections // each))
