"""Energy per meter out of a PostgreSQL database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, LiteralString

import psycopg

from harness.store.postgres_session import copy_out
from harness.store.schema import Columns
from harness.store.usage import Usage, UsageQuestion
from harness.store.usage_query import usage

_SETTINGS: Final[tuple[LiteralString, ...]] = (
    # Sums over a month of all meters want to stay in memory, and are few.
    "SET work_mem = '256MB'",
    "SET jit = off",
)


def usage_of(session: psycopg.Connection, registers: Sequence[str], asked: UsageQuestion) -> Usage:
    """Return the answer of `harness.store.interface.Store.usage`, over a session for reading."""
    for setting in _SETTINGS:
        session.execute(setting)

    def fetch(query: str, names: Sequence[str]) -> Columns:
        return copy_out(session, query, dict.fromkeys(names, "i8"))

    return usage(fetch, asked, registers)
