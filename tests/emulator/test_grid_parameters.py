"""What a scenario may say about the grid, and what it is told when it may not."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from emulator.grid_parameters import GridParameters, band_quarters
from emulator.parameters import WHOLE_PPM


def test_the_number_of_stations_is_all_a_scenario_must_say() -> None:
    grid = GridParameters(transformer_stations=1)
    assert [link.profile for link in grid.links] == ["seed-1", "seed-2", "seed-3", "seed-4"]
    assert grid.protocols.dlms == WHOLE_PPM


def test_a_dumped_model_loads_again() -> None:
    grid = GridParameters(transformer_stations=3)
    assert GridParameters.model_validate_json(grid.model_dump_json()) == grid


def test_every_field_of_the_schema_is_described() -> None:
    schema = GridParameters.model_json_schema()
    for part in (schema, *schema["$defs"].values()):
        for name, field in part["properties"].items():
            assert field.get("description"), name


SIZE = {"name": "a", "meters": [1, 2], "share": "100 %"}
PATTERN = {"name": "a", "source": "bdew:h0", "share": "100 %"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"transformer_stations": 0}, "greater than or equal to 1"),
        ({"transformer_stations": 200_001}, "less than or equal to 200000"),
        ({"meterz": 5}, "Extra inputs are not permitted"),
        ({"sizes": [SIZE | {"share": "90 %"}]}, "the shares in sizes sum to 90 %, not to 100 %"),
        ({"sizes": [SIZE, SIZE]}, "the shares in sizes sum to 200 %"),
        ({"sizes": [SIZE | {"meters": [5, 2]}]}, "5 is above 2"),
        ({"sizes": [SIZE | {"meters": [-5, 2]}]}, "greater than or equal to 1"),
        ({"sizes": [SIZE], "meters": 21}, "10 stations of these sizes hold 10 to 20"),
        ({"patterns": [PATTERN | {"source": "bdew:h26"}]}, '"bdew:h26" is no consumption'),
        ({"patterns": [PATTERN | {"source": "sun:50.0"}]}, "is no consumption pattern"),
        ({"patterns": [PATTERN | {"export": "bdew:p25"}]}, "consumption only"),
        ({"patterns": [PATTERN | {"export": "sun:90.0"}]}, "-66.0 to 66.0"),
        ({"patterns": [PATTERN | {"values": [1] * 96}]}, "either a source or 96 values"),
        ({"patterns": [{"name": "a", "share": "100 %"}]}, "either a source or 96 values"),
        ({"patterns": [PATTERN | {"source": None, "values": [1] * 95}]}, "at least 96 items"),
        ({"patterns": [PATTERN | {"source": None, "values": [0] * 96}]}, "all zero"),
        ({"patterns": [PATTERN | {"annual": ["5 kWh", "1 kWh"]}]}, "5000 is above 1000"),
        ({"patterns": [PATTERN | {"annual": ["5 kWh", "2000 MWh"]}]}, "less than or equal to"),
        ({"tariffs": [{"name": "a", "high": ["6-22"], "share": "100 %"}]}, "no time band"),
        (
            {"tariffs": [{"name": "a", "high": ["06:00-12:00", "11:45-13:00"], "share": "100 %"}]},
            'the bands of tariff "a" overlap',
        ),
        ({"protocols": {"dlms": "50 %"}}, "dlms and c12 sum to 50 %"),
        ({"protocols": {"dlms": 1}}, "a unit is missing"),
    ],
)
def test_an_impossible_grid_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        GridParameters.model_validate({"transformer_stations": 10, **changes})
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("band", "quarters"),
    [
        ("00:00-24:00", list(range(96))),
        ("06:00-06:30", [24, 25]),
        ("23:45-00:15", [95, 0]),
        ("23:45-00:00", [95]),
    ],
)
def test_a_band_is_a_list_of_quarter_hours(band: str, quarters: list[int]) -> None:
    assert band_quarters(band) == quarters


def test_an_empty_band_is_refused() -> None:
    with pytest.raises(ValueError, match="is empty"):
        band_quarters("06:00-06:00")
