from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from harness.run.facts import IssuedCommand
from harness.run.ordered import RATES, SEGMENTS, ordered_commands
from tests.support.recorded_run import RecordedFolder

COMMANDS = {"count": 200, "window": {"from": "00:15", "for": "30 min"}}


def ordered(folder: Path, seed: int = 7) -> list[IssuedCommand]:
    run = RecordedFolder(folder, {"commands": COMMANDS, "seed": seed})
    return ordered_commands(run.prepared, lambda moment_s: round(moment_s * 1_000_000))


@pytest.fixture
def commands(tmp_path: Path) -> list[IssuedCommand]:
    return ordered(tmp_path)


def test_the_same_seed_orders_the_same(commands: list[IssuedCommand], tmp_path: Path) -> None:
    def without_times(found: list[IssuedCommand]) -> list[tuple[int, str]]:
        return [(command.meter, command.kind) for command in found]

    assert without_times(ordered(tmp_path)) == without_times(commands)
    assert without_times(ordered(tmp_path, seed=8)) != without_times(commands)


def test_each_kind_gets_its_exact_share(commands: list[IssuedCommand]) -> None:
    kinds = Counter(command.kind for command in commands)
    assert kinds == {"disconnect": 50, "reconnect": 50, "segment": 40, "tariff": 30, "time": 30}


def test_they_are_spread_evenly_over_the_window_in_order(commands: list[IssuedCommand]) -> None:
    due_s = [command.due_us / 1_000_000 for command in commands]
    assert due_s[0] == 900 + 4.5
    assert due_s[-1] == 2700 - 4.5
    assert {round(after - before, 6) for before, after in pairwise(due_s)} == {9}


def test_ids_are_unique_and_meters_exist(commands: list[IssuedCommand]) -> None:
    assert [command.id for command in commands] == list(range(200))
    assert {command.meter for command in commands} <= set(range(40))
    assert len({command.meter for command in commands}) > 30


def test_parameters_are_what_their_kind_takes(commands: list[IssuedCommand]) -> None:
    for command in commands:
        match command.kind:
            case "segment":
                assert 1 <= command.parameter >> 1 <= SEGMENTS
            case "tariff":
                assert 1 <= command.parameter <= RATES
            case "time":
                assert command.parameter > 1_700_000_000
            case _:
                assert command.parameter == 0
