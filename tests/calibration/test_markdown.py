"""The documentation's table, from rows that are known."""

from __future__ import annotations

from typing import Any

from tests.calibration.markdown import lines


def compared(tier: str, order: str, *, accepted: bool = True) -> dict[str, Any]:
    return {
        "tier": tier,
        "order": order,
        "ks": 0.061,
        "w1_s": 0.05,
        "mean_difference": -0.042,
        "accepted": accepted,
    }


def row(quantity: str, *, accepted: bool = True) -> dict[str, Any]:
    return {
        "profile": "seed-2",
        "quantity": quantity,
        "kernel": {"mean_s": 2.0, "p50_s": 1.904, "p95_s": 3.0},
        "floor_w1_s": 0.03,
        "floor_ks": 0.07,
        "comparisons": [
            compared("model", "netem"),
            compared("model", "link", accepted=accepted),
            compared("packet", "netem", accepted=accepted),
            compared("packet", "link"),
        ],
    }


def test_a_row_has_its_figures_and_what_is_not_accepted_is_bold() -> None:
    head, rule, first, second = lines({"rows": [row("connect"), row("20000", accepted=False)]})
    assert head.count("|") == rule.count("|") == first.count("|") == second.count("|")
    assert first == (
        "| seed-2: 800 ± 400 ms, 0.2 % | connect | 2.000 / 1.90 / 3.00 | 1.5 % / 0.07 "
        "| 2.5 % / 0.06 | 2.5 % / 0.06 | -4.2 % | -4.2 % |"
    )
    assert second == (
        "| | 20,000 | 2.000 / 1.90 / 3.00 | 1.5 % / 0.07 "
        "| 2.5 % / 0.06 | **2.5 % / 0.06** | **-4.2 %** | -4.2 % |"
    )
