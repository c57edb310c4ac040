"""The options of a netem queueing discipline, complete.

pyroute2's own netem options ignore the distribution, refuse every rate and leave out whatever is
zero, which to the kernel means "as before". These send everything, so that a change leaves nothing
of what was there: delay and jitter in 64-bit nanoseconds, the distribution as a table, the loss
law, the correlations (always none), the rate, and a seed, which kernels before 6.6 pass over.

A table also serves the uniform distribution, because the kernel has no way to take a table back.
The layout is ``linux/pkt_sched.h``'s ``tc_netem_qopt`` and its attributes.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any, Final

from pyroute2.netlink import nla

from netem.lab import LabError
from netem.model.delay import NANOSECONDS, unit_table
from netem.profiles import LONGEST_JITTER_S, GilbertElliottLoss, LinkDirection, RandomLoss

MILLION: Final = 1_000_000
_WHOLE: Final = 2**32 - 1
_ORDERLY_RATE: Final = 1_250_000_000
"""Octets per second that cost nothing (10 Gbit/s), for a rate that is there to keep order."""


class NetemOptions(nla):  # type: ignore[misc]
    """``TCA_OPTIONS`` of netem."""

    fields = (
        ("delay", "I"),
        ("limit", "I"),
        ("loss", "I"),
        ("gap", "I"),
        ("duplicate", "I"),
        ("jitter", "I"),
    )
    nla_map = (
        ("TCA_NETEM_UNSPEC", "none"),
        ("TCA_NETEM_CORR", "correlations"),
        ("TCA_NETEM_DELAY_DIST", "cdata"),
        ("TCA_NETEM_REORDER", "none"),
        ("TCA_NETEM_CORRUPT", "none"),
        ("TCA_NETEM_LOSS", "loss_model"),
        ("TCA_NETEM_RATE", "serialisation"),
        ("TCA_NETEM_ECN", "none"),
        ("TCA_NETEM_RATE64", "uint64"),
        ("TCA_NETEM_PAD", "none"),
        ("TCA_NETEM_LATENCY64", "int64"),
        ("TCA_NETEM_JITTER64", "int64"),
        ("TCA_NETEM_SLOT", "none"),
        ("TCA_NETEM_SLOT_DIST", "none"),
        ("TCA_NETEM_PRNG_SEED", "uint64"),
    )

    class correlations(nla):  # type: ignore[misc]
        """``tc_netem_corr``."""

        fields = (("delay", "I"), ("loss", "I"), ("duplicate", "I"))

    class serialisation(nla):  # type: ignore[misc]
        """``tc_netem_rate``."""

        fields = (("rate", "I"), ("overhead", "i"), ("cell_size", "I"), ("cell_overhead", "i"))

    class loss_model(nla):  # type: ignore[misc]
        """Loss in bursts."""

        nla_map = (
            ("NETEM_LOSS_UNSPEC", "none"),
            ("NETEM_LOSS_GI", "none"),
            ("NETEM_LOSS_GE", "gilbert_elliott"),
        )

        class gilbert_elliott(nla):  # type: ignore[misc]
            """``tc_netem_gemodel``; ``h`` is the share that passes while bad."""

            fields = (("p", "I"), ("r", "I"), ("h", "I"), ("k1", "I"))


def netem_options(direction: LinkDirection, limit: int, *, in_order: bool) -> dict[str, Any]:
    """Return the options for ``direction``, all but the seed, as pyroute2 encodes them.

    Args:
        direction: what to do to packets; its packet rate is another discipline's work.
        limit: packets that may be under way.
        in_order: whether no packet may overtake another; without it each delay stands for itself,
            unless the direction has a rate.

    Raises:
        LabError: the kernel has no such thing.
    """
    if direction.jitter > LONGEST_JITTER_S:
        raise LabError(
            f"the kernel's netem knows no jitter above {LONGEST_JITTER_S:.3f} s",
            "use a profile with less, or another link tier",
        )
    rate = 0 if direction.rate is None else max(1, round(direction.rate / 8))
    if in_order and direction.jitter and not rate:
        rate = _ORDERLY_RATE
    attributes: list[list[Any]] = [
        ["TCA_NETEM_LATENCY64", round(direction.latency * NANOSECONDS)],
        ["TCA_NETEM_JITTER64", round(direction.jitter * NANOSECONDS)],
        ["TCA_NETEM_CORR", {"delay": 0, "loss": 0, "duplicate": 0}],
        ["TCA_NETEM_RATE", {"rate": min(rate, _WHOLE), "overhead": 0}],
        ["TCA_NETEM_RATE64", rate],
    ]
    if direction.jitter:
        attributes.append(["TCA_NETEM_DELAY_DIST", _packed_table(direction.distribution)])
    loss = 0
    match direction.loss:
        case RandomLoss(share=share):
            loss = _fraction(share)
        case GilbertElliottLoss() as law:
            attributes.append(["TCA_NETEM_LOSS", {"attrs": [_gilbert_elliott(law)]}])
        case other:
            raise LabError(
                f"the kernel's netem has no loss law like {other!r}", "use another link tier"
            )
    return {"limit": limit, "loss": loss, "gap": 0, "duplicate": 0, "attrs": attributes}


def _gilbert_elliott(law: GilbertElliottLoss) -> list[Any]:
    chances = {
        "p": _fraction(law.to_bad),
        "r": _fraction(law.to_good),
        "h": _fraction(MILLION - law.in_bad),
        "k1": _fraction(law.in_good),
    }
    return ["NETEM_LOSS_GE", chances]


def _fraction(share_ppm: int) -> int:
    """Return a share as the kernel compares it with a 32-bit draw."""
    return share_ppm * _WHOLE // MILLION


@lru_cache
def _packed_table(distribution: Any) -> bytes:  # noqa: ANN401 - a literal that is still growing
    table = unit_table(distribution)
    return struct.pack(f"={len(table)}h", *table)
