"""Two runs, or a baseline and a run, figure by figure: the same, better or worse, and why.

A figure is worse when it lies beyond its band (`reports.compare.bands`) on the wrong side. One such
figure makes the run worse, unless it is one of what the test itself takes. Runs that prove nothing,
or were asked other things, are shown side by side and not judged.
"""

from __future__ import annotations

import statistics
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import chain
from typing import Final

from reports.compare.bands import (
    MIDDLE,
    QUANTILES,
    Band,
    chance_of_share,
    few,
    latency_band,
    scalar_band,
    statistic,
)
from reports.compare.comparable import Difference, differences
from reports.compare.noise import Rule, Unit, rule_of
from reports.compare.subject import Subject

__all__ = ["Comparison", "Judgement", "Outcome", "Row", "Rules", "compare"]


_ROUNDING: Final = 1e-9


class Judgement(StrEnum):
    """What one figure says. Unclear: it moved by more than the noise, but chance could do that."""

    SAME = "same"
    BETTER = "better"
    WORSE = "worse"
    UNCLEAR = "unclear"
    UNJUDGED = "not judged"


class Outcome(StrEnum):
    """What all figures together say."""

    SAME = "same"
    BETTER = "better"
    WORSE = "worse"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure: of A (of a baseline its middle), of B, and the band within which B is the same.

    ``low`` and ``high`` are None where no band could be given; ``why`` says it.
    """

    figure: str
    rule: Rule
    before: float
    after: float
    low: float | None
    high: float | None
    judgement: Judgement
    why: str = ""

    @property
    def change(self) -> float | None:
        """B over A, less one; None where A is zero."""
        return self.after / self.before - 1 if self.before else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What a comparison found.

    Attributes:
        before: names of the run or runs of A.
        after: name of the run B.
        outcome: the answer.
        reasons: what decided it, in sentences.
        rows: all figures.
        differences: what differs between what the runs were asked and where they ran.
    """

    before: tuple[str, ...]
    after: str
    outcome: Outcome
    reasons: tuple[str, ...]
    rows: tuple[Row, ...]
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """What the user says: shares of noise by pattern of figure, and keys that may differ."""

    noise: Mapping[str, float] = field(default_factory=dict)
    allowed: Collection[str] = ()


def compare(before: Sequence[Subject], after: Subject, rules: Rules | None = None) -> Comparison:
    """Hold the run ``after`` against a run or, with several, the runs of a baseline."""
    rules = rules or Rules()
    found = differences(before[0], after, rules.allowed)
    doubts = [*_inconclusive([*before, after]), *_refusals(found)]
    rows = tuple(chain(_scalars(before, after, rules), _latencies(before, after, rules)))
    if doubts:
        rows = tuple(_doubted(row) for row in rows)
    outcome, reasons = _conclude(rows, before, after)
    return Comparison(
        before=tuple(subject.run for subject in before),
        after=after.run,
        outcome=Outcome.CANNOT_TELL if doubts else outcome,
        reasons=tuple(doubts or reasons),
        rows=rows,
        differences=tuple(found),
    )


def _inconclusive(subjects: Sequence[Subject]) -> Iterator[str]:
    for subject in subjects:
        if subject.verdict == "inconclusive":
            why = subject.reasons[0] if subject.reasons else "its figures cannot be trusted"
            yield f"{subject.run} is inconclusive: {why}"


def _refusals(found: Sequence[Difference]) -> Iterator[str]:
    for one in found:
        if one.refuses:
            told = f"{one.before or 'nothing'} in A, {one.after or 'nothing'} in B"
            yield f"{one.key} differs: {told}; --allow {one.key} compares anyway"


def _conclude(
    rows: Sequence[Row], before: Sequence[Subject], after: Subject
) -> tuple[Outcome, list[str]]:
    was_passed = all(subject.verdict == "passed" for subject in before)
    turned = (
        [f"B failed, A passed: {'; '.join(after.reasons[:3])}"]
        if was_passed and after.verdict == "failed"
        else []
    )
    deciding = [row for row in rows if row.rule.decides]
    worse = [row.figure for row in deciding if row.judgement is Judgement.WORSE]
    better = [row.figure for row in deciding if row.judgement is Judgement.BETTER]
    if turned or worse:
        return Outcome.WORSE, [*turned, *(f"{figure} is worse" for figure in worse)]
    if not any(row.judgement is not Judgement.UNJUDGED for row in rows):
        return Outcome.CANNOT_TELL, ["nothing was measured in both"]
    if better:
        return Outcome.BETTER, [f"{figure} is better" for figure in better]
    unclear = [row.figure for row in deciding if row.judgement is Judgement.UNCLEAR]
    if unclear:
        moved = f"moved by more than the noise, which chance can do: {', '.join(unclear)}"
        return Outcome.SAME, ["no figure is beyond its band", moved]
    return Outcome.SAME, ["every figure is within its band"]


def _doubted(row: Row) -> Row:
    return replace(row, low=None, high=None, judgement=Judgement.UNJUDGED)


def _scalars(before: Sequence[Subject], after: Subject, rules: Rules) -> Iterator[Row]:
    for figure, value in after.figures.items():
        values = [one.figures[figure] for one in before if figure in one.figures]
        if len(values) == len(before):
            scaled = _scaled(figure, values, before, after)
            is_share = rule_of(figure).unit is Unit.SHARE
            chance = _chance(values, before, (value, after)) if is_share else 0.0
            band = scalar_band(figure, scaled, rules.noise, chance)
            yield _row(figure, statistics.median(values), value, band)


def _chance(
    values: Sequence[float], before: Sequence[Subject], after: tuple[float, Subject]
) -> float:
    """Return how far apart chance leaves a share of the readings of A and of B."""
    value, subject = after
    draws = sum(one.exchanges() for one in before)
    return chance_of_share((statistics.fmean(values), draws), (value, subject.exchanges()))


def _scaled(
    figure: str, values: Sequence[float], before: Sequence[Subject], after: Subject
) -> list[float]:
    """Return what the runs of A would have taken where the test itself took what it took in B."""
    own = [subject.own_cpu_s for subject in before]
    if not rule_of(figure).by_own_cpu or after.own_cpu_s is None or None in own:
        return list(values)
    pairs = zip(values, own, strict=True)
    return [value * after.own_cpu_s / (own_s or after.own_cpu_s) for value, own_s in pairs]


def _latencies(before: Sequence[Subject], after: Subject, rules: Rules) -> Iterator[Row]:
    ones = [subject.distributions() for subject in before]
    lag_s = max(one.figures.get("generator.lag", 0.0) for one in (*before, after))
    for series, new in sorted(after.distributions().items()):
        old = [one[series] for one in ones if series in one]
        if len(old) < len(before):
            continue
        service, _, link = series.partition("/")
        for name in (MIDDLE, *QUANTILES):
            figure = f"{service}.latency.{name}" + (f"/{link}" if link else "")
            p = QUANTILES.get(name)
            band = latency_band(figure, p, old, new, rules.noise, lag_s)
            before_s = statistic(old[0], p).value_s if band is None else band.middle
            why = "" if band else f"{few([*old, new]):,} samples are too few"
            yield _row(figure, before_s, statistic(new, p).value_s, band, why)


def _row(figure: str, before: float, after: float, band: Band | None, why: str = "") -> Row:
    rule = rule_of(figure)
    return Row(
        figure=figure,
        rule=rule,
        before=before,
        after=after,
        low=None if band is None else band.low,
        high=None if band is None else band.high,
        judgement=_judge(after, band, more_is_better=rule.more_is_better),
        why=why,
    )


def _judge(value: float, band: Band | None, *, more_is_better: bool) -> Judgement:
    if band is None:
        return Judgement.UNJUDGED
    # On the very edge, seen from A and from B, rounding must not decide.
    slack = _ROUNDING * max(abs(value), abs(band.middle))
    if band.low - slack <= value <= band.high + slack:
        is_noise = band.floor_low - slack <= value <= band.floor_high + slack
        return Judgement.SAME if is_noise else Judgement.UNCLEAR
    is_better = (value > band.high) is more_is_better
    return Judgement.BETTER if is_better else Judgement.WORSE
