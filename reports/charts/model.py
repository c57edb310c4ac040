"""What the page needs to draw one chart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import numpy as np

from reports.charts.scales import FloatArray, Scale

__all__ = ["SIZE", "Band", "Chart", "Curve", "Line", "build_chart", "thin"]

SIZE: Final = 1000
"""The drawing is SIZE x SIZE units, stretched to the place it gets."""

_POINTS_MAX: Final = 480
_ROWS: Final = 16


@dataclass(frozen=True, slots=True)
class Curve:
    """Values to draw: equal lengths, x ascending, in the units of the axes.

    ``colour`` numbers the palette; 0 is the neutral ink, for what was planned.
    """

    label: str
    x: FloatArray
    y: FloatArray
    colour: int
    area: bool = False
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A curve as drawn: SVG path data, and the points for whoever hovers over them."""

    label: str
    colour: int
    dashed: bool
    path: str
    area: str
    points: tuple[tuple[float, float], ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch of the x axis: a fault, or a phase of the run. ``low`` and ``high`` are places.

    Bands of one name are occurrences of one thing; the first of them has the text for all.
    """

    name: str
    text: str
    low: float
    high: float
    what: str = ""
    """What it is in a word or two."""
    lane: int = 0
    is_named: bool = True
    """Whether there is room for its name."""


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart, ready to be drawn, and its figures as a table.

    ``unit`` names how values read ("count", "seconds", "octets", "cores", "rate").
    """

    key: str
    title: str
    note: str
    unit: str
    y_title: str
    x: Scale
    y: Scale
    lines: tuple[Line, ...]
    bands: tuple[Band, ...]
    phases: tuple[Band, ...]
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def legend(self) -> tuple[Line, ...]:
        """The lines as a reader looks for them: what is drawn last lies on top and comes first."""
        return self.lines[::-1] if self.lines and self.lines[0].area else self.lines

    @property
    def lanes(self) -> int:
        """How many lanes the bands take."""
        return max((band.lane + 1 for band in self.bands), default=0)

    @property
    def washes(self) -> tuple[tuple[float, float], ...]:
        """Where any band lies, those that overlap joined: (low, high), ascending."""
        joined: list[tuple[float, float]] = []
        for band in sorted(self.bands, key=lambda band: band.low):
            if joined and band.low <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(joined[-1][1], band.high))
            else:
                joined.append((band.low, band.high))
        return tuple(joined)

    @property
    def hover(self) -> dict[str, Any]:
        """What the page's script needs to show values under the pointer."""
        lines = [{"label": x.label, "colour": x.colour, "points": x.points} for x in self.legend]
        axis = {"kind": self.x.kind, "low": self.x.low, "high": self.x.high}
        return {"unit": self.unit, "x": axis, "lines": lines}


def build_chart(
    *,
    key: str,
    title: str,
    note: str,
    unit: str,
    y_title: str,
    x: Scale,
    y: Scale,
    curves: Sequence[Curve],
    text: Callable[[float], str],
    x_text: Callable[[float], str],
    table_x: FloatArray | None = None,
    bands: tuple[Band, ...] = (),
    phases: tuple[Band, ...] = (),
) -> Chart:
    """Lay out ``curves`` on two axes. ``table_x`` are the rows of the table, else evenly spread."""
    at = np.linspace(x.low, x.high, _ROWS) if table_x is None else table_x
    return Chart(
        key=key,
        title=title,
        note=note,
        unit=unit,
        y_title=y_title,
        x=x,
        y=y,
        lines=tuple(_draw(curve, x, y) for curve in curves),
        bands=bands,
        phases=phases,
        head=tuple(curve.label for curve in curves),
        rows=tuple(_row(value, curves, text, x_text) for value in at),
    )


def _row(
    at: float, curves: Sequence[Curve], text: Callable[[float], str], x_text: Callable[[float], str]
) -> tuple[str, ...]:
    return (x_text(at), *(_cell(at, curve, text) for curve in curves))


def _cell(at: float, curve: Curve, text: Callable[[float], str]) -> str:
    value = float(np.interp(at, curve.x, curve.y, left=np.nan, right=np.nan))
    return "" if np.isnan(value) else text(value)


def _draw(curve: Curve, x: Scale, y: Scale) -> Line:
    xs, ys = thin(curve.x, curve.y)
    across = np.round(x.place(xs) * SIZE, 1)
    down = np.round((1.0 - y.place(ys)) * SIZE, 1)
    path = "M" + "L".join(f"{a:g} {d:g}" for a, d in zip(across, down, strict=True))
    area = f"{path}V{SIZE}H{across[0]:g}Z" if curve.area else ""
    points = tuple(
        (round(float(a) / SIZE, 4), float(f"{v:.4g}")) for a, v in zip(across, ys, strict=True)
    )
    return Line(curve.label, curve.colour, curve.dashed, path, area, points)


def thin(xs: FloatArray, ys: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return at most some hundred points that keep every peak: the least and most of each run."""
    if len(xs) <= _POINTS_MAX:
        return xs, ys
    keep = {0, len(xs) - 1}
    edges = np.linspace(0, len(xs), _POINTS_MAX // 2 + 1).astype(int)
    for start, end in pairwise(edges):
        keep.add(int(start + np.argmin(ys[start:end])))
        keep.add(int(start + np.argmax(ys[start:end])))
    chosen = np.array(sorted(keep))
    return xs[chosen], ys[chosen]
