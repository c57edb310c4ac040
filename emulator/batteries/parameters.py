"""What a scenario says about its batteries: how many, of what kinds, over which lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)

from emulator.grid_parameters import LinkShare
from netem.units import PartsPerMillion, parse_quantity

WHOLE_PPM: Final = 1_000_000
BATTERIES_MAX: Final = 1_000_000
JBD_MAH_MAX: Final = 655_350
"""What register 03 of a JBD device can say, in steps of 10 mAh."""
JBD_MA_MAX: Final = 327_670
"""What it can say of a current, either way."""
CAPACITY_MAH: Final = {"mAh": Decimal(1), "Ah": Decimal(1_000)}
Interface: TypeAlias = Literal["jbd", "sunspec"]
INTERFACES: Final[tuple[Interface, ...]] = ("jbd", "sunspec")


def _reader(units: Mapping[str, Decimal]) -> Callable[[object], int]:
    smallest = next(iter(units))

    def read(value: object) -> int:
        if not isinstance(value, str):
            raise ValueError(f'a unit is missing: write "{value} {smallest}" or another unit')
        quantity = parse_quantity(value, units)
        if quantity != quantity.to_integral_value():
            raise ValueError(f"{value!r} is finer than 1 {smallest}")
        return int(quantity)

    return read


CapacityMah = Annotated[
    int,
    BeforeValidator(_reader(CAPACITY_MAH)),
    Field(ge=1, le=10_000_000),
    PlainSerializer(lambda value: f"{value} mAh", return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "examples": ["100 Ah"]}),
]
"""Capacity in mAh, from text such as ``"100 Ah"``; at most 10,000 Ah."""


class _Parameters(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class BatteryCategory(_Parameters):
    """A category of batteries. Ranges are drawn from uniformly, both ends included."""

    name: Annotated[str, Field(min_length=1, max_length=60)]
    """What the report calls it."""
    share: PartsPerMillion
    """Share of the batteries."""
    interface: Interface
    """What it speaks: "jbd", a JBD battery management system, or "sunspec" over Modbus TCP."""
    capacity: tuple[CapacityMah, CapacityMah] = Field(("100 Ah", "100 Ah"), validate_default=True)
    """Capacity, from least to most."""
    charge_rate: Annotated[PartsPerMillion, Field(gt=0)] = Field("50 %", validate_default=True)
    """Most that may flow in, as a share of the capacity in an hour."""
    discharge_rate: Annotated[PartsPerMillion, Field(gt=0)] = Field("50 %", validate_default=True)
    """Most that may flow out, as a share of the capacity in an hour."""
    first_charge: tuple[PartsPerMillion, PartsPerMillion] = Field(
        ("20 %", "80 %"), validate_default=True
    )
    """State of charge at the begin, from least to most."""
    efficiency: Annotated[PartsPerMillion, Field(gt=0)] = Field("100 %", validate_default=True)
    """Share of the charge that flows in that can be taken out again."""
    cells: Annotated[int, Field(ge=1, le=32)] = 16
    """Cells in series."""
    voltage: Literal["curve", "constant"] = "curve"
    """Whether the voltage at rest follows the charge. Where it is "constant", a power that is made
    of a current is that current again, however old the voltage is that it was made with."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for key in ("capacity", "first_charge"):
            low, high = getattr(self, key)
            if low > high:
                raise ValueError(f"{key} runs from least to most: {low} is above {high}")
        most_ma = self.capacity[1] * max(self.charge_rate, self.discharge_rate) // WHOLE_PPM
        if self.interface == "jbd" and (self.capacity[1] > JBD_MAH_MAX or most_ma > JBD_MA_MAX):
            raise ValueError(
                f"{self.name}: a JBD device cannot report over {JBD_MAH_MAX} mAh or"
                f' {JBD_MA_MAX} mA: lower capacity or rate, or take interface = "sunspec"'
            )
        return self


class BatteryParameters(_Parameters):
    """Parameters of the battery generator."""

    count: Annotated[int, Field(ge=1, le=BATTERIES_MAX)]
    """Number of batteries."""
    categories: Annotated[tuple[BatteryCategory, ...], Field(min_length=1, max_length=100)] = Field(
        (
            {
                "name": "home battery",
                "interface": "sunspec",
                "share": "60 %",
                "capacity": ("100 Ah", "280 Ah"),
            },
            {
                "name": "battery management system",
                "interface": "jbd",
                "share": "40 %",
                "capacity": ("40 Ah", "110 Ah"),
            },
        ),
        validate_default=True,
    )
    """Categories of batteries and how they are distributed."""
    links: Annotated[tuple[LinkShare, ...], Field(min_length=1, max_length=100)] = Field(
        tuple({"profile": f"seed-{number}", "share": "25 %"} for number in range(1, 5)),
        validate_default=True,
    )
    """Communication lines and how they are distributed over the batteries."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for key in ("categories", "links"):
            total = sum(item.share for item in getattr(self, key))
            if total != WHOLE_PPM:
                raise ValueError(f"the shares in {key} sum to {total / 10_000:g} %, not to 100 %")
        return self
