"""Quantities with units: what is read, what is refused, what is written back."""

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from netem.units import BitRate, ByteSize, Duration, EnergyWh, PartsPerMillion


class Quantities(BaseModel):
    latency: Duration = 0.0
    share: PartsPerMillion = 0
    energy: EnergyWh = 0
    rate: BitRate = 1
    size: ByteSize = 1


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("latency", "600 ms", 0.6),
        ("latency", "15 min", 900.0),
        ("latency", "1h", 3600.0),
        ("share", "30 %", 300_000),
        ("share", "0.1 %", 1_000),
        ("share", "12 ppm", 12),
        ("energy", "3_500 kWh", 3_500_000),
        ("energy", "0.5 kWh", 500),
        ("rate", "180 kbit/s", 180_000),
        ("size", "64 KiB", 65_536),
    ],
)
def test_reads(field: str, text: str, value: float) -> None:
    assert getattr(Quantities.model_validate({field: text}), field) == value


@pytest.mark.parametrize(
    ("field", "text", "mend"),
    [
        ("latency", 600, 'write "600 us"'),
        ("latency", "600", "write a number and a unit"),
        ("latency", "-1 s", "greater than or equal to 0"),
        ("latency", "1 fortnight", "us, ms, s, min, h, d"),
        ("share", "130 %", "less than or equal to 1000000"),
        ("share", 0.3, "a unit is missing"),
        ("share", "0.00001 %", "finer than 1 ppm"),
        ("energy", "-1 kWh", "greater than or equal to 0"),
        ("rate", "0 bit/s", "greater than 0"),
    ],
)
def test_refuses_with_the_mend(field: str, text: object, mend: str) -> None:
    with pytest.raises(ValidationError, match=mend):
        Quantities.model_validate({field: text})


def test_a_dump_loads_again() -> None:
    first = Quantities.model_validate(
        {"latency": "0.1 ms", "share": "33 %", "energy": "7 Wh", "rate": "9 Mbit/s", "size": "5 B"}
    )
    assert Quantities.model_validate_json(first.model_dump_json()) == first


@pytest.mark.parametrize("value", [5e-05, 1e-9, 0.0, 0.25, 86_400.0, 1e9])
def test_what_is_written_is_read_back(value: float) -> None:
    duration = TypeAdapter(Duration)
    assert duration.validate_json(duration.dump_json(value)) == value
