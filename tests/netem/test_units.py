"""Quantities with units: what is read, what is refused, what is written back."""

from typing import Annotated

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from netem.units import BitRate, ByteSize, Duration, EnergyWh, PartsPerMillion, Spelled


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


class Pair:
    """Two numbers that people write with a stroke between them."""

    def __init__(self, value: object) -> None:
        if isinstance(value, Pair):
            self.numbers: tuple[int, int] = value.numbers
            return
        if not isinstance(value, str) or value.count("/") != 1:
            raise ValueError('write "1/2"')
        one, other = value.split("/")
        self.numbers = int(one), int(other)

    def __str__(self) -> str:
        return "{}/{}".format(*self.numbers)


class Spelling(BaseModel):
    pair: Annotated[Pair, Spelled(Pair, "^[0-9]+/[0-9]+$", "1/2")] | None = None


def test_a_value_of_its_own_type_is_read_from_text_and_written_back() -> None:
    read = Spelling.model_validate({"pair": "3/4"})
    assert read.pair is not None
    assert read.pair.numbers == (3, 4)
    assert Spelling.model_validate({"pair": read.pair}).pair is not None
    assert read.model_dump_json() == '{"pair":"3/4"}'
    assert read.model_dump()["pair"] is read.pair
    assert Spelling.model_validate_json(read.model_dump_json()).pair is not None
    assert Spelling().model_dump_json() == '{"pair":null}'
    with pytest.raises(ValidationError, match='write "1/2"'):
        Spelling.model_validate({"pair": "3"})
    text = {"type": "string", "pattern": "^[0-9]+/[0-9]+$", "examples": ["1/2"]}
    assert text in Spelling.model_json_schema()["properties"]["pair"]["anyOf"]
