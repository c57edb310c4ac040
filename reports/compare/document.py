"""A comparison as JSON, for scripts; keys may be added, none will change its meaning."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from reports.compare.comparison import Comparison, Row

__all__ = ["render_comparison"]


def render_comparison(comparison: Comparison) -> str:
    """Return the whole document, numbers in the base units that each figure names."""
    document = {
        "outcome": comparison.outcome,
        "reasons": comparison.reasons,
        "before": comparison.before,
        "after": comparison.after,
        "figures": [_figure(row) for row in comparison.rows],
        "differences": [asdict(difference) for difference in comparison.differences],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _figure(row: Row) -> dict[str, Any]:
    return {
        "figure": row.figure,
        "unit": row.rule.unit,
        "before": row.before,
        "after": row.after,
        "low": row.low,
        "high": row.high,
        "judgement": row.judgement,
        "decides": row.rule.decides,
        "why": row.why,
    }
