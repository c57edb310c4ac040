"""Energy per meter out of a PostgreSQL database."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from harness.store.postgres_session import copy_out
from harness.store.schema import Columns
from harness.store.usage import Usage, UsageQuestion
from harness.store.usage_query import usage


def usage_of(session: psycopg.Connection, registers: Sequence[str], asked: UsageQuestion) -> Usage:
    """Return the answer of `harness.store.interface.Store.usage` over a session."""

    def fetch(query: str, names: Sequence[str]) -> Columns:
        return copy_out(session, query, dict.fromkeys(names, "i8"))

    return usage(fetch, asked, registers)
