"""What a scenario says befalls meters."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.event_kinds import TRACES, Ending, MeterEventKind
from harness.scenario import MeterEvent
from tests.support.scenario_files import SMALL, load, problems

ANSI = 'protocol = "c12"\n' + SMALL


def happening(**keys: str) -> str:
    lines = (f'{key} = "{value}"' for key, value in {"do": "event", **keys}.items())
    return "[[timeline]]\n" + "\n".join(lines) + "\n"


@pytest.mark.parametrize("kind", MeterEventKind)
def test_every_kind_of_event_can_be_told(kind: MeterEventKind, tmp_path: Path) -> None:
    keys = {"event": kind.value, "at": "00:20", "share": "5 %"}
    if TRACES[kind].ending is not Ending.NEVER:
        keys["for"] = "10 min"
    (event,) = load(tmp_path, ANSI + happening(**keys)).timeline
    assert isinstance(event, MeterEvent)
    assert (event.event, event.at, event.share) == (kind, 1200, 50_000)
    assert event.lasts == (None if TRACES[kind].ending is Ending.NEVER else 600)


FOUR_STEPS = "[behaviour]\nsteps = 4\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            SMALL + happening(event="tamper", at="1 min"),
            "x.toml:6: timeline.0.event: only meters that speak ANSI C12 raise events, "
            "and there are none",
        ),
        (
            ANSI + happening(event="tampr", at="1 min"),
            "x.toml:7: timeline.0.event: must be 'power-failure', ",
        ),
        (
            ANSI + happening(event="tamper", at="1 parsec"),
            "x.toml:8: timeline.0.at: write a number and a unit",
        ),
        (
            ANSI + happening(event="tamper", at="1 s", fro="2 s"),
            'x.toml:9: timeline.0.fro: unknown key; did you mean "for"?',
        ),
        (
            ANSI + happening(at="1 s"),
            "x.toml:5: timeline.0.event: is missing",
        ),
        (
            ANSI + happening(event="power-failure", at="1 min"),
            "x.toml:5: timeline.0.for: is missing: say how long it lasts",
        ),
        (
            ANSI + happening(event="demand-reset", at="1 min", **{"for": "2 s"}),
            'x.toml:9: timeline.0.for: "demand-reset" is over as soon as it happened',
        ),
        (
            ANSI + happening(event="tamper", at="1500 ms"),
            "x.toml:8: timeline.0.at: meters log whole seconds",
        ),
        (
            ANSI + happening(event="tamper", at="1 s", **{"for": "1 ms"}),
            "x.toml:9: timeline.0.for: meters log whole seconds",
        ),
        (
            ANSI + happening(event="tamper", at="45:01") + FOUR_STEPS,
            "x.toml:8: timeline.0.at: happens too late: the last step is over after 3600 s",
        ),
        (
            ANSI + happening(event="tamper", at="00:45:01") + FOUR_STEPS,
            "x.toml:8: timeline.0.at: no capture follows it: the last is at 2700 s",
        ),
    ],
)
def test_what_cannot_befall_a_meter_is_told(text: str, line: str, tmp_path: Path) -> None:
    (said,) = problems(tmp_path, text)
    assert said.startswith(line)


def test_a_misspelt_kind_is_recognised(tmp_path: Path) -> None:
    (said,) = problems(tmp_path, ANSI + happening(event="tampr", at="1 min"))
    assert said.endswith('did you mean "tamper"?')


def test_what_happens_at_the_last_capture_still_counts(tmp_path: Path) -> None:
    text = ANSI + happening(event="tamper", at="00:45") + FOUR_STEPS
    assert load(tmp_path, text).timeline[0].at == 2700
