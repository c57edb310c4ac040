"""What a comparison found, in the words and figures that its views share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from reports.compare.comparable import Difference
from reports.compare.comparison import Comparison, Judgement, Outcome, Row
from reports.compare.noise import Unit
from reports.text import count, counted, figure, octets, seconds, share

__all__ = [
    "against",
    "answer",
    "band",
    "change",
    "differing",
    "shown",
    "silent",
    "unmeasured",
    "value",
]

_ANSWERS: Final = {
    Outcome.SAME: "B is no different from A",
    Outcome.BETTER: "B is better than A",
    Outcome.WORSE: "B is worse than A",
    Outcome.CANNOT_TELL: "Nothing can be said",
}

_RANK: Final = {Judgement.WORSE: 0, Judgement.BETTER: 1, Judgement.UNCLEAR: 2}


def answer(comparison: Comparison) -> str:
    """Return the answer in a few words."""
    return _ANSWERS[comparison.outcome]


def shown(comparison: Comparison) -> list[Row]:
    """Return the rows worth a line, what moved first."""
    rows = [row for row in comparison.rows if not _is_silent(row) and not row.why]
    return sorted(rows, key=lambda row: _RANK.get(row.judgement, len(_RANK)))


def silent(comparison: Comparison) -> str:
    """Say which counts are zero in both; empty where there are none."""
    names = [row.figure for row in comparison.rows if _is_silent(row)]
    return f"zero in both: {', '.join(names)}" if names else ""


def unmeasured(comparison: Comparison) -> str:
    """Say which figures could not be held against their band; empty where there are none."""
    by_reason: dict[str, list[str]] = {}
    for row in comparison.rows:
        if row.why:
            by_reason.setdefault(row.why, []).append(row.figure)
    told = [f"{', '.join(names)} ({why})" for why, names in by_reason.items()]
    return f"not compared: {'; '.join(told)}" if told else ""


def _is_silent(row: Row) -> bool:
    is_exact = row.rule.noise is None
    return is_exact and row.before == row.after == 0 and row.judgement is not Judgement.WORSE


def value(row: Row, number: float) -> str:
    """Return a number of ``row`` in its unit."""
    match row.rule.unit:
        case Unit.COUNT:
            return count(number)
        case Unit.SHARE:
            return share(number, 1.0)
        case Unit.SECONDS:
            return seconds(number)
        case Unit.MEBIBYTES:
            return octets(number * (1 << 20))
        case Unit.OCTETS:
            return octets(number)
        case Unit.PER_SECOND:
            return f"{figure(number)}/s"


def change(row: Row) -> str:
    """Return how far B is from A: ``+31 %``; empty where A is zero."""
    return "" if row.change is None else _signed(row.change)


def band(row: Row) -> str:
    """Return the band within which B is the same, such as ``-14 ... +16 %``."""
    if row.low is None or row.high is None:
        return ""
    if row.low == row.high:
        return "exact"
    if not row.before or row.low < 0:
        return f"to {value(row, row.high)}"
    return f"{_signed(row.low / row.before - 1)} ... {_signed(row.high / row.before - 1)}"


def _signed(part: float) -> str:
    percent = 0.0 if abs(part) < 0.0005 else 100 * part  # no minus before a zero
    return f"{percent:+.0f} %" if abs(percent) >= 9.95 else f"{percent:+.1f} %"


def against(names: Sequence[str]) -> str:
    """Return what A is called."""
    return names[0] if len(names) == 1 else f"{counted(len(names), 'run')} of a baseline"


def differing(differences: Sequence[Difference]) -> list[str]:
    """Return a line on each difference, in their order."""
    return [
        f"{one.key}: {one.before or 'nothing'} in A, {one.after or 'nothing'} in B"
        for one in differences
    ]
