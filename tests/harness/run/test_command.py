"""The command that a report shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import ArgumentsError
from harness.run.command import _command, run_scenario
from harness.scenario import Scenario
from tests.support.recorded_run import SCENARIO


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


@pytest.mark.parametrize("word", ["everybody", "MSC0000000000007"])
def test_a_capture_of_nobody_is_refused_before_there_is_a_folder(word: str, tmp_path: Path) -> None:
    scenario, out = Scenario.model_validate(SCENARIO), tmp_path / "runs"
    with pytest.raises(ArgumentsError, match="--capture"):
        run_scenario(scenario, scenario_file=Path("none.toml"), out=out, capture=word)
    assert not out.exists()
