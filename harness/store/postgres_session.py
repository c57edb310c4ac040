"""Sessions with a PostgreSQL server: addresses without passwords, errors, binary COPY.

COPY's binary format has a fixed layout when every column is an integer that is never null, so a
numpy structured dtype is the row and no value passes through a Python object.
Source: PostgreSQL manual, COPY, "Binary Format".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final
from urllib.parse import unquote

import numpy as np
import psycopg
from numpy.typing import NDArray

from harness.store.errors import (
    StoreError,
    StoreFullError,
    StoreSchemaError,
    StoreUnavailableError,
)
from harness.store.schema import FIXED

CONNECT_TIMEOUT_S: Final = 10

_HEADER: Final = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_TRAILER: Final = b"\xff\xff"
_BLOCK_ROWS: Final = 4_096
_SECRET: Final = "***"
_PASSWORD: Final = re.compile(r"(?<=password=)[^&]+")

_MEND: Final = {
    # By class of SQLSTATE, or by whole SQLSTATE. Source: PostgreSQL manual, appendix A.
    "53100": (StoreFullError, "free disk space on the server and repeat"),
    "08": (StoreUnavailableError, "start the server or mend the way to it, and repeat"),
    "57P": (StoreUnavailableError, "wait until the server is up again, and repeat"),
    "53": (StoreUnavailableError, "the server is short of resources: repeat later"),
    "40": (StoreUnavailableError, "another writer was in the way: repeat"),
    "28": (StoreError, "check the user and the password"),
    "3D": (StoreSchemaError, "create the database, or name another"),
    "42": (StoreSchemaError, "name a database that holds a store, or create one"),
}


def redacted(url: str) -> str:
    """Return ``url`` with any password in it replaced by ``***``."""
    address, mark, query = url.partition("?")
    scheme, slashes, rest = address.partition("://")
    credentials, at, host = rest.rpartition("@")
    if ":" in credentials:
        credentials = f"{credentials.partition(':')[0]}:{_SECRET}"
    return f"{scheme}{slashes}{credentials}{at}{host}{mark}{_PASSWORD.sub(_SECRET, query)}"


def connected(url: str) -> psycopg.Connection:
    """Return a connection in which every statement commits by itself.

    Raises:
        StoreUnavailableError: nobody answers.
        StoreError: the server refuses us.
    """
    with translated(url):
        connection = psycopg.connect(url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S)
        # A durable answer is the point; a server-wide "off" must not take it away.
        connection.execute("SET synchronous_commit = on")
        return connection


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Raise psycopg's errors as `StoreError` of the store at ``url``, without the password."""
    try:
        yield
    except psycopg.Error as error:
        # Not chained: psycopg's text may repeat the address with the password.
        raise _translate(error, url) from None


def _translate(error: psycopg.Error, url: str) -> StoreError:
    text = str(error).strip() or type(error).__name__
    for secret in _secrets(url):
        text = text.replace(secret, _SECRET)
    state = error.sqlstate or _state_of(error)
    for prefix, (kind, mend) in _MEND.items():
        if state.startswith(prefix):
            return kind(text, where=redacted(url), mend=mend)
    return StoreError(text, where=redacted(url), mend="check the address and the server's log")


def _state_of(error: psycopg.Error) -> str:
    """Return the class of SQLSTATE of an error that comes without one: a failed connection."""
    if not isinstance(error, psycopg.OperationalError):
        return ""
    # While connecting, only the server's English text tells a refusal from an absence.
    if "authentication failed" in str(error) or "no password supplied" in str(error):
        return "28"
    return "3D" if "does not exist" in str(error) else "08"


def _secrets(url: str) -> list[str]:
    """Return the passwords in ``url``, as written and as meant."""
    credentials = url.partition("?")[0].partition("://")[2].rpartition("@")[0]
    found = {credentials.partition(":")[2], *_PASSWORD.findall(url)}
    return [secret for secret in found | {unquote(secret) for secret in found} if secret]


def registers_of(connection: psycopg.Connection, url: str) -> tuple[str, ...]:
    """Return the register columns of the store, none if there is no store.

    Raises:
        StoreSchemaError: the table of readings is not ours.
    """
    rows = connection.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass('readings') "
        "AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
    ).fetchall()
    names = tuple(str(row[0]) for row in rows)
    if names and names[: len(FIXED)] != FIXED:
        raise StoreSchemaError(
            "the database has a table 'readings' that is not ours",
            where=redacted(url),
            mend="name another database or schema",
        )
    return names[len(FIXED) :]


def has_table(connection: psycopg.Connection, name: str) -> bool:
    """Tell whether there is a table of that name."""
    found = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [name]).fetchall()
    return bool(found[0][0])


def copy_row(columns: Mapping[str, str]) -> np.dtype[np.void]:
    """Return the layout of one row of binary COPY.

    Args:
        columns: type of each column, ``i2``, ``i4`` or ``i8``.
    """
    layout = [("fields", ">i2")]
    for name, kind in columns.items():
        layout += [(f"{name} length", ">i4"), (name, f">{kind}")]
    return np.dtype(layout)


def copy_in(
    connection: psycopg.Connection,
    statement: str,
    values: Mapping[str, NDArray[np.generic]],
    columns: Mapping[str, str],
) -> None:
    """Send rows through a ``COPY ... FROM STDIN (FORMAT BINARY)`` statement."""
    count = len(next(iter(values.values())))
    # Block by block, in memory that stays in the processor's cache: the server works meanwhile.
    block = np.empty(min(count, _BLOCK_ROWS), copy_row(columns))
    block["fields"] = len(columns)
    for name, kind in columns.items():
        block[f"{name} length"] = np.dtype(kind).itemsize
    with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        copy.write(_HEADER)
        for begin in range(0, count, _BLOCK_ROWS):
            rows = block[: count - begin]
            for name in columns:
                rows[name] = values[name][begin : begin + len(rows)]
            copy.write(rows.tobytes())
        copy.write(_TRAILER)


def copy_out(
    connection: psycopg.Connection, query: str, columns: Mapping[str, str]
) -> dict[str, NDArray[np.generic]]:
    """Return the columns of a query whose result has exactly ``columns``, none of them null."""
    statement = f"COPY ({query}) TO STDOUT (FORMAT BINARY)"
    with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        data = b"".join(copy)
    rows = np.frombuffer(data[len(_HEADER) : -len(_TRAILER)], copy_row(columns))
    return {name: rows[name] for name in columns}
