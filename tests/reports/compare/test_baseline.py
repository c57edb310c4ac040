from __future__ import annotations

import json
from pathlib import Path

import pytest

from reports.compare import load_baseline, parse_share, save_baseline
from reports.recording import RecordError
from tests.support.compared import latencies, subject


def test_a_baseline_comes_back_as_it_was(tmp_path: Path) -> None:
    runs = (subject("a"), subject("b", latency={"push/seed-1": latencies(4)}))
    path = tmp_path / "baseline.json"
    save_baseline(path, runs, {"*.p99": "25 %"})
    back = load_baseline(path)
    assert back.runs == runs
    assert back.shares() == {"*.p99": 0.25}


def test_noise_can_be_written_into_the_file_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    save_baseline(path, [subject()], {})
    document = json.loads(path.read_text())
    document["noise"]["resources.*"] = "80%"
    path.write_text(json.dumps(document))
    assert load_baseline(path).shares() == {"resources.*": 0.8}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"noise": {"*": "a lot"}}, "'a lot' is no share"),
        ({"baseline_version": 2}, "baseline version 2, this reader knows 1"),
        ({"runs": []}, "runs: there is none"),
        ({"rnus": []}, "rnus"),
        ({"runs": [{"run": "a"}]}, "runs.0.verdict"),
        (
            {"runs": [{"run": "a", "verdict": "passed", "latency": {"push": "none"}}]},
            "no encoded histogram",
        ),
    ],
)
def test_a_damaged_baseline_is_named(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    path = tmp_path / "baseline.json"
    save_baseline(path, [subject()], {})
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(RecordError, match=message) as caught:
        load_baseline(path)
    assert str(path) in str(caught.value)


def test_text_that_is_no_json_is_named(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    path.write_text("none")
    with pytest.raises(RecordError, match="the whole value"):
        load_baseline(path)


@pytest.mark.parametrize(("text", "share"), [("15 %", 0.15), ("2.5%", 0.025), (" 100 % ", 1.0)])
def test_a_share_is_written_in_per_cent(text: str, share: float) -> None:
    assert parse_share(text) == share


@pytest.mark.parametrize("text", ["15", "-3 %", "%", "0.15", "15 % or so", "inf %"])
def test_anything_else_is_no_share(text: str) -> None:
    with pytest.raises(ValueError, match="is no share"):
        parse_share(text)
