"""The look for what tests leave behind sees what they could leave."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.support.left_behind import MARK, left_behind, network, processes


@contextmanager
def grandchild(mark: str) -> Iterator[None]:
    """Run a process with a child, both of which end with the block."""
    with subprocess.Popen(
        [sys.executable, "-c", "input()"],
        stdin=subprocess.PIPE,
        env=os.environ | {MARK: mark},
    ) as process:
        yield
        assert process.stdin is not None
        process.stdin.write(b"\n")


def test_a_process_that_lives_on_is_found_until_it_ends() -> None:
    mark = f"test-{os.getpid()}"
    with grandchild(mark):
        (found,) = processes(mark, but=os.getpid())
        assert "input()" in found
        assert not processes("another", but=os.getpid())
    assert not processes(mark, but=os.getpid())


def test_the_session_itself_is_no_leftover() -> None:
    assert not [
        one for one in processes(os.environ[MARK], os.getpid()) if f" {os.getpid()}:" in one
    ]


def test_whatever_was_not_there_before_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "interface lo" in network()
    now = {"interface lo", "interface x"}
    monkeypatch.setattr("tests.support.left_behind.network", lambda: now)
    found = left_behind("nobody", {"interface lo"}, but=os.getpid(), patience_s=0)
    assert found == ["interface x"]
    assert not left_behind("nobody", now, but=os.getpid())


def test_processes_that_are_about_to_end_are_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mark = f"test-waited-{os.getpid()}"
    monkeypatch.setattr("tests.support.left_behind.network", set)
    with ExitStack() as running:
        running.enter_context(grandchild(mark))
        assert not left_behind(
            mark, set(), but=os.getpid(), patience_s=60, wait=lambda _: running.close()
        )
