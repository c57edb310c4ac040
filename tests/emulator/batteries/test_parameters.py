"""What may be said of batteries."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from emulator.batteries.parameters import BatteryParameters


def one_category(**changes: Any) -> dict[str, Any]:
    return {"name": "pack", "share": "100 %", "interface": "jbd", **changes}


def test_a_dumped_model_loads_again() -> None:
    given = BatteryParameters.model_validate(
        {"count": 3, "categories": [one_category(capacity=("40 Ah", "110000 mAh"))]}
    )
    assert given.categories[0].capacity == (40_000, 110_000)
    assert BatteryParameters.model_validate_json(given.model_dump_json()) == given


def test_a_count_is_all_that_must_be_said() -> None:
    given = BatteryParameters(count=5)
    assert BatteryParameters.model_validate_json(given.model_dump_json()) == given


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"count": 0}, "greater than or equal to 1"),
        ({"categories": [one_category(share="90 %")]}, "categories sum to 90 %"),
        ({"links": [{"profile": "lte", "share": "90 %"}]}, "links sum to 90 %"),
        ({"categories": [one_category(capacity=(40, 50))]}, 'unit is missing: write "40 mAh"'),
        ({"categories": [one_category(capacity=("0.5 mAh", "1 Ah"))]}, "finer than 1 mAh"),
        ({"categories": [one_category(capacity=("9 Ah", "8 Ah"))]}, "9000 is above 8000"),
        ({"categories": [one_category(first_charge=("9 %", "8 %"))]}, "first_charge runs"),
        ({"categories": [one_category(charge_rate="0 %")]}, "greater than 0"),
        ({"categories": [one_category(capacity=("1 Ah", "700 Ah"))]}, "cannot report over"),
        (
            {"categories": [one_category(capacity=("1 Ah", "400 Ah"), charge_rate="90 %")]},
            "cannot report over",
        ),
    ],
)
def test_what_cannot_be_is_refused_and_named(said: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError) as refused:
        BatteryParameters.model_validate({"count": 1, **said})
    assert problem in str(refused.value)
