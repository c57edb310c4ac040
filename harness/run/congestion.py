"""TCP congestion control of a run: whether it can be had, and what was used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from emulator import congestion
from harness.errors import EnvironmentUnfitError
from harness.run.facts import TcpFacts


def check_congestion(wanted: str | None) -> None:
    """Raise `EnvironmentUnfitError` where connections of this machine cannot use ``wanted``."""
    why = congestion.refusal(wanted)
    if why is not None:
        raise EnvironmentUnfitError(f"links.congestion: {why}")


def congestion_facts(
    wanted: str | None, summaries: Iterable[Mapping[str, Any]], head_end: Mapping[str, int]
) -> TcpFacts:
    """Return what connections used, from what fleet shards and head-end have counted."""
    fleet: Counter[str] = Counter()
    for summary in summaries:
        fleet.update(summary.get("congestion", {}))
    counted = {
        name.removeprefix(congestion.COUNTED): count
        for name, count in head_end.items()
        if name.startswith(congestion.COUNTED)
    }
    used = {"fleet": dict(fleet), "head-end": counted}
    return TcpFacts(wanted=wanted, used={side: names for side, names in used.items() if names})
