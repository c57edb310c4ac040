"""Set points of a scenario: given in their order, and kept with what became of each."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

from harness.run.set_points import SetPoint, give_set_points, read_set_points, set_points
from harness.scenario.bal import Bal

BAL = Bal.model_validate(
    {
        "virtual": 2,
        "schedule": [
            {"battery": "feeder", "current": 700, "at": "00:10", "for": "90 s"},
            {"battery": "other", "current": -5, "at": "00:20", "for": "2 min"},
        ],
    }
)
POINTS = [
    SetPoint("set-point-0", "feeder", 700, 1_600_000, 1_690_000),
    SetPoint("set-point-1", "other", -5, 2_200_000, 2_320_000),
]


def test_they_are_in_milliseconds_of_scenario_time() -> None:
    assert list(set_points(BAL, 1_000)) == POINTS


async def test_what_was_taken_is_kept_and_what_was_not_is_in_doubt(tmp_path: Path) -> None:
    told: list[str] = []
    doubts: list[str] = []
    clock = count(5)

    async def tell(point: SetPoint) -> str | None:
        told.append(point.id)
        return "no such battery" if point.name == "feeder" else None

    await give_set_points(
        iter(POINTS), tell, folder=tmp_path, now_s=lambda: next(clock), doubt=doubts.append
    )
    assert told == ["set-point-0", "set-point-1"]
    assert doubts == ["set-point-0 of feeder was not scheduled: no such battery"]
    assert [(one.id, one.taken_ms) for one in read_set_points(tmp_path)] == [
        ("set-point-0", None),
        ("set-point-1", 5_000),
    ]


def test_where_none_were_given_there_are_none(tmp_path: Path) -> None:
    assert read_set_points(tmp_path) == []


@pytest.mark.parametrize("content", ["{", '[{"id": 1}]'])
def test_what_is_no_set_point_is_said(tmp_path: Path, content: str) -> None:
    (tmp_path / "set-points.json").write_text(content)
    with pytest.raises((ValueError, TypeError)):
        read_set_points(tmp_path)
