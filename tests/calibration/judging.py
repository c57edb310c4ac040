"""Whether a tier agrees with the kernel, and how far it is from it.

The kernel is run twice. What its two runs differ by is the *floor*; what is compared with the
others is both runs together, in netem order, the only one that the kernel's netem has by itself.

A tier *agrees* where its distribution cannot be told from the kernel's (KS below its critical
value), or is near enough (W1 below 5 % of the mean or below the floor). In netem order it has to.
In link order packets do not overtake each other as netem has them do. Where the distributions
differ there and agree in netem order, it is netem's reordering that they differ by, and the mean
has to stay within 10 %.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tests.calibration.distances import (
    Summary,
    critical_step,
    largest_step,
    quantile_difference,
    summary,
)
from tests.calibration.job import QUANTITIES, Order, Sample, Tier

NEAR: Final = 0.05
NEAR_IN_LINK_ORDER: Final = 0.10


@dataclass(frozen=True, slots=True)
class Comparison:
    """One tier's times of one quantity beside the kernel's.

    Attributes:
        ks: Kolmogorov-Smirnov distance.
        ks_critical: what two samples of one law of these sizes exceed in 5 % of cases.
        w1_s: mean absolute difference of quantiles.
        w1_most_s: below this the difference is small: 5 % of the kernel's mean, or the floor.
        retransmitted: segments a client sent again, per exchange; None for the connect.
        mean_difference: of the kernel's mean: 0.1 is 10 % above it.
        by_reordering: where this differs, it is by netem's reordering: in netem order the tier
            agrees.
    """

    tier: Tier
    order: Order
    here: Summary
    ks: float
    ks_critical: float
    w1_s: float
    w1_most_s: float
    retransmitted: float | None
    mean_difference: float
    by_reordering: bool = False

    @property
    def agrees(self) -> bool:
        """Whether the distributions agree."""
        return self.ks < self.ks_critical or self.w1_s < self.w1_most_s

    @property
    def accepted(self) -> bool:
        """Whether it agrees, or netem's reordering forbids it and the mean is near."""
        near = abs(self.mean_difference) <= NEAR_IN_LINK_ORDER
        return self.agrees or (self.by_reordering and near)


@dataclass(frozen=True, slots=True)
class Row:
    """One quantity of one profile: the kernel twice, and the other tiers beside it."""

    profile: str
    quantity: str
    kernel: Summary
    kernel_retransmitted: float | None
    floor_ks: float
    floor_ks_critical: float
    floor_w1_s: float
    comparisons: tuple[Comparison, ...]


def rows(
    profile: str,
    kernel: Sequence[Sample],
    others: Mapping[tuple[Tier, Order], Sample],
) -> Iterator[Row]:
    """Compare two runs of the kernel with each other, and ``others`` with both together."""
    both = Sample()
    for sample in kernel:
        both.merge(sample)
    for quantity in QUANTITIES:
        first, second = (sample.times_s[quantity] for sample in kernel)
        together = both.times_s[quantity]
        floor_s = quantile_difference(first, second)
        compared = {
            (tier, order): _compare(tier, order, sample, quantity, together, floor_s)
            for (tier, order), sample in others.items()
        }
        yield Row(
            profile=profile,
            quantity=quantity,
            kernel=summary(together),
            kernel_retransmitted=_per_exchange(both, quantity),
            floor_ks=largest_step(first, second),
            floor_ks_critical=critical_step(len(first), len(second)),
            floor_w1_s=floor_s,
            comparisons=tuple(
                replace(one, by_reordering=_is_by_reordering(one, compared))
                for one in compared.values()
            ),
        )


def _is_by_reordering(one: Comparison, compared: Mapping[tuple[Tier, Order], Comparison]) -> bool:
    in_netem_order = compared.get((one.tier, "netem"))
    return one.order == "link" and in_netem_order is not None and in_netem_order.agrees


def _compare(
    tier: Tier, order: Order, sample: Sample, quantity: str, kernel: Sequence[float], floor_s: float
) -> Comparison:
    here = sample.times_s[quantity]
    mean_s = summary(kernel).mean_s
    return Comparison(
        tier=tier,
        order=order,
        here=summary(here),
        ks=largest_step(here, kernel),
        ks_critical=critical_step(len(here), len(kernel)),
        w1_s=quantile_difference(here, kernel),
        w1_most_s=max(NEAR * mean_s, floor_s),
        retransmitted=_per_exchange(sample, quantity),
        mean_difference=summary(here).mean_s / mean_s - 1,
    )


def _per_exchange(sample: Sample, quantity: str) -> float | None:
    if quantity not in sample.retransmitted:
        return None
    return sample.retransmitted[quantity] / len(sample.times_s[quantity])
