"""Whom an event of the network hits: a class of links, a region, cells, a share; from the seed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from netem.draws import mix
from netem.units import Spelled

__all__ = ["Region", "RegionText", "Whom", "chosen"]

BoolArray = NDArray[np.bool_]

_WHOLE_PPM: Final = 1_000_000
_REGION_PATTERN: Final = r"^\s*[1-9][0-9]*(\s*-\s*[1-9][0-9]*)?\s+of\s+[1-9][0-9]*\s*$"
_REGION: Final = re.compile(r"\s*([1-9][0-9]*)(?:\s*-\s*([1-9][0-9]*))?\s+of\s+([1-9][0-9]*)\s*")


@dataclass(frozen=True, slots=True)
class Region:
    """Some of ``of`` equal runs of consecutive concentrators: ``first`` to ``last``, from 1."""

    first: int
    last: int
    of: int

    @classmethod
    def parse(cls, value: object) -> Region:
        """Return the region of ``"2 of 8"`` or ``"2-4 of 8"``; raises `ValueError`."""
        if isinstance(value, Region):
            return value
        found = _REGION.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            raise ValueError('write which of how many regions, such as "2 of 8" or "2-4 of 8"')
        first, of = int(found[1]), int(found[3])
        last = int(found[2] or first)
        if last > of:
            raise ValueError(f"there is no region {last} of {of}: they count from 1 to {of}")
        if first > last:
            raise ValueError(f'regions ascend: write "{last}-{first} of {of}"')
        return cls(first, last, of)

    def __str__(self) -> str:
        """Return it as it is written."""
        which = f"{self.first}" if self.first == self.last else f"{self.first}-{self.last}"
        return f"{which} of {self.of}"


RegionText = Annotated[Region, Spelled(Region.parse, _REGION_PATTERN, "2 of 8")]


class Whom(BaseModel):
    """Which concentrators; what is left out does not narrow them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    links: tuple[str, ...] | None = None
    """Link profiles; those of every profile when ``None``."""
    region: RegionText | None = None
    """A `Region` of the grid."""
    cells: Annotated[int, Field(ge=1)] | None = None
    """The share is one of so many equal runs of consecutive concentrators, not of single ones."""
    share_ppm: Annotated[int, Field(ge=0, le=_WHOLE_PPM)] = _WHOLE_PPM
    """Share that is hit, drawn from the seed, of those that are not ruled out."""


def chosen(
    whom: Whom, profiles: Sequence[str], category: NDArray[np.integer], key: int
) -> BoolArray:
    """Return whom it hits, bool (concentrators,).

    Args:
        whom: which.
        profiles: name of each category's link profile.
        category: of each concentrator.
        key: the stream of the draws.
    """
    numbers = np.arange(len(category))
    candidates = numbers[_on_links(whom, profiles, category) & _in_region(whom.region, numbers)]
    if whom.cells is None:
        things = candidates
    else:
        things = np.unique(_run_of(candidates, len(numbers), whom.cells))
    count = (len(things) * whom.share_ppm + _WHOLE_PPM // 2) // _WHOLE_PPM
    hit = things[np.argsort(mix(key, things), kind="stable")[:count]]
    hits = np.zeros(len(numbers), np.bool_)
    if whom.cells is None:
        hits[hit] = True
    else:
        hits[candidates[np.isin(_run_of(candidates, len(numbers), whom.cells), hit)]] = True
    return hits


def _on_links(whom: Whom, profiles: Sequence[str], category: NDArray[np.integer]) -> BoolArray:
    if whom.links is None:
        return np.ones(len(category), np.bool_)
    named: BoolArray = np.array([name in whom.links for name in profiles], np.bool_)[category]
    return named


def _in_region(region: Region | None, numbers: NDArray[np.int64]) -> BoolArray:
    if region is None:
        return np.ones(len(numbers), np.bool_)
    run = _run_of(numbers, len(numbers), region.of) + 1
    return (run >= region.first) & (run <= region.last)


def _run_of(numbers: NDArray[np.int64], total: int, runs: int) -> NDArray[np.int64]:
    """Return which of ``runs`` nearly equal runs of ``total`` things each number is in, from 0."""
    return ((numbers + 1) * runs - 1) // total
