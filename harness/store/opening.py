"""From an address to a store or a reader."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from harness.store.duckdb_reader import DuckDbReader
from harness.store.duckdb_store import DuckDbStore
from harness.store.interface import Store, StoredReader


def open_store(address: str | Path, registers: Sequence[str], *, create: bool) -> Store:
    """Open the store at ``address`` for writing.

    Args:
        address: ``postgresql://...`` (a schema by ``?options=-csearch_path%3Dname``),
            ``duckdb:///absolute/path``, or a path.
        registers: names of the register columns, in the order of `Rows.values`.
        create: make the store if there is none; one that is there is opened and kept.

    Raises:
        StoreError: see the back ends.
        ValueError: an address of another kind, or names that cannot be columns.
    """
    if is_postgres(address):
        # Its driver is loaded by those who have such a store, not by every head-end.
        from harness.store.postgres_store import PostgresStore

        return PostgresStore(str(address), registers, create=create)
    return DuckDbStore(duckdb_path(address), registers, create=create)


def open_reader(*addresses: str | Path) -> StoredReader:
    """Open what the writers of a run stored: the files of its shards, or one database.

    Raises:
        StoreError: see the back ends.
        ValueError: no address, or several that are not all files.
    """
    if any(is_postgres(address) for address in addresses):
        if len(addresses) > 1:
            raise ValueError("one PostgreSQL database holds all shards: name it alone")
        from harness.store.postgres_reader import PostgresReader

        return PostgresReader(str(addresses[0]))
    return DuckDbReader.of_files([duckdb_path(address) for address in addresses])


def is_postgres(address: str | Path) -> bool:
    """Tell whether the address is a PostgreSQL URL."""
    return isinstance(address, str) and address.startswith(("postgresql://", "postgres://"))


def duckdb_path(address: str | Path) -> Path:
    """Return the path that a ``duckdb:///`` URL or a path names.

    Raises:
        ValueError: a URL of another kind.
    """
    if isinstance(address, Path) or "://" not in address:
        return Path(address)
    parts = urlsplit(address)
    if parts.scheme != "duckdb" or parts.netloc:
        raise ValueError("a store's address is a path, duckdb:///path or postgresql://...")
    return Path(unquote(parts.path))
