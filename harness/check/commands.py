"""Commands: what the run ordered, against what the meters did and what the head-end says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.check.recorded import RecordedRun
from harness.run.outcomes import link_of
from harness.store.commands import Command, CommandState
from reports.recording import CommandCounts, new_histogram, percentiles, record_latency


@dataclass(slots=True)
class _Tally:
    issued: int = 0
    executed: int = 0
    repeated: int = 0
    failed: int = 0
    latency: Any = field(default_factory=new_histogram)

    def counts(self, kind: str, link: str) -> CommandCounts:
        return CommandCounts(
            kind=kind,
            link=link,
            issued=self.issued,
            executed=self.executed,
            repeated=self.repeated,
            failed=self.failed,
            latency_s=percentiles(self.latency) if self.latency.total_count else None,
        )


def count_commands(
    run: RecordedRun, journal: Sequence[Command]
) -> tuple[tuple[CommandCounts, ...], Any]:
    """Return the account of commands, by kind and by kind and link, and all latencies.

    A command counts as executed when its meter did it and the head-end knows that it did; as
    repeated for every further time its meter did it. Latency runs from the moment the command was
    due to the moment the head-end knew its outcome. Of commands that somebody else gave over the
    API while the run went on, only repetitions count.
    """
    done = Counter((line["meter"], line["kind"], line["parameter"]) for line in run.executions())
    by_id = {command.id: command for command in journal}
    tallies: dict[tuple[str, str], _Tally] = {}
    everything = new_histogram()
    for order in run.facts.commands:
        identity = (order.meter, order.kind, order.parameter)
        entry = by_id.get(order.id)
        was_done = done[identity] > 0
        done[identity] -= was_done
        known = entry is not None and entry.state is CommandState.DONE
        refused = entry is not None and entry.state is CommandState.FAILED
        for tally in _tallies(run, tallies, order.kind, order.meter):
            tally.issued += 1
            tally.executed += was_done and known
            tally.failed += refused and not was_done
            if entry is not None and entry.done_at_us is not None:
                record_latency(tally.latency, (entry.done_at_us - order.due_us) / 1e6)
        if entry is not None and entry.done_at_us is not None:
            record_latency(everything, (entry.done_at_us - order.due_us) / 1e6)
    done -= _of_others(run, journal)
    for (meter, kind, _), times in done.items():
        for tally in _tallies(run, tallies, kind, meter):
            tally.repeated += times
    counts = tuple(tally.counts(*key) for key, tally in sorted(tallies.items()))
    return counts, everything


def _of_others(run: RecordedRun, journal: Sequence[Command]) -> Counter[tuple[int, str, int]]:
    """Return how often meters were to execute what the run itself did not order."""
    ours = {order.id for order in run.facts.commands}
    return Counter(
        (entry.meter, entry.kind, int(entry.parameter or 0))
        for entry in journal
        if entry.id not in ours
    )


def _tallies(
    run: RecordedRun, tallies: dict[tuple[str, str], _Tally], kind: str, meter: int
) -> list[_Tally]:
    link = link_of(run.fleet, run.grid, meter)
    return [tallies.setdefault(key, _Tally()) for key in ((kind, ""), (kind, link))]
