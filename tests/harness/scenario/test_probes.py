from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.scenario_files import SMALL, load, problems

REPLAY = "[probes]\nreplay = 3\n"


def test_a_scenario_may_ask_for_replays(tmp_path: Path) -> None:
    assert load(tmp_path, SMALL).probes.replay == 0
    assert load(tmp_path, SMALL + REPLAY).probes.replay == 3
    assert load(tmp_path, SMALL + REPLAY, "protocol=mix").probes.replay == 3


@pytest.mark.parametrize(
    ("override", "why"),
    [
        ("behaviour.mode=pull", "nobody pushes"),
        ("protocol=c12", "only DLMS pushes"),
        ("security.confirmed=false", "nobody tells what became of a push"),
        ("security.push=clear", "no counter to know it again by"),
        ("grid.transformer_stations=2", "there are 2 concentrators"),
    ],
)
def test_replays_that_could_prove_nothing_are_refused(
    override: str, why: str, tmp_path: Path
) -> None:
    (line,) = problems(tmp_path, SMALL + REPLAY, override)
    assert line.startswith("x.toml:5: probes.replay:")
    assert why in line
