"""What a scenario says about the grid: the parameters of the grid topology generator.

The attribute docstrings are the descriptions in the scenario's JSON Schema.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator

from emulator.parameters import (
    QUARTER_S,
    QUARTERS,
    WHOLE_PPM,
    Name,
    Parameters,
    apportion,
    percent,
    require_range,
    require_whole,
)
from netem.units import EnergyWh, PartsPerMillion

METERS_MAX: Final = 20_000_000
ANNUAL_WH_MAX: Final = 1_000_000_000
LATITUDE_MAX: Final = 66.0

_BAND: Final = re.compile(r"([01]\d|2[0-3]):(00|15|30|45)-(([01]\d|2[0-3]):(00|15|30|45)|24:00)")
_CONSUMPTION: Final = re.compile(r"bdew:(h0|g[0-6]|l[0-2]|[hglps]25)|csv:.+")
_FEED_IN: Final = re.compile(r"sun:(-?\d{1,2}\.\d)|csv:.+")


def band_quarters(band: str) -> list[int]:
    """Return the quarter-hours of the day, 0..95, in a band such as ``"06:00-22:00"``.

    A band whose end lies before its begin runs over midnight.

    Raises:
        ValueError: ``band`` is no pair of quarter-hours, or is empty.
    """
    if _BAND.fullmatch(band) is None:
        raise ValueError(f'"{band}" is no time band: write quarter-hours such as "06:00-22:00"')
    begin, end = (
        (int(text[:2]) * 3600 + int(text[3:]) * 60) // QUARTER_S for text in band.split("-")
    )
    if begin == end:
        raise ValueError(f'the time band "{band}" is empty')
    return [quarter % QUARTERS for quarter in range(begin, end if end > begin else end + QUARTERS)]


def _check_band(band: str) -> str:
    band_quarters(band)
    return band


def _check_source(source: str) -> str:
    if _CONSUMPTION.fullmatch(source) is None:
        raise ValueError(
            f'"{source}" is no consumption pattern: write "bdew:" and one of h25, g25, l25, p25, '
            's25, h0, g0 to g6, l0 to l2, or "csv:" and a file of 96 values'
        )
    return source


def _check_feed_in(source: str) -> str:
    match = _FEED_IN.fullmatch(source)
    if match is None or (match[1] is not None and abs(float(match[1])) > LATITUDE_MAX):
        raise ValueError(
            f'"{source}" is no feed-in pattern: write "sun:" and a latitude with one decimal, '
            f'-{LATITUDE_MAX} to {LATITUDE_MAX}, such as "sun:50.0", or "csv:" and a file of 96 '
            "values (the BDEW profiles are consumption only)"
        )
    return source


Band = Annotated[str, AfterValidator(_check_band)]
AnnualWh = Annotated[EnergyWh, Field(le=ANNUAL_WH_MAX)]
MeterCount = Annotated[int, Field(ge=1, le=10_000)]
Weight = Annotated[int, Field(ge=0, le=1_000_000)]


class StationSize(Parameters):
    """A category of transformer stations by their number of meters."""

    name: Name
    """What reports call the category."""
    meters: tuple[MeterCount, MeterCount]
    """Fewest and most meters of a station; uniform between the two."""
    share: PartsPerMillion
    """Share of the transformer stations."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        require_range("meters", self.meters)
        return self


class ConsumptionPattern(Parameters):
    """A category of meters by what they consume and feed in over a day."""

    name: Name
    """What reports call the category."""
    source: Annotated[str, AfterValidator(_check_source)] | None = None
    """Daily pattern: "bdew:h25" and the like, or "csv:path" of a file of 96 values."""
    values: (
        Annotated[tuple[Weight, ...], Field(min_length=QUARTERS, max_length=QUARTERS)] | None
    ) = None
    """The 96 relative values of the day themselves, in place of a source."""
    annual: tuple[AnnualWh, AnnualWh] = Field(("1500 kWh", "5000 kWh"), validate_default=True)
    """Least and most consumption of a meter in a year; uniform between the two."""
    export: Annotated[str, AfterValidator(_check_feed_in)] | None = None
    """Feed-in pattern: "sun:50.0" (photovoltaics at that latitude) or "csv:path"; or none."""
    export_annual: tuple[AnnualWh, AnnualWh] = Field(
        ("3000 kWh", "9000 kWh"), validate_default=True
    )
    """Least and most feed-in of a meter in a year, where there is any."""
    share: PartsPerMillion
    """Share of the meters."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.source is None) == (self.values is None):
            raise ValueError(f'pattern "{self.name}" needs either a source or 96 values')
        if self.values is not None and not any(self.values):
            raise ValueError(f'the 96 values of pattern "{self.name}" are all zero')
        require_range("annual", self.annual)
        require_range("export_annual", self.export_annual)
        return self


class Tariff(Parameters):
    """A category of meters by how their consumption is split over rate registers."""

    name: Name
    """What reports call the category."""
    high: Annotated[tuple[Band, ...], Field(min_length=1)] = ("00:00-24:00",)
    """Bands of the day counted in rate 1; rate 2 counts the rest. The whole day: a single rate."""
    share: PartsPerMillion
    """Share of the meters."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        quarters = [quarter for band in self.high for quarter in band_quarters(band)]
        if len(quarters) != len(set(quarters)):
            raise ValueError(f'the bands of tariff "{self.name}" overlap')
        return self

    @property
    def rate_1_quarters(self) -> frozenset[int]:
        """The quarter-hours of the day, 0..95, counted in rate 1."""
        return frozenset(quarter for band in self.high for quarter in band_quarters(band))

    @property
    def two_rates(self) -> bool:
        """Whether any part of the day counts in rate 2."""
        return len(self.rate_1_quarters) < QUARTERS


class LinkShare(Parameters):
    """A category of concentrators by their communication line."""

    profile: Name
    """Name of the link profile."""
    share: PartsPerMillion
    """Share of the concentrators."""


class ProtocolShares(Parameters):
    """What the concentrators speak."""

    dlms: PartsPerMillion = Field("100 %", validate_default=True)
    """Share of the concentrators that speak DLMS/COSEM."""
    c12: PartsPerMillion = Field("0 %", validate_default=True)
    """Share of the concentrators that speak ANSI C12."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.dlms + self.c12 != WHOLE_PPM:
            raise ValueError(f"dlms and c12 sum to {percent(self.dlms + self.c12)}, not to 100 %")
        return self


class GridParameters(Parameters):
    """Parameters of the grid topology generator."""

    transformer_stations: Annotated[int, Field(ge=1, le=200_000)]
    """Number of transformer stations; each has one data concentrator."""
    meters: Annotated[int, Field(ge=1, le=METERS_MAX)] | None = None
    """Exact number of meters in all; stations are adjusted within the range of their category."""
    sizes: Annotated[tuple[StationSize, ...], Field(min_length=1, max_length=100)] = Field(
        (
            {"name": "small", "meters": (1, 20), "share": "20 %"},
            {"name": "medium", "meters": (21, 100), "share": "60 %"},
            {"name": "large", "meters": (101, 200), "share": "20 %"},
        ),
        validate_default=True,
    )
    """Categories of transformer stations by their number of meters."""
    patterns: Annotated[tuple[ConsumptionPattern, ...], Field(min_length=1, max_length=100)] = (
        Field(
            (
                {"name": "household", "source": "bdew:h25", "share": "80 %"},
                {
                    "name": "household with photovoltaics",
                    "source": "bdew:p25",
                    "export": "sun:50.0",
                    "share": "5 %",
                },
                {
                    "name": "commerce",
                    "source": "bdew:g25",
                    "annual": ("3000 kWh", "30000 kWh"),
                    "share": "12 %",
                },
                {
                    "name": "farm",
                    "source": "bdew:l25",
                    "annual": ("5000 kWh", "40000 kWh"),
                    "share": "3 %",
                },
            ),
            validate_default=True,
        )
    )
    """Daily consumption patterns and how they are distributed over the meters."""
    tariffs: Annotated[tuple[Tariff, ...], Field(min_length=1, max_length=100)] = Field(
        (
            {"name": "single rate", "share": "60 %"},
            {"name": "two rates", "high": ("06:00-22:00",), "share": "40 %"},
        ),
        validate_default=True,
    )
    """Tariff categories and how they are distributed over the meters."""
    links: Annotated[tuple[LinkShare, ...], Field(min_length=1, max_length=100)] = Field(
        tuple({"profile": f"seed-{number}", "share": "25 %"} for number in range(1, 5)),
        validate_default=True,
    )
    """Communication lines and how they are distributed over the concentrators."""
    protocols: ProtocolShares = Field({}, validate_default=True)
    """Protocols and how they are distributed over the concentrators."""
    power_quality: bool = False
    """Whether every reading also carries voltages and the frequency."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in ("sizes", "patterns", "tariffs", "links"):
            require_whole(name, getattr(self, name))
        fewest, most = self.meters_range
        if most > METERS_MAX:
            raise ValueError(f"up to {most:,} meters: the most a grid can hold is {METERS_MAX:,}")
        if self.meters is not None and not fewest <= self.meters <= most:
            raise ValueError(
                f"{self.meters:,} meters are impossible: {self.transformer_stations:,} stations "
                f"of these sizes hold {fewest:,} to {most:,}"
            )
        return self

    @property
    def meters_range(self) -> tuple[int, int]:
        """The fewest and the most meters that stations of these sizes hold together."""
        stations = apportion(self.transformer_stations, [size.share for size in self.sizes])
        pairs = list(zip(stations, self.sizes, strict=True))
        return (
            sum(count * size.meters[0] for count, size in pairs),
            sum(count * size.meters[1] for count, size in pairs),
        )
