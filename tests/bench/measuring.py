"""What the benchmarks of codecs share: the best rate of a way, and ways beside each other."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.table import Table

BUDGET_S: Final = 0.7


@dataclass(frozen=True)
class Line:
    """One measured way: units (readings, messages, ...) a second."""

    way: str
    rate: float


def timed(
    way: str, action: Callable[[], object], units: int = 1, budget_s: float = BUDGET_S
) -> Line:
    """Return the best rate within the budget, so that other work on the machine counts less.

    ``units`` is what one call of ``action`` does. The budget is CPU time of this process.
    """
    end, best_s = time.process_time() + budget_s, float("inf")
    while time.process_time() < end:
        start = time.perf_counter()
        action()
        best_s = min(best_s, time.perf_counter() - start)
    return Line(way, units / best_s)


def show(
    console: Console,
    title: str,
    lines: Sequence[Line],
    *,
    unit: str,
    base: Line | None = None,
    group: tuple[str, int] | None = None,
) -> None:
    """Print ``lines``, each as a multiple of ``base`` if there is one.

    ``group``: what the time is told of, and how many units that is; a unit by default.
    """
    name, size = group or (unit, 1)
    table = Table(title=title, title_justify="left")
    table.add_column("way")
    for heading in (f"{unit}s/s", f"µs per {name}", f"times {base.way}" if base else ""):
        if heading:
            table.add_column(heading, justify="right")
    for line in lines:
        ratio = [times(line.rate / base.rate)] if base else []
        table.add_row(line.way, f"{line.rate:,.0f}", f"{size / line.rate * 1e6:,.1f}", *ratio)
    console.print(table)


def growth(small: Line, large: Line, larger: float) -> float:
    """Return with which power of its size the cost of an operation grows.

    Args:
        small: the rate at one size.
        large: the rate at a size that is ``larger`` times as large.
        larger: that factor, more than 1.
    """
    return math.log(small.rate / large.rate) / math.log(larger)


def times(ratio: float) -> str:
    """Return a ratio as text, small ones with more digits."""
    return f"{ratio:,.1f}" if ratio >= 1 else f"{ratio:.3f}"
