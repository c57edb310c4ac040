"""Fixtures that tests of several packages share."""

from __future__ import annotations

import compileall
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import hypothesis
import pytest

from tests.support.left_behind import left_behind, mark_session, network
from tests.support.postgres import PostgresServer, find_binaries, running_server
from tests.support.spread import spread

# A shared machine stalls now and then; a slow example is no wrong one.
hypothesis.settings.register_profile("meterstorm", deadline=None, print_blob=True)
hypothesis.settings.load_profile("meterstorm")

WORKERS_MAX: Final = 8
PACKAGES: Final = ("protocols", "netem", "emulator", "reports", "harness")
_SESSION: Final = pytest.StashKey[tuple[str, set[str]]]()


def pytest_configure(config: pytest.Config) -> None:
    """Note what there is, before any test; workers leave that to whoever started them."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # So are the jobs that a shell puts in the background, and all they start: tests interrupt.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):
        config.stash[_SESSION] = (mark_session(), network())
        if sys.dont_write_bytecode:
            _compile_packages(config.rootpath)


def _compile_packages(root: Path) -> None:
    """Compile what hundreds of child processes will import, where none of them keeps it compiled.

    What is compiled already is left alone, and so is a tree that cannot be written to.
    """
    for package in PACKAGES:
        compileall.compile_dir(root / package, quiet=2)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return how many workers ``-n auto`` means: one a processor, and never one alone.

    Whole runs mostly wait, but those that count milliseconds had better not wait for each other.
    """
    return max(2, min(WORKERS_MAX, len(os.sched_getaffinity(0))))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the slow tests where workers share them all."""
    workers: int = getattr(config, "workerinput", {}).get("workercount", 1)
    if workers > 1:
        items[:] = spread(
            items,
            workers,
            is_slow=lambda item: _in_kernel(item) or item.get_closest_marker("slow") is not None,
            # One virtual machine runs all that need one: no two workers should wait for it.
            module=lambda item: "kernel" if _in_kernel(item) else item.path,
        )


def _in_kernel(item: pytest.Item) -> bool:
    return item.get_closest_marker("in_kernel") is not None


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a session that leaves a process or anything of the network behind.

    Another session at the same time, with labs in the same network, would be blamed on this one.
    """
    if _SESSION not in session.config.stash:
        return
    mark, before = session.config.stash[_SESSION]
    found = left_behind(mark, before, but=os.getpid())
    if found:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.section("left behind", red=True)
            for one in found:
                reporter.write_line(one)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server, one per test process."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server binaries: install the package postgresql")
    with running_server(binaries) as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> str:
    """URL of an empty PostgreSQL database."""
    return postgres_server.new_database()
