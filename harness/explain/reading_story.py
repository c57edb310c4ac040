"""The story of one reading: from its meter over the link into the store, or to where it ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

import numpy as np

from emulator.identity import concentrator_name, meter_name
from harness.check.recorded import RecordedRun
from harness.explain.exchanges import Carrying, Exchanges
from harness.explain.readings import FoundReading, StoredRow
from harness.explain.story import Message, Moment, Subject
from harness.explain.surroundings import Span, log_lines, moments_of, since_began_s
from reports.recording import Event

AROUND_S: Final = 2.0
"""Wall seconds before and after a reading's own moments in which other things are told."""
MOMENTS_MAX: Final = 24
CARRIERS_MAX: Final = 3
NANOSECONDS: Final = 1e9


PUSHED: Final = "pushed it"


@dataclass(frozen=True, slots=True)
class Due:
    """When something was due, and when it was late: wall seconds since the run began."""

    due_s: float
    late_s: float


@dataclass(frozen=True, slots=True)
class Known:
    """What stories are made of: the run, its events, its captured exchanges."""

    run: RecordedRun
    events: Sequence[Event]
    exchanges: Exchanges

    def concentrator_of(self, meter: int) -> int:
        """Return the number of a meter's concentrator."""
        return int(self.run.grid.concentrator_of(np.array([meter]))[0])


def reading_story(known: Known, found: FoundReading) -> Subject:
    """Return the story of a reading. Raises `OSError`: a part of the record cannot be read."""
    run, number = known.run, known.concentrator_of(found.meter)
    carriers = known.exchanges.carrying(number, found.meter, found.captured_at_s)
    exchange = _exchange(known, carriers)
    due = _due(run, found, number)
    own = sorted(_own_moments(known, found, carriers, due.due_s), key=lambda moment: moment.at_s)
    span = _span(found, own, due)
    late = _late(run, found, own, due)
    own.append(Moment(due.late_s, "plan", "its deadline: one step after its window opened"))
    unheard = ""
    if not carriers:
        unheard = known.exchanges.unheard(number)
        near = known.exchanges.around(number, due.due_s)
        exchange = tuple(map(known.exchanges.message, near))
    return Subject(
        title=_title(run, found, number),
        facts=(*_facts(known, found, number, carriers), *filter(None, [late])),
        moments=_merged(known, own, span, number),
        exchange=exchange,
        unheard=unheard,
        commands=tuple(known.exchanges.wireshark(number, exchange)),
    )


def _span(found: FoundReading, own: Sequence[Moment], due: Due) -> Span:
    """Return the time in which other things are told with a reading's own."""
    last_s = max(due.due_s, *(moment.at_s for moment in own))
    if found.acknowledged and not found.rows:
        # It was there once: what took it away may have come long after its turn.
        last_s = max(last_s, due.late_s)
    return Span(due.due_s - AROUND_S, last_s + AROUND_S)


def when(posix_s: float) -> str:
    """Return a moment of the scenario or the wall, UTC, for people."""
    return f"{datetime.fromtimestamp(posix_s, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _title(run: RecordedRun, found: FoundReading, number: int) -> str:
    return (
        f"{meter_name(found.meter).decode()} behind {concentrator_name(number).decode()}, "
        f"captured at {when(found.captured_at_s)} (interval {found.interval})"
    )


def _facts(
    known: Known, found: FoundReading, number: int, carriers: Sequence[Carrying]
) -> Iterator[str]:
    run = known.run
    link = run.fleet.grid.links[run.grid.link_category[number]].profile
    dialect = known.exchanges.captures.dialects.name(number)
    yield f"meter {found.meter}, concentrator {number}, link {link}, protocol {dialect}"
    pulled = run.fleet.behaviour.mode == "pull"
    sent = "yes" if found.sent else "never"
    confirmed = "" if pulled else f"; acknowledged: {'yes' if found.acknowledged else 'no'}"
    yield f"handed to the link: {sent}{confirmed}; rows stored: {len(found.rows)}"
    yield from _compared(run, found, carriers)
    yield from _concluded(found, carriers, pulled)


def _concluded(found: FoundReading, carriers: Sequence[Carrying], pulled: bool) -> Iterator[str]:
    """Yield what follows from what was captured, in words."""
    if not carriers:
        return
    said = [(one.reading.status, *one.reading.values) for one in carriers]
    differs = any(_columns(row) != found.expected for row in (*found.rows, *found.conflicts))
    if differs and all(values == found.expected for values in said):
        yield (
            "every captured message carries what the meter registered: "
            "it was changed in the head-end or in its store"
        )
    if any(values != found.expected for values in said):
        yield "a captured message carries something else than the meter registered"
    if found.rows or pulled:
        return
    pushes = [one for one in carriers if not one.said.decoded.is_answer]
    answers = [one.partner.captured.frame for one in pushes if one.partner is not None]
    if answers and found.acknowledged:
        yield f"the head-end confirmed it (frame {answers[-1]}) and does not have it"
    elif pushes and not answers:
        yield f"pushes that carried it: {len(pushes)}; answers: none"


def _late(run: RecordedRun, found: FoundReading, moments: Sequence[Moment], due: Due) -> str:
    """Tell how late a reading was and where its time went; empty where it was in time."""
    stored = [row.stored_at_us for row in found.rows if row.stored_at_us]
    if not stored or (stored_s := since_began_s(run, min(stored))) <= due.late_s:
        return ""
    sent_s = min((it.at_s for it in moments if it.what.startswith(PUSHED)), default=None)
    told = f"stored {stored_s - due.late_s:.3f} s after its deadline"
    if sent_s is None or sent_s > stored_s:
        return f"{told}, {stored_s - due.due_s:.3f} s after it was due"
    return (
        f"{told}: {sent_s - due.due_s:.3f} s from due to its first message, "
        f"{stored_s - sent_s:.3f} s from there to its row"
    )


def _compared(run: RecordedRun, found: FoundReading, carriers: Sequence[Carrying]) -> Iterator[str]:
    """Yield the columns that differ somewhere on the way, and where."""
    names = ("status", *run.truth.profile.names)
    sent = [(one.reading.status, *one.reading.values) for one in carriers]
    frames = [one.said.captured.frame for one in carriers]
    rows = [_columns(row) for row in found.rows]
    aside = [_columns(row) for row in found.conflicts]
    for at, name in enumerate(names):
        registered = found.expected[at]
        if any(values[at] != registered for values in (*sent, *rows, *aside)):
            told = [f"{name}: registered {registered}"]
            told += [
                f"carried {values[at]} (frame {frame})"
                for values, frame in zip(sent, frames[:CARRIERS_MAX], strict=False)
            ]
            told += [f"stored {values[at]}" for values in rows]
            told += [f"kept aside {values[at]}" for values in aside]
            yield ", ".join(told)


def _columns(row: StoredRow) -> tuple[int, ...]:
    return (row.status, *row.values)


def _due(run: RecordedRun, found: FoundReading, number: int) -> Due:
    """Return when a reading was due, and when it was late."""
    meters, intervals = np.array([found.meter]), np.array([found.interval])
    step = run.schedule.delivery_step(meters, intervals)
    opens_us, late_us = run.times().step_opens_us(np.concatenate((step, step + 1))).tolist()
    phase_s = float(run.schedule.plan.phase_ns(np.array([number]))[0]) / NANOSECONDS
    due_s = since_began_s(run, opens_us) + phase_s / run.facts.scenario_clock.rate
    return Due(due_s, since_began_s(run, late_us))


def _own_moments(
    known: Known, found: FoundReading, carriers: Sequence[Carrying], due_s: float
) -> Iterator[Moment]:
    run, exchanges = known.run, known.exchanges
    captured_s = run.wall_s(found.captured_at_s - run.fleet.first_s)
    yield Moment(captured_s, "meter", "captured it (scenario time)")
    pulled = run.fleet.behaviour.mode == "pull"
    yield Moment(due_s, "plan", "to be read from now on" if pulled else "its push is due")
    for one in carriers[:CARRIERS_MAX]:
        frame = one.said.captured.frame
        verb = "answered with it" if one.said.decoded.is_answer else PUSHED
        name = concentrator_name(one.said.captured.concentrator).decode()
        yield Moment(exchanges.at_s(one.said), name, f"{verb} (frame {frame})")
        if one.partner is not None and not one.said.decoded.is_answer:
            frame = one.partner.captured.frame
            yield Moment(exchanges.at_s(one.partner), "head-end", f"answered (frame {frame})")
    for row in found.rows:
        if row.stored_at_us:
            yield Moment(since_began_s(run, row.stored_at_us), "store", "the row was stored")
    for row in found.conflicts:
        if row.stored_at_us:
            at_s = since_began_s(run, row.stored_at_us)
            yield Moment(at_s, "store", "an arrival with other values was kept aside")


def _exchange(known: Known, carriers: Sequence[Carrying]) -> tuple[Message, ...]:
    chosen = carriers if len(carriers) <= CARRIERS_MAX else [*carriers[:2], carriers[-1]]
    names = ("status", *known.run.truth.profile.names)
    messages = []
    for one in chosen:
        values = (one.reading.status, *one.reading.values)
        told = ", ".join(f"{name} {value}" for name, value in zip(names, values, strict=False))
        at = f"{datetime.fromtimestamp(one.reading.captured_at_s, UTC):%H:%M:%S}"
        carrier = known.exchanges.message(one.said)
        pair = [replace(carrier, layers=(*carrier.layers, f"{one.reading.meter} at {at}: {told}"))]
        if one.partner is not None:
            pair.append(known.exchanges.message(one.partner))
        messages += sorted(pair, key=lambda it: it.at_s)
    return tuple(messages)


def _merged(known: Known, own: list[Moment], span: Span, number: int) -> tuple[Moment, ...]:
    name = concentrator_name(number).decode()
    others = [
        *moments_of(known.events, span, number),
        *log_lines(known.run, span, name, number),
    ]
    room = max(0, MOMENTS_MAX - len(own))
    kept = sorted(others, key=lambda moment: moment.at_s)
    if len(kept) > room:
        left = len(kept) - room
        kept = [*kept[:room], Moment(kept[room].at_s, "", f"... and {left} more")]
    return tuple(sorted([*own, *kept], key=lambda moment: moment.at_s))
