"""A loss of storage in a timeline: what it says, and when it makes no sense."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.scenario import Lose
from harness.scenario.wording import what_happens, when_in_words
from tests.support.scenario_files import SMALL, load, problems

HISTORY = f"{SMALL}speed = 300\n[behaviour]\nsteps = 4\npreloaded = 96\n".replace(
    "[grid]\ntransformer_stations = 10\nspeed = 300\n",
    "speed = 300\n[grid]\ntransformer_stations = 10\n",
)
YOUNG = HISTORY.replace("preloaded = 96\n", "")
EXTERNAL = YOUNG + (
    '[target]\nkind = "external"\npush = { host = "10.0.0.1", port = 4059 }\n'
    'read_back = { kind = "files", folder = "x" }\n'
)


def loss(*keys: str) -> str:
    return "\n".join(["[[timeline]]", 'do = "lose"', *keys, ""])


def test_history_is_lost_and_read_again_unless_told_otherwise(tmp_path: Path) -> None:
    (event,) = load(tmp_path, HISTORY + loss('at = "00:20"')).timeline
    assert isinstance(event, Lose)
    assert (event.at, event.before, event.recover, event.recover_after) == (1200, 0, True, 1)
    assert what_happens(event) == "the history lost from the store"
    assert when_in_words(event) == "at 00:20"


def test_readings_of_the_run_can_be_lost_too(tmp_path: Path) -> None:
    (event,) = load(tmp_path, YOUNG + loss('at = "00:20"', 'before = "00:16"')).timeline
    assert isinstance(event, Lose)
    assert what_happens(event) == "readings captured before 00:16 lost from the store"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (YOUNG + loss('at = "00:20"'), "timeline[0].before: there is nothing to lose"),
        (
            HISTORY + loss('at = "00:20"', 'before = "00:21"'),
            "timeline[0].before: is after the loss, at 1200 s",
        ),
        (HISTORY + loss('at = "01:00"'), "timeline[0].at: happens too late"),
        (
            HISTORY + loss('at = "00:59"', 'recover_after = "1 s"'),
            "timeline[0].recover_after: the last step is over before it is told",
        ),
        (EXTERNAL + loss('at = "00:20"', 'before = "00:10"'), "storage of an external head-end"),
        (HISTORY + loss('at = "00:20"', 'for = "1 min"'), "timeline[0].for"),
    ],
)
def test_what_makes_no_sense_is_told_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    (line,) = problems(tmp_path, text)
    assert said in line.replace("timeline.0", "timeline[0]").replace(".lose.", "."), line


def test_without_recovery_it_may_happen_late(tmp_path: Path) -> None:
    (event,) = load(tmp_path, HISTORY + loss('at = "00:59"', "recover = false")).timeline
    assert isinstance(event, Lose)
    assert not event.recover
