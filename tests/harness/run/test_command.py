"""The command that a report shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.run.command import _command


def test_the_command_in_the_record_has_no_password_and_no_locust_of_somebodys_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = [
        "meterstorm",
        "run",
        "a b.toml",
        "--set",
        "target.store.url=postgresql://me:geheim@db/x",
    ]
    monkeypatch.setattr("sys.argv", [*words, "--load-socket", "x.sock"])
    expected = "meterstorm run 'a b.toml' --set 'target.store.url=postgresql://me:***@db/x'"
    assert _command(Path("x.sock")) == expected
