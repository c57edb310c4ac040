"""What a scenario says about the grid and its behaviour: the parameters of both generators.

The lists are those of the grid topology generator and the grid behaviour generator. Every share is
an integer in parts per million, so "sums to 100 %" is exact. The attribute docstrings are the
descriptions in the scenario's JSON Schema.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, Literal, Protocol, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from netem.units import Duration, EnergyWh, PartsPerMillion

WHOLE_PPM: Final = 1_000_000
DAY_S: Final = 86_400
QUARTER_S: Final = 900
QUARTERS: Final = 96
METERS_MAX: Final = 20_000_000
ANNUAL_WH_MAX: Final = 1_000_000_000
STEPS_MAX: Final = 100_000
SPAN_DAYS_MAX: Final = 3 * 366

_BAND: Final = re.compile(r"([01]\d|2[0-3]):(00|15|30|45)-(([01]\d|2[0-3]):(00|15|30|45)|24:00)")
_OFFSET: Final = re.compile(r"([+-])(0\d|1[0-4]):(00|15|30|45)")
_CONSUMPTION: Final = re.compile(r"bdew:(h0|g[0-6]|l[0-2]|[hglps]25)|csv:.+")
_FEED_IN: Final = re.compile(r"sun:(-?\d{1,2}\.\d)|csv:.+")
LATITUDE_MAX: Final = 66.0


class _Parameters(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class _Shared(Protocol):
    @property
    def share(self) -> int: ...


def apportion(total: int, shares_ppm: Sequence[int]) -> list[int]:
    """Divide ``total`` things by shares that sum to one million, exactly (largest remainder).

    30 % of 1,000 is 300. Where a share is no whole number of things, the largest remainders are
    rounded up; among equal ones the earlier share wins.
    """
    counts = [total * share // WHOLE_PPM for share in shares_ppm]
    remainders = [total * share % WHOLE_PPM for share in shares_ppm]
    order = sorted(range(len(counts)), key=lambda index: (-remainders[index], index))
    for index in order[: total - sum(counts)]:
        counts[index] += 1
    return counts


def _percent(ppm: int) -> str:
    return f"{ppm / 10_000:g} %"


def _require_whole(name: str, categories: Sequence[_Shared]) -> None:
    total = sum(category.share for category in categories)
    if total != WHOLE_PPM:
        raise ValueError(f"the shares in {name} sum to {_percent(total)}, not to 100 %")


def _require_range(name: str, bounds: tuple[int, int]) -> None:
    if bounds[0] > bounds[1]:
        raise ValueError(f"{name} runs from low to high: {bounds[0]} is above {bounds[1]}")


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


def _check_first(text: str) -> str:
    if text == "auto":
        return text
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f'"{text}" is neither "auto" nor an ISO 8601 date and time') from None
    if moment.tzinfo is None or moment.microsecond:
        raise ValueError(
            f'"{text}" needs whole seconds and an offset, such as "2026-03-02T00:00:00+01:00"'
        )
    return text


def _check_offset(text: str) -> str:
    if _OFFSET.fullmatch(text) is None:
        raise ValueError(f'"{text}" is no offset from UTC: write one such as "+01:00"')
    return text


Band = Annotated[str, AfterValidator(_check_band)]
AnnualWh = Annotated[EnergyWh, Field(le=ANNUAL_WH_MAX)]
MeterCount = Annotated[int, Field(ge=1, le=10_000)]
Weight = Annotated[int, Field(ge=0, le=1_000_000)]
Name = Annotated[str, Field(min_length=1, max_length=60)]


class StationSize(_Parameters):
    """A category of transformer stations by their number of meters."""

    name: Name
    """What reports call the category."""
    meters: tuple[MeterCount, MeterCount]
    """Fewest and most meters of a station; uniform between the two."""
    share: PartsPerMillion
    """Share of the transformer stations."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        _require_range("meters", self.meters)
        return self


class ConsumptionPattern(_Parameters):
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
        _require_range("annual", self.annual)
        _require_range("export_annual", self.export_annual)
        return self


class Tariff(_Parameters):
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


class LinkShare(_Parameters):
    """A category of concentrators by their communication line."""

    profile: Name
    """Name of the link profile."""
    share: PartsPerMillion
    """Share of the concentrators."""


class ProtocolShares(_Parameters):
    """What the concentrators speak."""

    dlms: PartsPerMillion = Field("100 %", validate_default=True)
    """Share of the concentrators that speak DLMS/COSEM."""
    c12: PartsPerMillion = Field("0 %", validate_default=True)
    """Share of the concentrators that speak ANSI C12."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.dlms + self.c12 != WHOLE_PPM:
            raise ValueError(f"dlms and c12 sum to {_percent(self.dlms + self.c12)}, not to 100 %")
        return self


class AccessibilityClass(_Parameters):
    """A category of concentrators or meters by how much of the day they are reachable."""

    name: Name
    """What reports call the category."""
    share: PartsPerMillion
    """Share of the concentrators, or of the meters."""
    reachable: PartsPerMillion = Field("100 %", validate_default=True)
    """Share of the day in which one of them is reachable, exact in the long run."""
    windows_per_day: Annotated[int, Field(ge=1, le=1440)] = 4
    """Into how many windows a day that time is cut; at most the steps of a day."""


class GridParameters(_Parameters):
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
            _require_whole(name, getattr(self, name))
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


_ALWAYS: Final = ({"name": "always", "share": "100 %"},)
Accessibility = Annotated[tuple[AccessibilityClass, ...], Field(min_length=1, max_length=100)]


class BehaviourParameters(_Parameters):
    """Parameters of the grid behaviour generator."""

    mode: Literal["push", "pull"] = "push"
    """Whether concentrators push their readings or the head-end asks for them."""
    steps: Annotated[int, Field(ge=1, le=STEPS_MAX)] = 288
    """Number of steps, one reading of every meter each."""
    preloaded: Annotated[int, Field(ge=0, le=STEPS_MAX)] = 0
    """Number of steps before the first one whose readings the store already holds when the run
    begins: history that nobody lives through. Only the reference head-end can be given any."""
    step: Duration = Field("15 min", validate_default=True)
    """Time between steps: whole seconds that divide the day."""
    first: Annotated[str, AfterValidator(_check_first)] = "auto"
    """Time of the first step, ISO 8601 with an offset; "auto": the last step lies before now."""
    utc_offset: Annotated[str, AfterValidator(_check_offset)] = "+01:00"
    """The meters' local time, which tariffs and patterns follow; no daylight saving."""
    spread: PartsPerMillion = Field("50 %", validate_default=True)
    """The part of a step over which the concentrators' pushes are spread."""
    concentrators: Accessibility = Field(_ALWAYS, validate_default=True)
    """Accessibility of the concentrators from the head-end."""
    meters: Accessibility = Field(_ALWAYS, validate_default=True)
    """Accessibility of the meters from their concentrator."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.step < 1 or DAY_S % self.step:
            raise ValueError(f"a step of {self.step:g} s: whole seconds that divide the day")
        steps = self.preloaded + self.steps
        if steps * self.step > SPAN_DAYS_MAX * DAY_S:
            raise ValueError(
                f"{steps:,} steps of {self.step:g} s are {steps * self.step / DAY_S:,.0f}"
                f" days: the most is {SPAN_DAYS_MAX:,}, or registers could overflow"
            )
        for name in ("concentrators", "meters"):
            classes: tuple[AccessibilityClass, ...] = getattr(self, name)
            _require_whole(name, classes)
            for category in classes:
                limited = category.reachable < WHOLE_PPM
                if limited and category.windows_per_day > self.steps_per_day:
                    raise ValueError(
                        f'{category.windows_per_day} windows a day in {name} "{category.name}", '
                        f"but a day has {self.steps_per_day} steps"
                    )
        return self

    @property
    def step_s(self) -> int:
        """Time between steps in seconds, 1..86,400."""
        return int(self.step)

    @property
    def steps_per_day(self) -> int:
        """Steps in a day, 1..86,400."""
        return DAY_S // self.step_s

    @property
    def utc_offset_s(self) -> int:
        """What the meters' local time is ahead of UTC, in seconds."""
        hours, minutes = int(self.utc_offset[1:3]), int(self.utc_offset[4:])
        return (hours * 3600 + minutes * 60) * (-1 if self.utc_offset[0] == "-" else 1)


def first_step_s(behaviour: BehaviourParameters, now_s: float) -> int:
    """Return the POSIX time of step 0.

    With ``first = "auto"`` the steps stand on whole multiples of the step in local time, and the
    last one lies one to two steps before ``now_s``, so that a foreign system that checks time
    stamps accepts a compressed run.
    """
    if behaviour.first != "auto":
        return int(datetime.fromisoformat(behaviour.first).timestamp())
    step_s, offset_s = behaviour.step_s, behaviour.utc_offset_s
    latest_s = (int(now_s) + offset_s) // step_s * step_s - offset_s
    return latest_s - behaviour.steps * step_s
