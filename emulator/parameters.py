"""What parameters of both generators are made of: categories with shares, ranges, and their bounds.

Every share is an integer in parts per million, so "sums to 100 %" is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Protocol

from pydantic import BaseModel, ConfigDict, Field

WHOLE_PPM: Final = 1_000_000
DAY_S: Final = 86_400
QUARTER_S: Final = 900
QUARTERS: Final = 96
STEPS_MAX: Final = 100_000

Name = Annotated[str, Field(min_length=1, max_length=60)]


class Parameters(BaseModel):
    """A part of what a scenario says; attribute docstrings are the descriptions in its schema."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Shared(Protocol):
    """A category of things."""

    @property
    def share(self) -> int:
        """How much of all belongs to it, parts per million."""


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


def percent(ppm: int) -> str:
    """Return parts per million as people write them."""
    return f"{ppm / 10_000:g} %"


def require_whole(name: str, categories: Sequence[Shared]) -> None:
    """Raise `ValueError` where categories are not all there is, or more."""
    total = sum(category.share for category in categories)
    if total != WHOLE_PPM:
        raise ValueError(f"the shares in {name} sum to {percent(total)}, not to 100 %")


def require_range(name: str, bounds: tuple[int, int]) -> None:
    """Raise `ValueError` where a range is upside down."""
    if bounds[0] > bounds[1]:
        raise ValueError(f"{name} runs from low to high: {bounds[0]} is above {bounds[1]}")
