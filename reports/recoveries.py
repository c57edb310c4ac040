"""Times at which concentrators were cut off, and how their readings came in, for all views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from reports.recording import Recovery, RunTime, Verdict
from reports.story import Tone
from reports.text import count, counted, grid_clock, seconds, share, span

__all__ = ["HEAD", "RecoveryLine", "last_stored_line", "recovery_lines"]

HEAD: Final = (
    "cut",
    "from, to",
    "concentrators",
    "held back",
    "leanest step",
    "fullest after",
    "caught up after",
    "last stored at",
)
LOSS: Final = "lose "
"""Begins the names of the times at which storage was lost."""
LINES_MAX: Final = 5
"""Told in words on a terminal; tables have more."""
MINUTES_FROM_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class RecoveryLine:
    """One row below `HEAD`, and the same in a sentence. ``band`` names its band on the charts."""

    band: str
    cells: tuple[str, ...]
    sentence: str
    tone: Tone


def recovery_lines(
    verdict: Verdict, bands: Mapping[str, str] | None = None
) -> tuple[RecoveryLine, ...]:
    """Return a line for each recovery; ``bands``: the name of the band of each fault."""
    known = bands or {}
    return tuple(_line(one, known.get(one.fault, "")) for one in verdict.recoveries)


def last_stored_line(verdict: Verdict) -> str:
    """Say when the last owed reading was stored; empty where nobody knows."""
    if verdict.last_stored is None:
        return ""
    missing = verdict.readings.lost + verdict.readings.unattempted
    never = f"; {count(missing)} never were" if missing else ""
    return f"The last owed reading was stored at {_both_clocks(verdict.last_stored)}{never}."


def _line(one: Recovery, band: str) -> RecoveryLine:
    when = "" if one.last_stored is None else _both_clocks(one.last_stored)
    tone = Tone.PLAIN if not one.held_back else Tone.BAD if _missing(one) else Tone.GOOD
    cells = (
        one.fault,
        f"{_both_clocks(one.began)}, {_both_clocks(one.ended)}",
        count(one.concentrators),
        f"{count(one.held_back)}{_deferred(one)}",
        _leanest(one),
        count(one.highest) if one.held_back and one.lowest_planned else "",
        _caught_up(one),
        when,
    )
    return RecoveryLine(band, cells, _sentence(one), tone)


def _sentence(one: Recovery) -> str:
    who = counted(one.concentrators, "concentrator")
    opening = f"{one.fault}, {_both_clocks(one.began)} to {_both_clocks(one.ended)}, {who}"
    readings = f"{counted(one.held_back, 'reading')} held back{_deferred(one)}"
    if one.fault.startswith(LOSS):
        opening = f"{one.fault}, {_both_clocks(one.began)}, {who}"
        readings = f"{counted(one.held_back, 'reading')} lost"
        return f"{opening}: {readings}, {_came(one)}" if one.held_back else f"{opening}: {readings}"
    if not one.held_back:
        return f"{opening}: {readings}"
    return f"{opening}: {readings}, {_came(one)}; leanest step {_leanest(one)} of what was planned"


def _came(one: Recovery) -> str:
    if one.last_stored is None:
        return "none of them was stored"
    at = _both_clocks(one.last_stored)
    if _missing(one):
        return f"{count(_missing(one))} of them never stored, the last of the others at {at}"
    return f"the last of them stored {_caught_up(one)} after it ended, at {at}"


def _missing(one: Recovery) -> int:
    return one.held_back - one.arrived


def _deferred(one: Recovery) -> str:
    return f", {count(one.deferred)} deferred" if one.deferred else ""


def _leanest(one: Recovery) -> str:
    if not one.lowest_planned:
        return ""
    # A short cut may lie in a step that brings more than its own.
    more = f"{100 * one.lowest / one.lowest_planned:.0f} %"
    part = more if one.lowest > one.lowest_planned else share(one.lowest, one.lowest_planned)
    return f"{count(one.lowest)} ({part})"


def _caught_up(one: Recovery) -> str:
    if not one.held_back:
        return ""
    if one.caught_up_s is None:
        return f"never: {count(_missing(one))} missing"
    return seconds(one.caught_up_s)


def _both_clocks(at: RunTime) -> str:
    wall = f"{at.wall_s:.1f} s" if at.wall_s < MINUTES_FROM_S else span(at.wall_s)
    return f"{wall} ({grid_clock(at.scenario_s)})"
