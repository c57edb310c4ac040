"""Quantities with units, as people write them in scenarios and link profiles.

Each type is a pydantic annotation: ``"600 ms"`` in a file becomes ``0.6`` in the model. A bare
number is refused, because its unit would be a guess. A model dumped as JSON writes the base unit
out (``"0.6 s"``), so it loads again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Annotated, Final

from pydantic import (
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic_core import core_schema

_QUANTITY: Final = re.compile(r"\s*([-+]?[0-9][0-9_]*(?:\.[0-9]+)?)\s*([^\s0-9].*?)\s*")

DURATION_S: Final = {
    "us": Decimal("0.000001"),
    "ms": Decimal("0.001"),
    "s": Decimal(1),
    "min": Decimal(60),
    "h": Decimal(3600),
    "d": Decimal(86400),
}
SHARE_PPM: Final = {"ppm": Decimal(1), "%": Decimal(10_000), "‰": Decimal(1_000)}
ENERGY_WH: Final = {"Wh": Decimal(1), "kWh": Decimal(1_000), "MWh": Decimal(1_000_000)}
BIT_RATE: Final = {
    "bit/s": Decimal(1),
    "kbit/s": Decimal(1_000),
    "Mbit/s": Decimal(1_000_000),
    "Gbit/s": Decimal(1_000_000_000),
}
BYTE_SIZE: Final = {
    "B": Decimal(1),
    "kB": Decimal(1_000),
    "KiB": Decimal(1_024),
    "MB": Decimal(1_000_000),
    "MiB": Decimal(1_048_576),
}


def parse_quantity(text: str, units: Mapping[str, Decimal]) -> Decimal:
    """Return the quantity in ``text`` in the base unit of ``units``.

    Raises:
        ValueError: ``text`` is no number followed by one of the units; the message lists them.
    """
    wanted = f'write a number and a unit ({", ".join(units)}), such as "5 {next(iter(units))}"'
    match = _QUANTITY.fullmatch(text)
    if match is None or match[2] not in units:
        raise ValueError(wanted)
    try:
        return Decimal(match[1].replace("_", "")) * units[match[2]]
    except InvalidOperation:
        raise ValueError(wanted) from None


def _reader(units: Mapping[str, Decimal]) -> Callable[[object], Decimal]:
    def read(value: object) -> Decimal:
        if not isinstance(value, str):
            unit = next(iter(units))
            raise ValueError(f'a unit is missing: write "{value} {unit}" or another unit')
        return parse_quantity(value, units)

    return read


def _integer_reader(units: Mapping[str, Decimal]) -> Callable[[object], int]:
    read = _reader(units)

    def read_integer(value: object) -> int:
        quantity = read(value)
        if quantity != quantity.to_integral_value():
            raise ValueError(f"{value!r} is finer than 1 {next(iter(units))}")
        return int(quantity)

    return read_integer


def _seconds(value: object) -> float:
    return float(_reader(DURATION_S)(value))


def _writer(unit: str) -> PlainSerializer:
    return PlainSerializer(
        # Never in powers of ten, which these values are not read in.
        lambda value: f"{Decimal(str(value)):f} {unit}",
        return_type=str,
        when_used="json",
    )


def _schema(units: Mapping[str, Decimal], example: str) -> WithJsonSchema:
    pattern = r"^\s*[0-9][0-9_]*(\.[0-9]+)?\s*(" + "|".join(map(re.escape, units)) + r")\s*$"
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": [example]})


@dataclass(frozen=True, slots=True)
class Spelled:
    """In ``Annotated``: a value that people write as text, and that ``str`` writes back.

    ``read`` takes text, or the value itself, and raises `ValueError` with what to write instead;
    ``pattern`` is that of the JSON Schema.
    """

    read: Callable[[object], object]
    pattern: str
    example: str

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Return how pydantic reads and writes it."""
        written = core_schema.to_string_ser_schema(when_used="json")
        return core_schema.no_info_plain_validator_function(self.read, serialization=written)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, object]:
        """Return what a schema says of it."""
        return {"type": "string", "pattern": self.pattern, "examples": [self.example]}


Duration = Annotated[
    float, BeforeValidator(_seconds), Field(ge=0), _writer("s"), _schema(DURATION_S, "600 ms")
]
"""Seconds, from text such as ``"600 ms"``, ``"15 min"``, ``"1 h"``."""

PartsPerMillion = Annotated[
    int,
    BeforeValidator(_integer_reader(SHARE_PPM)),
    Field(ge=0, le=1_000_000),
    _writer("ppm"),
    _schema(SHARE_PPM, "30 %"),
]
"""A share of a whole as integer parts per million, from text such as ``"30 %"``."""

EnergyWh = Annotated[
    int,
    BeforeValidator(_integer_reader(ENERGY_WH)),
    Field(ge=0),
    _writer("Wh"),
    _schema(ENERGY_WH, "3500 kWh"),
]
"""Watt-hours, from text such as ``"3500 kWh"``."""

BitRate = Annotated[
    int,
    BeforeValidator(_integer_reader(BIT_RATE)),
    Field(gt=0),
    _writer("bit/s"),
    _schema(BIT_RATE, "180 kbit/s"),
]
"""Bits per second, from text such as ``"180 kbit/s"``."""

ByteSize = Annotated[
    int,
    BeforeValidator(_integer_reader(BYTE_SIZE)),
    Field(gt=0),
    _writer("B"),
    _schema(BYTE_SIZE, "64 KiB"),
]
"""Octets, from text such as ``"64 KiB"``."""
