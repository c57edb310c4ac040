from __future__ import annotations

from pathlib import Path

from tests.support.scenario_files import SMALL, load, problems

EXTERNAL = f"""{SMALL}
[target]
kind = "external"
push = {{ host = "10.0.0.1", port = 4059 }}
read_back = {{ kind = "files", folder = "x" }}
"""


def test_history_is_so_many_steps_before_the_first(tmp_path: Path) -> None:
    scenario = load(tmp_path, f"{SMALL}[behaviour]\nsteps = 4\npreloaded = 2969\n")
    assert (scenario.behaviour.preloaded, scenario.behaviour.steps) == (2969, 4)
    assert scenario.span_s == 4 * 900


def test_a_foreign_store_cannot_be_given_any(tmp_path: Path) -> None:
    (line,) = problems(tmp_path, f"{EXTERNAL}[behaviour]\npreloaded = 4\n")
    assert line == (
        "x.toml:10: behaviour.preloaded: only the store of the reference head-end can be filled "
        "before a run"
    )
