"""`meterstorm explain`: from a failed check to what was said on the wire."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Final

import numpy as np

from emulator.identity import concentrator_name
from harness.check.recorded import RecordedRun
from harness.check.stores import open_stores
from harness.explain import batteries, others
from harness.explain.captures import RunCaptures
from harness.explain.exchanges import Exchanges
from harness.explain.hints import hint
from harness.explain.history import IN_HISTORY, history_story, of_history
from harness.explain.others import Told
from harness.explain.reading_story import Known, reading_story, when
from harness.explain.readings import CHOSEN, Concerned, conflicting, trace
from harness.explain.story import Explanation, Listed, Listing
from harness.explain.text import explanation_text, listing_text
from harness.explain.topics import LAG, LINK, chosen, listing, verdict_of
from harness.recorded_folder import LATEST, reading, recorded_folder
from harness.store.errors import StoreError
from reports.recording import RunRecord

CHANGED: Final = "The store has changed"
"""How the verdict's note begins on a store that is not what it was."""
WHOSE: Final = 5
"""Concentrators named of all that a check is about."""


def explain_run(folder: Path, check: str | None, *, most: int = 2, as_json: bool = False) -> str:
    """Return the explanation of a check of a recorded run, or what there is to explain.

    Args:
        folder: the run directory; all that is needed is in there, and in the store if the scenario
            put it elsewhere. The name of a check instead means the latest run.
        check: its name; ``None``: list what did not pass.
        most: how many readings, alarms or commands are looked at closely.
        as_json: JSON instead of text.

    Raises:
        ArgumentsError: no such run or check, or a part of the record is missing or damaged; says
            what mends it.
    """
    if check is None and not folder.exists() and len(folder.parts) == 1 and "." in folder.name:
        folder, check = LATEST, folder.name
    recorded_folder(folder)
    with reading(folder):
        record, run = RunRecord.load(folder), RecordedRun.open(folder)
        if check is None:
            listed = listing(record, run.scenario.limits.lag)
            return _json(listed) if as_json else listing_text(listed, str(folder))
        explanation = _explained(record, run, check, most)
    return _json(explanation) if as_json else explanation_text(explanation)


def _json(told: Listing | Explanation) -> str:
    return json.dumps(asdict(told), indent=2)


def _explained(record: RunRecord, run: RecordedRun, check: str, most: int) -> Explanation:
    one = chosen(record, check, run.scenario.limits.lag)
    known = Known(run, record.events, Exchanges(run, RunCaptures(run)))
    try:
        told = _told(known, record, one, most)
    except StoreError as error:
        told = Told((f"the store cannot be read, so nobody knows which ones: {error}",))
    changed = [note for note in verdict_of(record).distrust if note.startswith(CHANGED)]
    return Explanation(
        run=record.directory.resolve().name,
        check=one.check,
        meaning=one.meaning,
        limit=one.limit,
        measured=one.measured,
        passed=one.passed,
        hint="" if one.passed else hint(one.check, all_acknowledged=told.all_acknowledged),
        found=(*told.found, *changed),
        subjects=told.subjects,
        more=told.more,
        next_steps=tuple(_next_steps(known, record, told)),
    )


def _told(known: Known, record: RunRecord, one: Listed, most: int) -> Told:
    part, _, fate = one.check.partition(".")
    verdict = verdict_of(record)
    match part:
        case "readings":
            return _readings(known, fate, most)
        case "alarms":
            return others.alarms(known, fate, most)
        case "commands":
            return others.commands(known, fate, most)
        case "push" | "pull" | "command" | "association":
            return others.latency(known, record, part, most)
        case "resources" | "throughput":
            return others.resources(verdict)
        case "replays":
            return others.replays(known)
        case "batteries":
            return batteries.batteries(known, verdict, fate, most)
        case "bills":
            return others.bills(verdict, fate, most)
        case "bal":
            return batteries.asked(known, verdict, one.check.partition(".latency")[0], most)
    if one.check == LAG:
        return others.generator(known)
    if one.check.startswith(LINK):
        return others.link(known.run, verdict, one.check)
    return Told(("there is no closer look at this: verdict.json and the report have its figures",))


def _readings(known: Known, fate: str, most: int) -> Told:
    with open_stores(known.run) as reader:
        if fate in IN_HISTORY:
            concerned, story = of_history(known.run, reader, most), history_story
        elif fate == "conflicts":
            concerned, story = conflicting(known.run, reader, most), reading_story
        else:
            assert fate in CHOSEN, "every measure of readings has its readings"
            concerned, story = trace(known.run, reader, fate, most)[0], reading_story
    close = (concerned.first + concerned.next)[:most]
    stories = tuple(story(known, found) for found in close)
    return Told(
        _spread(known, concerned),
        stories,
        concerned.count - len(stories),
        all_acknowledged=concerned.acknowledged == concerned.count,
    )


def _spread(known: Known, concerned: Concerned) -> tuple[str, ...]:
    """Tell how many readings there are, whose, and of when."""
    if not concerned.count:
        return ("no reading is concerned",)
    intervals = sorted(concerned.by_interval)
    captured_at = known.run.schedule.plan.captured_at
    first_s, last_s = captured_at(np.array([intervals[0], intervals[-1]])).tolist()
    times = f"at {when(first_s)}"
    if len(intervals) > 1:
        times = f"in {len(intervals)} intervals from {when(first_s)} to {when(last_s)}"
    found = [
        f"{_many(concerned.count, 'reading')} of {_many(len(concerned.meters), 'meter')} behind "
        f"{_many(len(concerned.by_concentrator), 'concentrator')}, captured {times}"
    ]
    if known.run.fleet.behaviour.mode == "push" and intervals[-1] >= 0:
        found.append(f"handed to a link: {concerned.sent}; acknowledged: {concerned.acknowledged}")
    most = sorted(concerned.by_concentrator.items(), key=lambda item: (-item[1], item[0]))
    named = ", ".join(f"{concentrator_name(it).decode()} ({count})" for it, count in most[:WHOSE])
    found.append(f"most behind: {named}" + (" ..." if len(most) > WHOSE else ""))
    return tuple(found)


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"


def _next_steps(known: Known, record: RunRecord, told: Told) -> list[str]:
    captures: RunCaptures = known.exchanges.captures
    steps = []
    if any("-C ansi-fleet" in command for one in told.subjects for command in one.commands):
        steps.append("the profile ansi-fleet, with keys: docs/howto/read-a-capture.md")
    if any(one.unheard for one in told.subjects):
        steps.append(
            "to capture it next time: meterstorm run SCENARIO --capture all (or names); "
            + (f"there are {len(captures.files)} captures" if captures.files else "there is none")
        )
    if told.more > 0:
        steps.append("more of them: --readings N")
    if (record.directory / "logs").is_dir():
        steps.append(f"all log lines: {record.directory / 'logs'}")
    return steps
