"""A calibration as a table and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from tests.calibration.distances import Summary
from tests.calibration.job import CONNECT, Order, Outcome, Tier
from tests.calibration.judging import Comparison, Row


def table(rows: Sequence[Row], clients: int) -> Table:
    """Return ``rows`` for a terminal of 140 columns."""
    made = Table(
        title=f"Times of exchanges, {clients} clients a size; kernel: two runs together,"
        " its distances those between the two",
        title_justify="left",
    )
    for name in ("profile", "octets", "tier", "order"):
        made.add_column(name, overflow="fold")
    for name in ("mean s", "p50", "p95", "sent again", "KS", "W1", "of mean", "mean"):
        made.add_column(name, justify="right", no_wrap=True)
    made.add_column("verdict")
    for row in rows:
        is_first = row.quantity == CONNECT
        if is_first:
            made.add_section()
        made.add_row(
            row.profile if is_first else "",
            row.quantity,
            "kernel",
            "netem",
            *_summary(row.kernel, row.kernel_retransmitted),
            f"{row.floor_ks:.3f} / {row.floor_ks_critical:.3f}",
            f"{row.floor_w1_s * 1_000:.0f} ms",
            f"{row.floor_w1_s / row.kernel.mean_s:.1%}",
            "",
            "floor",
        )
        for one in row.comparisons:
            made.add_row("", "", one.tier, one.order, *_compared(one, row.kernel.mean_s))
    return made


def _summary(one: Summary, retransmitted: float | None) -> tuple[str, ...]:
    again = "" if retransmitted is None else f"{retransmitted:.2f}"
    return f"{one.mean_s:.3f}", f"{one.p50_s:.3f}", f"{one.p95_s:.3f}", again


def _compared(one: Comparison, kernel_mean_s: float) -> tuple[str, ...]:
    verdict = "agrees" if one.agrees else "near" if one.accepted else "[red]differs[/red]"
    return (
        *_summary(one.here, one.retransmitted),
        f"{one.ks:.3f} / {one.ks_critical:.3f}",
        f"{one.w1_s * 1_000:.0f} ms",
        f"{one.w1_s / kernel_mean_s:.1%}",
        f"{one.mean_difference:+.1%}",
        verdict,
    )


def document(
    rows: Sequence[Row],
    settings: Mapping[str, Any],
    kernel: Sequence[Outcome],
    others: Mapping[tuple[Tier, Order], Outcome],
) -> dict[str, Any]:
    """Return everything as JSON: the figures of the table, and the times they are made of."""
    runs = [("kernel", "netem", outcome) for outcome in kernel]
    runs += [(tier, order, outcome) for (tier, order), outcome in others.items()]
    return {
        "settings": dict(settings),
        "rows": [_row(row) for row in rows],
        "runs": [
            {
                "tier": tier,
                "order": order,
                "notes": outcome.notes,
                "unfinished": {name: one.unfinished for name, one in outcome.samples.items()},
                "times_ms": {
                    name: {
                        quantity: [round(1_000 * time_s, 1) for time_s in sorted(times_s)]
                        for quantity, times_s in sample.times_s.items()
                    }
                    for name, sample in outcome.samples.items()
                },
            }
            for tier, order, outcome in runs
        ],
    }


def _row(row: Row) -> dict[str, Any]:
    made = asdict(row)
    for one, as_dict in zip(row.comparisons, made["comparisons"], strict=True):
        as_dict |= {"agrees": one.agrees, "accepted": one.accepted}
    return made
