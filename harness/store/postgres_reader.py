"""Reading what a PostgreSQL database holds."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.store import postgres_session
from harness.store.errors import StoreSchemaError
from harness.store.postgres_session import copy_out, redacted, translated
from harness.store.postgres_store import SLOTS
from harness.store.postgres_tables import column_kinds
from harness.store.postgres_usage import usage_of
from harness.store.schema import Columns, Table
from harness.store.sql_reader import SqlReader
from harness.store.usage import Usage, UsageQuestion


class PostgresReader(SqlReader):
    """A `StoredReader` of one database; it needs no index."""

    slots_query = SLOTS

    def __init__(self, url: str) -> None:
        """Connect.

        Raises:
            StoreUnavailableError: nobody answers.
            StoreSchemaError: there is no store.
        """
        self._url = url
        self._session = postgres_session.connected(url)
        try:
            with translated(url):
                super().__init__(postgres_session.registers_of(self._session, url))
            if not self.registers:
                raise StoreSchemaError(
                    "there is no store", where=redacted(url), mend="name another database"
                )
        except BaseException:
            self._session.close()
            raise

    def close(self) -> None:
        """See `StoredReader.close`."""
        self._session.close()

    def usage(self, question: UsageQuestion) -> Usage:
        """See `UsageReader.usage`."""
        with translated(self._url):
            return usage_of(self._session, self._registers, question)

    def _columns(self, table: Table, query: str) -> Columns:
        with translated(self._url):
            if not postgres_session.has_table(self._session, table.name):
                return {name: np.zeros(0, kind) for name, kind in table.types.items()}
            return copy_out(self._session, query, column_kinds(table))

    def _fetch(self, query: str) -> list[tuple[Any, ...]]:
        with translated(self._url):
            return self._session.execute(query.encode()).fetchall()
