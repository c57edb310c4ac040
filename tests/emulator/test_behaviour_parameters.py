"""What a scenario may say about behaviour, and what it is told when it may not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from emulator.behaviour_parameters import BehaviourParameters, first_step_s


def test_a_dumped_model_loads_again() -> None:
    behaviour = BehaviourParameters()
    assert BehaviourParameters.model_validate_json(behaviour.model_dump_json()) == behaviour


def test_every_field_of_the_schema_is_described() -> None:
    schema = BehaviourParameters.model_json_schema()
    for part in (schema, *schema["$defs"].values()):
        for name, field in part["properties"].items():
            assert field.get("description"), name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "greater than or equal to 1"),
        ({"step": "7 min"}, "whole seconds that divide the day"),
        ({"step": "100 ms"}, "whole seconds that divide the day"),
        ({"step": "1 d", "steps": 1099}, "1,099 days: the most is 1,098"),
        ({"step": "1 d", "steps": 1098, "preloaded": 1}, "1,099 days: the most is 1,098"),
        ({"preloaded": -1}, "greater than or equal to 0"),
        ({"first": "yesterday"}, 'neither "auto" nor an ISO 8601'),
        ({"first": "2026-03-02T00:00:00"}, "needs whole seconds and an offset"),
        ({"utc_offset": "CET"}, '"CET" is no offset from UTC'),
        ({"meters": [{"name": "a", "share": "20 %"}]}, "the shares in meters sum to 20 %"),
        (
            {
                "meters": [
                    {"name": "a", "share": "100 %", "reachable": "5 %", "windows_per_day": 97}
                ]
            },
            '97 windows a day in meters "a", but a day has 96 steps',
        ),
    ],
)
def test_an_impossible_behaviour_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        BehaviourParameters.model_validate(changes)
    assert message in str(refusal.value)


def test_a_step_longer_than_the_default_windows_is_possible() -> None:
    assert BehaviourParameters.model_validate({"step": "12 h", "steps": 2}).steps_per_day == 2


def test_a_named_first_step_is_taken_as_written() -> None:
    behaviour = BehaviourParameters(first="2026-03-02T00:00:00+01:00")
    assert first_step_s(behaviour, now_s=0.0) == 1_772_406_000


@given(
    now_s=st.floats(1.5e9, 2.5e9),
    steps=st.integers(1, 1000),
    step_s=st.sampled_from([60, 900, 3600, 86_400]),
    offset=st.sampled_from(["+01:00", "-03:30", "+05:45", "+00:00"]),
)
def test_an_automatic_first_step_puts_the_last_one_before_now(
    now_s: float, steps: int, step_s: int, offset: str
) -> None:
    behaviour = BehaviourParameters.model_validate(
        {"steps": steps, "step": f"{step_s} s", "utc_offset": offset}
    )
    first_s = first_step_s(behaviour, now_s)
    last_s = first_s + (steps - 1) * step_s
    assert step_s <= now_s - last_s < 2 * step_s + 1
    assert (first_s + behaviour.utc_offset_s) % step_s == 0
