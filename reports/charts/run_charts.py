"""Which charts a recorded run has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from reports.charts.latency_charts import latency_over_time, percentile_curves
from reports.charts.model import Band, Chart, Curve, build_chart
from reports.charts.scales import Scale, linear_scale
from reports.charts.sources import Points, by_source, pick, rate
from reports.charts.timeline import Timeline, run_timeline
from reports.recording import Metric, RunRecord
from reports.text import count, figure, octets, seconds, span

__all__ = ["RunCharts", "draw_charts"]


@dataclass(frozen=True, slots=True)
class RunCharts:
    """The charts of a run by section; what was not recorded is not drawn."""

    completeness: tuple[Chart, ...]
    meters: tuple[Chart, ...]
    latency: tuple[Chart, ...]
    resources: tuple[Chart, ...]
    generator: tuple[Chart, ...]
    alarms: tuple[Chart, ...]
    registrations: tuple[Chart, ...]
    faults: tuple[Band, ...]


def draw_charts(record: RunRecord) -> RunCharts:
    """Draw all charts of ``record``."""
    timeline = run_timeline(record)
    latency = (
        percentile_curves(record.latency),
        latency_over_time(record.latency, timeline),
    )
    return RunCharts(
        completeness=_drawn(
            _completeness(record, timeline),
            _by_step(record, timeline),
            _backlog(record, timeline),
        ),
        meters=_drawn(_meters(record, timeline)),
        latency=_drawn(*latency),
        resources=_drawn(*_resources(record, timeline)),
        generator=_drawn(_lag(record, timeline)),
        alarms=_drawn(_alarms(record, timeline)),
        registrations=_drawn(_registrations(record, timeline)),
        faults=timeline.faults,
    )


def _drawn(*charts: Chart | None) -> tuple[Chart, ...]:
    return tuple(chart for chart in charts if chart is not None)


def _highest(curves: Sequence[Curve]) -> float:
    return max(float(curve.y.max(initial=0.0)) for curve in curves)


def _over_time(
    timeline: Timeline,
    curves: Sequence[Curve],
    *,
    key: str,
    title: str,
    note: str,
    unit: str,
    y_title: str,
    y: Callable[[float], Scale],
    text: Callable[[float], str],
    phases: bool = False,
) -> Chart | None:
    if not curves:
        return None
    return build_chart(
        key=key,
        title=title,
        note=note,
        unit=unit,
        y_title=y_title,
        x=timeline.scale,
        y=y(_highest(curves)),
        curves=curves,
        text=text,
        x_text=span,
        bands=timeline.faults,
        phases=timeline.phases if phases else (),
    )


_COUNTS = partial(linear_scale, whole=True)


def _curves(found: Sequence[tuple[Points | None, Callable[[Points], Curve]]]) -> list[Curve]:
    return [make(points) for points, make in found if points is not None and len(points[0])]


def _completeness(record: RunRecord, timeline: Timeline) -> Chart | None:
    run = partial(pick, record, "run")
    curves = _curves(
        (
            (run(Metric.STORED), lambda p: Curve("stored", *p, colour=1, area=True)),
            (run(Metric.ACKNOWLEDGED), lambda p: Curve("acknowledged", *p, colour=2)),
            (run(Metric.SENT), lambda p: Curve("sent", *p, colour=3, dashed=True)),
            (run(Metric.OWED), lambda p: Curve("owed", *p, colour=0)),
        )
    )
    return _over_time(
        timeline,
        curves,
        key="completeness",
        title="Readings owed and stored",
        note="Cumulative. Complete is when the stored area has filled up to the owed line.",
        unit="count",
        y_title="readings",
        y=_COUNTS,
        text=count,
        phases=True,
    )


def _by_step(record: RunRecord, timeline: Timeline) -> Chart | None:
    run = partial(pick, record, "run")
    curves = _curves(
        (
            (run(Metric.STORED_IN_STEP), lambda p: Curve("stored", *p, colour=1, area=True)),
            (run(Metric.PLANNED_IN_STEP), lambda p: Curve("planned", *p, colour=0)),
        )
    )
    return _over_time(
        timeline,
        curves,
        key="by-step",
        title="Readings stored in each step",
        note="Beside what the plan has for the step, were nothing cut off: the dip of an outage "
        "lies below that line, the catching up after it above.",
        unit="count",
        y_title="readings a step",
        y=_COUNTS,
        text=count,
    )


def _backlog(record: RunRecord, timeline: Timeline) -> Chart | None:
    owed, stored = pick(record, "run", Metric.OWED), pick(record, "run", Metric.STORED)
    if owed is None or stored is None:
        return None
    x, owed_now = owed
    missing = np.maximum(owed_now - np.interp(x, *stored), 0.0)
    return _over_time(
        timeline,
        [Curve("owed, not yet stored", x, missing, colour=1, area=True)],
        key="backlog",
        title="Readings outstanding",
        note="Owed and not yet in the store. What is left at the right edge is missing.",
        unit="count",
        y_title="readings",
        y=_COUNTS,
        text=count,
    )


def _meters(record: RunRecord, timeline: Timeline) -> Chart | None:
    run = partial(pick, record, "run")
    curves = _curves(
        (
            (run(Metric.METERS_HEARD), lambda p: Curve("heard", *p, colour=1, area=True)),
            (run(Metric.METERS_PLANNED), lambda p: Curve("planned", *p, colour=0)),
        )
    )
    return _over_time(
        timeline,
        curves,
        key="meters",
        title="Meters planned and heard",
        note="Meters that the plan makes reachable at each step, and those the head-end heard.",
        unit="count",
        y_title="meters",
        y=_COUNTS,
        text=count,
    )


def _alarms(record: RunRecord, timeline: Timeline) -> Chart | None:
    run = partial(pick, record, "run")
    curves = _curves(
        (
            (run(Metric.ALARMS_STORED), lambda p: Curve("stored", *p, colour=1, area=True)),
            (run(Metric.ALARMS_OWED), lambda p: Curve("owed", *p, colour=0)),
        )
    )
    return _over_time(
        timeline,
        curves,
        key="alarms",
        title="Alarms owed and stored",
        note="Cumulative, by the capture they rode with. An area below the line is missing alarms.",
        unit="count",
        y_title="alarms",
        y=_COUNTS,
        text=count,
    )


def _registrations(record: RunRecord, timeline: Timeline) -> Chart | None:
    nodes = pick(record, "run", Metric.NODES_REGISTERED)
    return _over_time(
        timeline,
        _curves([(nodes, lambda p: Curve("registered", *p, colour=1, area=True))]),
        key="registrations",
        title="Nodes registered",
        note="At the head-end, by its own registration table.",
        unit="count",
        y_title="nodes",
        y=_COUNTS,
        text=count,
    )


def _by_component(found: dict[str, Points]) -> list[Curve]:
    return [Curve(name, *found[name], colour=i) for i, name in enumerate(sorted(found), 1)]


def _resources(record: RunRecord, timeline: Timeline) -> list[Chart | None]:
    sizes = partial(linear_scale, text=octets, base=2.0)
    numbers = partial(linear_scale, text=figure)
    cpu = by_source(record, Metric.CPU_S, rate)
    memory = by_source(record, Metric.RSS_BYTES)
    received = by_source(record, Metric.RECEIVED_BYTES, rate)
    kept = by_source(record, Metric.STORE_BYTES)
    commits = by_source(record, Metric.COMMIT_S, worst=True)
    draw = partial(_over_time, timeline)
    return [
        draw(
            _by_component(cpu),
            key="cpu",
            title="Processor time by component",
            note="Processor seconds used in each second: 1 is one core kept busy.",
            unit="cores",
            y_title="cores",
            y=numbers,
            text=figure,
        ),
        draw(
            _by_component(memory),
            key="memory",
            title="Memory by component",
            note="Resident memory.",
            unit="octets",
            y_title="resident",
            y=sizes,
            text=octets,
        ),
        draw(
            _by_component(received),
            key="network",
            title="Network traffic received",
            note="By component, on all its connections.",
            unit="rate",
            y_title="per second",
            y=sizes,
            text=octets,
        ),
        draw(
            _by_component(kept),
            key="store",
            title="Size of the store",
            note="On disk.",
            unit="octets",
            y_title="on disk",
            y=sizes,
            text=octets,
        ),
        draw(
            _by_component(commits),
            key="commits",
            title="Commit time of the store",
            note="How long each group commit took until it was durable.",
            unit="seconds",
            y_title="time",
            y=partial(linear_scale, text=seconds),
            text=seconds,
        ),
    ]


def _lag(record: RunRecord, timeline: Timeline) -> Chart | None:
    return _over_time(
        timeline,
        _by_component(by_source(record, Metric.LAG_S, worst=True)),
        key="lag",
        title="Lag of the load generator",
        note="How far behind its own plan the generator was. A large lag makes a run inconclusive.",
        unit="seconds",
        y_title="lag",
        y=partial(linear_scale, text=seconds),
        text=seconds,
    )
