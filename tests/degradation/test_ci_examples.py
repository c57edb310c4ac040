"""The examples for CI systems are whole files whose commands exist; so is the example suite."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import typer
import yaml  # type: ignore[import-untyped]

from harness.cli import app
from harness.pytest_plugin import OPTIONS
from harness.pytest_plugin.orders import KNOWN
from harness.scenario import Scenario
from tests.degradation.matrix import CLASSES, FAULTS, SCENARIOS

ROOT: Final = SCENARIOS.parents[1]
PAGE: Final = ROOT / "docs/howto/test-in-ci.md"
REFERENCE: Final = ROOT / "docs/reference/pytest-plugin.md"
MADE_BY_THE_READER: Final = {"tests/baseline.json", "junit.xml"}
_FENCE: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(page: Path, language: str) -> list[str]:
    return [text for found, text in _FENCE.findall(page.read_text()) if found == language]


def scripts(tree: Any) -> Iterator[str]:
    """Yield every line that a CI system would give to a shell."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key in ("run", "script", "before_script"):
                yield from [value] if isinstance(value, str) else value
            else:
                yield from scripts(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from scripts(value)


ACTIONS, GITLAB = (yaml.safe_load(text) for text in blocks(PAGE, "yaml"))
COMMANDS: Final = [
    pytest.param(shlex.split(line), id=" ".join(line.split()[:4]))
    for tree in (ACTIONS, GITLAB)
    for line in scripts(tree)
]


def test_both_are_whole() -> None:
    # YAML 1.1 takes the key "on" for true.
    assert set(ACTIONS) == {"name", True, "jobs"}
    for step in ACTIONS["jobs"]["suite"]["steps"]:
        assert ("uses" in step) != ("run" in step)
    assert GITLAB["degradation"]["stage"] in GITLAB["stages"]
    assert set(GITLAB) == {"stages", "degradation"}
    assert len(COMMANDS) == 10


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_exists(words: list[str]) -> None:
    program, *rest = words
    if program.endswith("/meterstorm"):
        check_verb(rest)
    elif program.endswith("/python"):
        check_pytest(rest)
    elif program == "make":
        assert rest[-1] in re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
    else:
        assert program in ("cat", "git")


def check_verb(words: list[str]) -> None:
    verbs = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    known = {option for parameter in verbs[words[0]].params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known
    runs = [word for word in words if word.startswith("runs/")]
    made = {f"runs/test_nothing_is_lost-{fault}-{link}" for fault in FAULTS for link in CLASSES}
    assert {run.removesuffix("/latest") for run in runs} <= made


def check_pytest(words: list[str]) -> None:
    assert words[:2] == ["-m", "pytest"]
    options = {f"--meterstorm-{name}" for name, *_ in OPTIONS} | {"--junitxml"}
    given = [word.partition("=")[0] for word in words if word.startswith("--")]
    assert set(given) <= options
    assert all((ROOT / word).exists() for word in words if word.startswith("tests/"))


def test_the_example_suite_names_scenarios_fixtures_and_arguments_that_exist() -> None:
    (text,) = blocks(PAGE, "python")
    tree = ast.parse(text)
    files = set(re.findall(r"scenarios/degradation/([\w-]+\.toml)", text))
    assert files == {"clean.toml"}
    named = {
        ast.unparse(item.targets[0]): item for item in tree.body if isinstance(item, ast.Assign)
    }
    for fault in ast.literal_eval(named["FAULTS"].value):
        for link in ast.literal_eval(named["CLASSES"].value):
            changes = [f"grid.links.0.profile={link}", *EXTERNAL]
            Scenario.load(SCENARIOS / f"{fault}.toml", changes)
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        if ast.unparse(call.func).endswith(("meterstorm_runner", "meterstorm_scenario")):
            assert {word.arg for word in call.keywords} <= KNOWN


EXTERNAL: Final = (
    'target.kind="external"',
    'target.push={host="127.0.0.1", port=4059}',
    'target.read_back.kind="sql"',
    'target.read_back.url="sqlite:////readings.db"',
    'target.read_back.query="SELECT 1"',
)


def test_every_scenario_is_told_of_and_keeps_to_the_size_of_a_laptop() -> None:
    assert {path.stem for path in SCENARIOS.glob("*.toml")} == set(FAULTS)
    for fault in FAULTS:
        scenario = Scenario.load(SCENARIOS / f"{fault}.toml")
        assert f"| `{fault}` |" in PAGE.read_text()
        assert scenario.grid.transformer_stations <= 100
        assert scenario.span_s / scenario.speed <= 60


def test_the_reference_names_every_option_and_argument() -> None:
    text = REFERENCE.read_text()
    assert set(re.findall(r"`--meterstorm-([a-z]+)", text)) == {name for name, *_ in OPTIONS}
    assert set(KNOWN) <= set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
