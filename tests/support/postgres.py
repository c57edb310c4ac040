"""A real PostgreSQL server for tests: started where its binaries are, stopped at the end.

The server listens on a free port of 127.0.0.1, keeps its data in a folder of its own and syncs
its log to disk as in production. initdb refuses to run as root, so root hands the folder to an
ordinary user and starts the server as that one.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

_START_TIMEOUT_S: Final = 30.0
_STOP_TIMEOUT_S: Final = 20.0
_PASSWORD: Final = "only-for-tests"


def find_binaries() -> Path | None:
    """Return the folder of initdb and postgres: from PATH, else Debian's newest, else None."""
    for name in filter(None, os.environ.get("PATH", "").split(os.pathsep)):
        if all((Path(name) / binary).is_file() for binary in ("initdb", "postgres")):
            return Path(name)
    debian = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(debian, key=lambda path: float(path.parts[-3]), default=None)
    return newest.parent if newest else None


@dataclass(slots=True)
class PostgresServer:
    """A server that can be stopped and started again on the same port with the same data."""

    binaries: Path
    folder: Path
    port: int
    user: str
    _process: subprocess.Popen[bytes] | None = None
    _names: Iterator[int] = field(default_factory=count)

    def url(self, database: str = "postgres") -> str:
        """Return the URL of a database, with the password."""
        return f"postgresql://meterstorm:{_PASSWORD}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Create an empty database and return its URL."""
        name = f"test_{next(self._names)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url(name)

    def start(self) -> None:
        """Start the server and return when it answers."""
        command = [str(self.binaries / "postgres"), "-D", str(self.folder / "data")]
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            "fsync": "on",
            "max_connections": "30",
        }
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        with (self.folder / "log").open("ab") as log:
            self._process = self._run_as_user(command, log.fileno())
        self._await_answer()

    def stop(self, *, at_once: bool = False) -> None:
        """Stop the server, politely or like a power cut; idempotent."""
        process, self._process = self._process, None
        if process is None:
            return
        if at_once:
            process.send_signal(signal.SIGQUIT)  # immediate shutdown, recovery at the next start
        else:
            process.send_signal(signal.SIGINT)  # fast shutdown, clients are disconnected
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def initialise(self) -> None:
        """Create the data folder and its only user."""
        password = self.folder / "password"
        password.write_text(_PASSWORD)
        shutil.chown(password, self.user)
        command = [str(self.binaries / "initdb"), "-D", str(self.folder / "data")]
        command += ["-U", "meterstorm", "--pwfile", str(password), "-A", "scram-sha-256"]
        command += ["-E", "UTF8", "--locale=C", "--no-sync"]
        with (self.folder / "log").open("ab") as log:
            status = self._run_as_user(command, log.fileno()).wait()
        if status:
            raise RuntimeError(f"initdb failed: {(self.folder / 'log').read_text()}")

    def _run_as_user(self, command: list[str], log: int) -> subprocess.Popen[bytes]:
        user = pwd.getpwnam(self.user)
        if user.pw_uid == os.geteuid():
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder
            )
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=self.folder,
            user=user.pw_uid,
            group=user.pw_gid,
            extra_groups=[],
        )

    def _await_answer(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + _START_TIMEOUT_S
        while True:
            try:
                psycopg.connect(self.url(), connect_timeout=5).close()
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    log = (self.folder / "log").read_text()
                    raise RuntimeError(f"PostgreSQL did not start: {log}") from None
                time.sleep(0.02)
            else:
                return


@contextmanager
def running_server(binaries: Path) -> Iterator[PostgresServer]:
    """Run a server in a temporary folder; it is stopped and removed whatever happens."""
    user = _ordinary_user()
    # Not below pytest's temporary folder: that one is closed to other users.
    with tempfile.TemporaryDirectory(prefix="meterstorm-postgres-") as name:
        folder = Path(name)
        shutil.chown(folder, user)
        server = PostgresServer(binaries, folder, _free_port(), user)
        server.initialise()
        try:
            server.start()
            yield server
        finally:
            server.stop(at_once=True)


def _ordinary_user() -> str:
    """Return who runs the server: ourselves, or for root the first ordinary user there is."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid()).pw_name
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in names)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
