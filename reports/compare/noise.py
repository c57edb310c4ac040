"""How much runs of the same build differ: what a figure may move before that means anything.

Every figure has a *rule*: which way is better, and a floor for the noise between runs, relative
and absolute, measured over runs of one build on a shared machine (docs/howto/compare-runs.md says
how, and what came out). A baseline of several runs has their own spread instead, and whoever knows
better says so with a pattern and a share.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final

__all__ = ["SPREAD_RUNS_MIN", "Rule", "Unit", "least_spread", "noise_of", "rule_of", "spread"]


class Unit(StrEnum):
    """What a figure counts; all in base units."""

    COUNT = "count"
    SHARE = "share"
    SECONDS = "s"
    MEBIBYTES = "MiB"
    OCTETS = "octets"
    PER_SECOND = "1/s"


@dataclass(frozen=True, slots=True)
class Rule:
    """How figures of one kind are compared.

    Attributes:
        pattern: which figures, with ``*``.
        unit: what they count.
        noise: relative floor for the noise between runs; None: exact, no noise at all.
        least: absolute floor, in the unit of the figure; who gives a share of noise does without.
        more_is_better: which way is better.
        decides: whether a worse one makes the run worse; what the test itself takes does not.
        by_own_cpu: whether it is held against the CPU time of the test itself. That does the same
            work in both runs, so where it took more, the machine was slower.
    """

    pattern: str
    unit: Unit
    noise: float | None = None
    least: float = 0.0
    more_is_better: bool = False
    decides: bool = True
    by_own_cpu: bool = False


RULES: Final[tuple[Rule, ...]] = (
    Rule("readings.late", Unit.SHARE, noise=0.25, least=0.01),
    Rule("readings.*", Unit.COUNT),
    Rule("checks.failed", Unit.COUNT),
    Rule("alarms.*", Unit.COUNT),
    Rule("commands.*", Unit.COUNT),
    Rule("*.latency.*", Unit.SECONDS, noise=0.15, least=0.01),
    Rule("registrations.nodes", Unit.COUNT, more_is_better=True),
    Rule("registrations.missing.*", Unit.COUNT),
    Rule("registrations.storm.*", Unit.SECONDS, noise=0.25, least=0.5),
    Rule("registrations.*", Unit.COUNT, noise=0.25, least=10),
    Rule("throughput.*", Unit.PER_SECOND, noise=0.02, more_is_better=True),
    Rule("generator.lag", Unit.SECONDS, noise=1.0, least=0.3, decides=False),
    Rule("resources.store.size", Unit.OCTETS, noise=0.1, least=1 << 20),
    Rule("resources.fleet.cpu", Unit.SECONDS, noise=0.5, least=1.5, decides=False),
    Rule("resources.run.cpu", Unit.SECONDS, noise=0.5, least=1.5, decides=False),
    Rule("resources.locust.cpu", Unit.SECONDS, noise=0.5, least=1.5, decides=False),
    Rule("resources.fleet.memory", Unit.MEBIBYTES, noise=0.1, least=8, decides=False),
    Rule("resources.run.memory", Unit.MEBIBYTES, noise=0.1, least=8, decides=False),
    Rule("resources.locust.memory", Unit.MEBIBYTES, noise=0.1, least=8, decides=False),
    Rule("resources.*.cpu", Unit.SECONDS, noise=0.3, least=1.0, by_own_cpu=True),
    Rule("resources.*.memory", Unit.MEBIBYTES, noise=0.1, least=8),
)
"""The first that matches holds."""

SPREAD_RUNS_MIN: Final = 3
"""Runs from which their spread says more than a floor measured elsewhere."""

_LEAST_SPREAD: Final = 0.03
"""Runs may agree by luck: no band from a spread is narrower."""

_STUDENT: Final = (
    *(9.925, 5.841, 4.604, 4.032, 3.707, 3.499, 3.355, 3.250, 3.169),
    *(3.106, 3.055, 3.012, 2.977, 2.947, 2.921, 2.898, 2.878, 2.861),
)
"""Student's t, two-sided 99 %, of 2 to 19 degrees of freedom: any table of it."""


def rule_of(figure: str) -> Rule:
    """Return how ``figure`` is compared."""
    return next(rule for rule in RULES if fnmatchcase(figure, rule.pattern))


def noise_of(figure: str, given: Mapping[str, float]) -> float | None:
    """Return what the last pattern of ``given`` that matches ``figure`` says; None: none does."""
    matching = [share for pattern, share in given.items() if fnmatchcase(figure, pattern)]
    return matching[-1] if matching else None


def spread(values: Sequence[float]) -> float:
    """Return how far one more value may lie from the mean of ``values``, at least three of them.

    A prediction interval of the normal distribution: t s sqrt(1 + 1/k).
    """
    runs = len(values)
    student = _STUDENT[min(runs - SPREAD_RUNS_MIN, len(_STUDENT) - 1)]
    return student * statistics.stdev(values) * math.sqrt(1 + 1 / runs)


def least_spread(given: float | None) -> float:
    """Return the relative floor under a band from a spread; one that was asked for counts."""
    return _LEAST_SPREAD if given is None else given
