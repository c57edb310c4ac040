from __future__ import annotations

from pathlib import Path

import pytest

from harness.scenario import Scenario
from tests.support.scenario_files import SMALL, load, problems

SHARES = SMALL + 'protocols = {{ dlms = "{} %", c12 = "{} %" }}\n'


def shares_of(scenario: Scenario) -> tuple[str, int, int]:
    shares = scenario.grid.protocols
    return scenario.protocol, shares.dlms // 10_000, shares.c12 // 10_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (SMALL, ("dlms", 100, 0)),
        ('protocol = "c12"\n' + SMALL, ("c12", 0, 100)),
        ('protocol = "mix"\n' + SMALL, ("mix", 50, 50)),
        (SHARES.format(30, 70), ("mix", 30, 70)),
        (SHARES.format(0, 100), ("c12", 0, 100)),
        (SHARES.format(100, 0), ("dlms", 100, 0)),
        ('protocol = "mix"\n' + SHARES.format(30, 70), ("mix", 30, 70)),
        ('protocol = "c12"\n' + SHARES.format(0, 100), ("c12", 0, 100)),
    ],
)
def test_word_and_shares_tell_each_other(
    text: str, expected: tuple[str, int, int], tmp_path: Path
) -> None:
    scenario = load(tmp_path, text)
    assert shares_of(scenario) == expected
    assert Scenario.from_resolved(scenario.resolved_json()) == scenario


@pytest.mark.parametrize("word", ["dlms", "c12", "mix"])
def test_the_command_line_can_let_any_scenario_speak_something_else(
    word: str, tmp_path: Path
) -> None:
    scenario = load(tmp_path, 'protocol = "dlms"\n' + SMALL, f"protocol={word}")
    assert shares_of(scenario)[0] == word


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            'protocol = "c12"\n' + SHARES.format(30, 70),
            'x.toml:5: grid.protocols: 30 % dlms and 70 % c12 is not protocol "c12"; '
            "leave one of the two keys out",
        ),
        (
            'protocol = "mix"\n' + SHARES.format(100, 0),
            'x.toml:5: grid.protocols: 100 % dlms and 0 % c12 is not protocol "mix"; '
            "leave one of the two keys out",
        ),
        (
            'protocol = "ansi"\n' + SMALL,
            "x.toml:1: protocol: must be 'dlms', 'c12' or 'mix'",
        ),
        (
            SHARES.format(60, 60),
            "x.toml:4: grid.protocols.dlms: dlms and c12 sum to 120 %, not to 100 %",
        ),
        ('protocol = "mix"\nname = "x"\n', "x.toml:1: grid: is missing"),
        ('protocol = "mix"\nname = "x"\ngrid = 3\n', "x.toml:3: grid: must be a table, not 3"),
    ],
)
def test_a_contradiction_names_line_and_key(text: str, line: str, tmp_path: Path) -> None:
    (said,) = problems(tmp_path, text)
    assert said == line


def test_an_override_that_contradicts_the_file_is_told(tmp_path: Path) -> None:
    (said,) = problems(tmp_path, SHARES.format(50, 50), "protocol=c12")
    assert said.startswith("x.toml:4: grid.protocols: 50 % dlms and 50 % c12 is not protocol")
