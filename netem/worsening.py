"""Links made worse: figures of a profile multiplied or set, in full or part of the way.

A figure is written as a factor (``"x 3"``) or as a value (``"2 s"``). A link that gets worse
little by little is so far on its way to the figures it will have, in parts per million of the way.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema

from netem.profiles import GilbertElliottLoss, LinkDirection, LinkProfile, Loss
from netem.units import BIT_RATE, DURATION_S, SHARE_PPM, parse_quantity

__all__ = ["ALL_THE_WAY", "CUT", "Times", "Worsening"]

ALL_THE_WAY: Final = 1_000_000
_FACTOR: Final = re.compile(r"\s*x\s*([0-9]+(?:\.[0-9]+)?)\s*")


@dataclass(frozen=True, slots=True)
class Times:
    """A factor on a figure."""

    factor: float

    def __str__(self) -> str:
        """Return it as it is written."""
        return f"x {self.factor:g}"


Figure = Times | float


@dataclass(frozen=True, slots=True)
class _Quantity:
    """How figures of one kind are written."""

    units: Mapping[str, Decimal]
    unit: str
    """The base unit."""
    example: str
    most: float = math.inf
    """The highest value, in the base unit."""
    must_be_more_than_nothing: bool = False

    def read(self, value: object) -> Figure:
        """Return the figure in a text; raises `ValueError` with what to write instead."""
        if isinstance(value, Times):
            return value
        factor = _FACTOR.fullmatch(value) if isinstance(value, str) else None
        figure = Times(float(factor[1])) if factor else self._number(value)
        if self.must_be_more_than_nothing and figure in (0.0, Times(0.0)):
            raise ValueError("must be more than nothing; an outage or a partition cuts a link off")
        return figure

    def _number(self, value: object) -> float:
        try:
            if not isinstance(value, str):
                raise ValueError(value)
            number = float(parse_quantity(value, self.units))
        except ValueError:
            known = ", ".join(self.units)
            wanted = f'write a factor such as "x 3", or a number and a unit ({known})'
            raise ValueError(f'{wanted} such as "{self.example}"') from None
        if not 0 <= number <= self.most:
            raise ValueError("must be 0 % to 100 %" if self.most < math.inf else "is negative")
        return number

    def written(self, figure: Figure) -> str:
        """Return the text of a figure, with all its digits and never an exponent."""
        if isinstance(figure, Times):
            return f"x {Decimal(repr(figure.factor)).normalize():f}"
        return f"{Decimal(repr(figure)).normalize():f} {self.unit}"

    @property
    def schema(self) -> WithJsonSchema:
        """The JSON Schema of such a figure."""
        known = "|".join(map(re.escape, self.units))
        pattern = rf"^\s*(x\s*[0-9]+(\.[0-9]+)?|[0-9][0-9_]*(\.[0-9]+)?\s*({known}))\s*$"
        return WithJsonSchema(
            {"type": "string", "pattern": pattern, "examples": ["x 3", self.example]}
        )

    @property
    def writer(self) -> PlainSerializer:
        """What writes it into JSON."""
        return PlainSerializer(self.written, return_type=str, when_used="json")


_DURATION: Final = _Quantity(DURATION_S, "s", "2 s")
_SHARE: Final = _Quantity(SHARE_PPM, "ppm", "10 %", most=ALL_THE_WAY)
_RATE: Final = _Quantity(BIT_RATE, "bit/s", "10 kbit/s", must_be_more_than_nothing=True)

WorseDuration = Annotated[
    Times | float, BeforeValidator(_DURATION.read), _DURATION.writer, _DURATION.schema
]
"""Seconds, or a factor on them."""
WorseShare = Annotated[Times | float, BeforeValidator(_SHARE.read), _SHARE.writer, _SHARE.schema]
"""Parts per million, or a factor on them."""
WorseRate = Annotated[Times | float, BeforeValidator(_RATE.read), _RATE.writer, _RATE.schema]
"""Bits per second, or a factor on them."""


class Worsening(BaseModel):
    """What becomes of the figures of a link; those left out stay as they are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    latency: WorseDuration | None = None
    """Of each way."""
    jitter: WorseDuration | None = None
    """Of each way; a link without jitter gets a normal distribution."""
    loss: WorseShare | None = None
    """Share of packets lost in the long run; links that lose in bursts go on losing in bursts."""
    rate: WorseRate | None = None
    """A value limits bits; a factor scales the limits on bits and on packets that a link has, and
    the capacity that it shares."""
    way: Literal["both", "up", "down"] = "both"
    """Up is from the concentrator to the head-end."""

    @property
    def does_nothing(self) -> bool:
        """Whether no figure is given."""
        return all(x is None for x in (self.latency, self.jitter, self.loss, self.rate))

    def applied(self, profile: LinkProfile, part_ppm: int = ALL_THE_WAY) -> LinkProfile:
        """Return ``profile`` made worse.

        Args:
            profile: as `LinkProfile.each_way` made it.
            part_ppm: how far on its way it is, 0 to 1,000,000. Latency, jitter and loss go evenly
                from what they were to what they become; of a rate it is the time that a bit takes.
        """
        if not part_ppm:
            return profile
        ways = ("up", "down") if self.way == "both" else (self.way,)
        worse = {way: self._direction(getattr(profile, way), part_ppm) for way in ways}
        return profile.model_copy(update=worse)

    def _direction(self, was: LinkDirection, part_ppm: int) -> LinkDirection:
        part = part_ppm / ALL_THE_WAY
        jitter = _between(was.jitter, self.jitter, part)
        distribution = was.distribution
        if not jitter:
            distribution = "constant"
        elif was.distribution == "constant":
            distribution = "normal"
        return was.model_copy(
            update={
                "latency": _between(was.latency, self.latency, part),
                "jitter": jitter,
                "distribution": distribution,
                "loss": _with_loss(was.loss, self.loss, part),
                **_rates(was, self.rate, part),
            }
        )


def _target(was: float, figure: Figure) -> float:
    return was * figure.factor if isinstance(figure, Times) else figure


def _between(was: float, figure: Figure | None, part: float) -> float:
    return was if figure is None else was + (_target(was, figure) - was) * part


def _with_loss(was: Loss, figure: Figure | None, part: float) -> Loss:
    if figure is None:
        return was
    mean = was.mean_ppm
    wanted = min(float(ALL_THE_WAY), _between(mean, figure, part))

    def worse(share_ppm: int) -> int:
        if wanted < mean:
            return round(share_ppm * wanted / mean)
        # Whatever was lost is lost, and of the rest an equal share more: that keeps bursts.
        left = (ALL_THE_WAY - wanted) / (ALL_THE_WAY - mean) if mean < ALL_THE_WAY else 0.0
        return round(ALL_THE_WAY - (ALL_THE_WAY - share_ppm) * left)

    if isinstance(was, GilbertElliottLoss):
        return was.model_copy(update={"in_bad": worse(was.in_bad), "in_good": worse(was.in_good)})
    return was.model_copy(update={"share": worse(was.share)})


def _rates(was: LinkDirection, figure: Figure | None, part: float) -> dict[str, object]:
    """Return the limits: the time that a bit or packet takes goes evenly to what it becomes."""
    if figure is None:
        return {}

    def slowed(per_s: float, target: float) -> int:
        return max(1, round(1 / ((1 - part) / per_s + part / target)))

    if not isinstance(figure, Times):
        return {"rate": slowed(was.rate or math.inf, figure)}
    limits: dict[str, object] = {}
    if was.rate:
        limits["rate"] = slowed(was.rate, was.rate * figure.factor)
    if was.packet_rate:
        packets = was.packet_rate.per_second
        per_second = slowed(packets, packets * figure.factor)
        limits["packet_rate"] = was.packet_rate.model_copy(update={"per_second": per_second})
    if was.shared:
        rate = slowed(was.shared.rate, was.shared.rate * figure.factor)
        limits["shared"] = was.shared.model_copy(update={"rate": rate})
    return limits


CUT: Final = Worsening.model_validate({"loss": "100 %"})
"""A link that loses everything: an outage, where there is no connection to break."""
