"""What of a run can be explained: its checks, and what makes every run fail or prove nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from harness.errors import ArgumentsError
from harness.explain.story import Listed, Listing
from harness.judging import measurements
from harness.limits import MEASURES
from harness.nearest import nearest
from reports.recording import LinkMeasurement, RunRecord, Verdict

LAG: Final = "generator.lag"
LINK: Final = "link."
ALWAYS: Final = "== 0"
FATAL: Final = (
    "lost_acknowledged",
    "wrong",
    "invented",
    "duplicated",
    "conflicts",
    "preloaded_wrong",
)


def listed(record: RunRecord, lag_limit_s: float) -> dict[str, Listed]:
    """Return all that was judged in a run, by name; what did not pass comes first.

    Args:
        record: the recorded run; it has a verdict.
        lag_limit_s: how far its generator might fall behind.
    """
    verdict = verdict_of(record)
    found = {
        check.name: Listed(
            check.name, check.limit, str(check.measured), check.passed, check.explanation
        )
        for check in verdict.checks
    }
    for one in _always(verdict, lag_limit_s):
        if one.check not in found or (found[one.check].passed and one.passed is False):
            found[one.check] = one
    return dict(sorted(found.items(), key=lambda item: _rank(item[1])))


def _rank(one: Listed) -> tuple[bool, int]:
    """Return where a check stands: what failed before the rest, what decides before that."""
    fate = one.check.partition(".")[2]
    return one.passed is not False, FATAL.index(fate) if fate in FATAL else len(FATAL)


def verdict_of(record: RunRecord) -> Verdict:
    """Return the verdict of a run. Raises `ArgumentsError`: it has none."""
    if record.verdict is None:
        raise ArgumentsError(
            f"{record.directory} has no verdict yet; make one with: "
            f"meterstorm check {record.directory}"
        )
    return record.verdict


def _always(verdict: Verdict, lag_limit_s: float) -> Iterable[Listed]:
    for part, account in (("readings", verdict.readings), ("alarms", verdict.alarms)):
        for fate in FATAL:
            name, count = f"{part}.{fate}", getattr(account, fate, 0)
            if count:
                yield Listed(name, ALWAYS, str(count), False, MEASURES[name].meaning)
    lag_s = verdict.generator.lag_s_max
    meaning = "how far the load generator fell behind its own plan"
    yield Listed(LAG, f"<= {lag_limit_s:g} s", f"{lag_s:.3f} s", lag_s <= lag_limit_s, meaning)
    for link in verdict.links:
        yield _link(link)


def link_check(link: LinkMeasurement) -> str:
    """Return the name under which one measurement of a link is explained."""
    return LINK + re.sub(r"[^a-z0-9.-]+", "-", f"{link.link}.{link.quantity}".lower())


def _link(link: LinkMeasurement) -> Listed:
    how, found = found_of(link)
    return Listed(
        link_check(link),
        f"about {figure(link.set, link.unit)}",
        "not measured" if found is None else figure(found, link.unit),
        link.agrees,
        f"{link.quantity} of link {link.link}: what was {how}, beside what its profile sets",
    )


def found_of(link: LinkMeasurement) -> tuple[str, float | None]:
    """Return what a link turned out to be, and how that is known: from outside, where it can be.

    In a lab nobody draws for whoever asks; there, probes measure. Over modelled links nobody does.
    """
    if link.measured is not None:
        return "measured", link.measured
    return "drawn", link.drawn


def figure(value: float, unit: str) -> str:
    """Return what was set, drawn or measured of a link."""
    return f"{value:.4g} {unit}".rstrip()


def listing(record: RunRecord, lag_limit_s: float) -> Listing:
    """Return what did not pass in a run, and the names of all else that can be explained."""
    verdict, known = verdict_of(record), listed(record, lag_limit_s)
    judged = [
        one for one in known.values() if not (one.check.startswith(LINK) and one.passed is None)
    ]
    troubled = tuple(one for one in judged if one.passed is not True)
    names = {one.check for one in troubled}
    return Listing(
        run=record.directory.resolve().name,
        verdict=verdict.verdict,
        reasons=verdict.reasons,
        troubled=troubled,
        others=tuple(sorted(known.keys() - names)),
    )


def chosen(record: RunRecord, check: str, lag_limit_s: float) -> Listed:
    """Return the check of that name. Raises `ArgumentsError`: there is none; says which is near."""
    known = listed(record, lag_limit_s)
    if check in known:
        return known[check]
    if check in MEASURES:
        value = measurements(verdict_of(record)).get(check)
        told = "not measured" if value is None else f"{value:g}"
        return Listed(check, "none in this scenario", told, None, MEASURES[check].meaning)
    meant = nearest(check, (*known, *MEASURES))
    advice = f"did you mean {meant}?" if meant else f"there are: {', '.join(sorted(known))}"
    raise ArgumentsError(f"{record.directory.resolve().name} has no check {check}; {advice}")
