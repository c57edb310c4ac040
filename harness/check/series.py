"""Completeness over time, as it follows from the ledger, put into the recorded time series.

While a run goes on nobody knows exactly what is stored when; after it, the store says. So judging
replaces the live view of these series by the exact one: judging twice gives the same record.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emulator.clock import BEFORE_START_S
from harness.check.recorded import RecordedRun
from harness.ledger.reconcile import BUCKETS_PER_STEP, Reconciliation
from harness.store.rows import NO_REGISTRATIONS, Registrations
from reports.recording import Metric, RunFiles, RunTime, Sample
from reports.recording.series import SampleBuffer, read_series

SOURCE: Final = "run"
CHANGES: Final = np.array([1, 0, -1, -1])
"""By how much each `RegistrationKind` changes the number of nodes that are registered."""
JUST_BEFORE_S: Final = 1e-3
"""Wall seconds before a step at which its owed readings are not owed yet."""


def completeness(
    run: RecordedRun,
    found: Reconciliation,
    planned_per_step: NDArray[np.int64],
    registrations: Registrations = NO_REGISTRATIONS,
) -> list[Sample]:
    """Return owed and stored readings, meters planned and heard, over the time of a run.

    With them readings planned and stored step by step, alarms by when they were raised, and how
    many nodes were registered. ``planned_per_step``: readings of each step, int64 (steps,), in the
    plan without a timeline.

    What a store that notes no times stored when is unknown, and left out; of a run whose clock
    never started there is nothing to tell.
    """
    if run.facts.clock[1] <= BEFORE_START_S:
        return []
    samples = [*_owed(run, found), *_meters(run, Metric.METERS_PLANNED, found.planned_per_step)]
    if not found.counts.untimed:
        samples += _stored(run, found)
        samples += _by_step(run, found, planned_per_step)
        samples += _meters(run, Metric.METERS_HEARD, found.heard_per_step)
    if found.alarms is not None and not found.alarms.is_empty:
        samples += _alarms(run, Metric.ALARMS_OWED, found.alarms.owed_per_interval)
        samples += _alarms(run, Metric.ALARMS_STORED, found.alarms.stored_per_interval)
    return [*samples, *_nodes(run, registrations)]


def replace_series(folder: Path, samples: Sequence[Sample]) -> None:
    """Put ``samples`` into ``metrics.parquet``, in place of what it has of their series.

    Raises:
        RecordError: what was recorded is damaged.
    """
    path = RunFiles(folder).metrics
    replaced = {(sample.source, str(sample.metric), sample.label) for sample in samples}
    buffer = SampleBuffer()
    for series in read_series(path) if path.is_file() else ():
        if (series.source, series.metric, series.label) in replaced:
            continue
        for scenario_s, wall_s, value in zip(
            series.scenario_s, series.wall_s, series.values, strict=True
        ):
            at = RunTime(scenario_s=scenario_s, wall_s=wall_s)
            buffer.append(Sample(at, series.source, series.metric, value, series.label))
    for sample in samples:
        buffer.append(sample)
    buffer.write(path)


def _sample(run: RecordedRun, scenario_s: float, metric: Metric, value: float) -> Sample:
    at = RunTime(scenario_s=scenario_s, wall_s=run.wall_s(scenario_s))
    return Sample(at, SOURCE, metric, value)


def _owed(run: RecordedRun, found: Reconciliation) -> Iterator[Sample]:
    """Step by step, and in between as often as what is stored, so that both can be compared."""
    step_s, before_s = run.fleet.behaviour.step_s, JUST_BEFORE_S * run.scenario.speed
    owed = 0
    for step, more in enumerate([*found.owed_per_step[: run.steps_opened()].tolist(), 0]):
        yield _sample(run, step * step_s - before_s, Metric.OWED, owed)
        owed += more
        for bucket in range(BUCKETS_PER_STEP):
            at_s = (step + bucket / BUCKETS_PER_STEP) * step_s
            yield _sample(run, at_s, Metric.OWED, owed)
    yield _sample(run, _ends_s(run, found), Metric.OWED, owed)


def _stored(run: RecordedRun, found: Reconciliation) -> Iterator[Sample]:
    width_s = run.fleet.behaviour.step_s / BUCKETS_PER_STEP
    total = np.cumsum(found.stored_per_bucket)
    yield _sample(run, 0.0, Metric.STORED, 0)
    # The last bucket holds all that came later than it can say: its end is the run's.
    for number, stored in enumerate(total[:-1].tolist(), 1):
        if stored != total[-1] or stored != total[max(0, number - 2)]:
            yield _sample(run, number * width_s, Metric.STORED, stored)
    yield _sample(run, _ends_s(run, found), Metric.STORED, int(total[-1]))


def _by_step(
    run: RecordedRun, found: Reconciliation, planned_per_step: NDArray[np.int64]
) -> Iterator[Sample]:
    """Yield what each step was to bring and what it brought, as stairs; one step after the last."""
    step_s, before_s = run.fleet.behaviour.step_s, JUST_BEFORE_S * run.scenario.speed
    opened = run.steps_opened()
    stored = found.stored_per_bucket[:-1].reshape(-1, BUCKETS_PER_STEP).sum(axis=1)
    planned = [*planned_per_step[:opened].tolist(), 0]
    for step, counts in enumerate(zip(planned, stored[: opened + 1].tolist(), strict=True)):
        for at_s in (step * step_s, (step + 1) * step_s - before_s):
            for metric, value in zip(
                (Metric.PLANNED_IN_STEP, Metric.STORED_IN_STEP), counts, strict=True
            ):
                yield _sample(run, at_s, metric, value)


def _ends_s(run: RecordedRun, found: Reconciliation) -> float:
    """Return when the run ended, scenario seconds: at least one step after the last."""
    clock, facts = run.facts.scenario_clock, run.facts
    ended_s = clock.scenario_at(facts.began_s + facts.wall_s) - run.fleet.first_s
    return max(ended_s, (len(found.owed_per_step) + 1) * run.fleet.behaviour.step_s)


def _meters(run: RecordedRun, metric: Metric, per_step: NDArray[np.int64]) -> Iterator[Sample]:
    step_s = run.fleet.behaviour.step_s
    for step, meters in enumerate(per_step[: run.steps_opened()].tolist(), 1):
        yield _sample(run, step * step_s, metric, meters)


def _alarms(run: RecordedRun, metric: Metric, per_interval: NDArray[np.int64]) -> Iterator[Sample]:
    """Yield how many were raised up to each capture: flat in between."""
    step_s, before_s = run.fleet.behaviour.step_s, JUST_BEFORE_S * run.scenario.speed
    total = 0
    for interval, more in enumerate(per_interval[: run.steps_opened()].tolist()):
        yield _sample(run, interval * step_s - before_s, metric, total)
        total += more
        yield _sample(run, interval * step_s, metric, total)


def _nodes(run: RecordedRun, registrations: Registrations) -> Iterator[Sample]:
    """Yield how many nodes were registered: when it changed, at most so often a step."""
    changes = CHANGES[registrations.kind]
    which = np.flatnonzero(changes)
    if not len(which):
        return
    began_us = (run.facts.began_s + run.facts.realtime_offset_s) * 1_000_000
    wall_s = (registrations.at_us[which] - began_us) / 1_000_000
    registered = np.cumsum(changes[which])
    width_s = run.fleet.behaviour.step_s / run.scenario.speed / BUCKETS_PER_STEP
    # The last change of each bucket stands for all in it.
    last = np.append(np.diff(np.floor(wall_s / width_s)) > 0, True)
    yield _node_sample(run, float(wall_s[0]), 0)
    for at_s, nodes in zip(wall_s[last].tolist(), registered[last].tolist(), strict=True):
        yield _node_sample(run, at_s, nodes)
    yield _node_sample(run, max(run.facts.wall_s, float(wall_s[-1])), int(registered[-1]))


def _node_sample(run: RecordedRun, wall_s: float, nodes: int) -> Sample:
    scenario_s = run.facts.scenario_clock.scenario_at(run.facts.began_s + wall_s)
    at = RunTime(scenario_s=scenario_s - run.fleet.first_s, wall_s=wall_s)
    return Sample(at, SOURCE, Metric.NODES_REGISTERED, nodes)
