"""Tiny recorded runs, built by code: passed, failed, inconclusive."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Literal

from reports.recording import (
    AlarmKind,
    Alarms,
    BatteryFigures,
    BillFigures,
    Check,
    ClassCounts,
    CommandCounts,
    CommandDone,
    Environment,
    FailureCause,
    FaultBegan,
    FaultEnded,
    FramesRefused,
    GapFilled,
    Generator,
    Grid,
    LatencyInterval,
    LatencyPercentiles,
    LinkMeasurement,
    Metric,
    Note,
    OperationFigures,
    PhaseEnded,
    PhaseStarted,
    ProcessDied,
    ProcessRestarted,
    ProcessStarted,
    Readings,
    Registrations,
    RunRecorder,
    RunStarted,
    RunTime,
    Sample,
    Severity,
    Storm,
    Throughput,
    Verdict,
    Warned,
    new_histogram,
    record_latency,
)

SPEED = 60.0
STEPS = 4
STEP_S = 900.0
METERS = 70_000
DURATION_S = 75

LINKS = ("mobile 600 ms", "mobile 800 ms", "mobile 1000 ms", "mobile 1400 ms")


def _classes() -> dict[str, tuple[ClassCounts, ...]]:
    link = tuple(
        ClassCounts(
            name=name,
            concentrators=250,
            meters=17_500,
            owed=52_000 - 1_300 * i,
            deferred=700 * i,
            stored=52_000 - 1_300 * i,
            correct=52_000 - 1_300 * i,
            late=12 * i * i,
            push_p50_s=1.24 + 0.42 * i,
            push_p99_s=2.2 + 1.1 * i,
        )
        for i, name in enumerate(LINKS)
    )
    concentrators = (
        ClassCounts(
            name="always reachable",
            concentrators=700,
            meters=49_000,
            owed=182_000,
            stored=182_000,
            correct=182_000,
            push_p50_s=1.8,
            push_p99_s=4.4,
        ),
        ClassCounts(
            name="10 % of the day",
            concentrators=300,
            meters=21_000,
            owed=18_200,
            deferred=4_200,
            stored=18_200,
            correct=18_200,
            late=168,
            push_p50_s=2.1,
            push_p99_s=5.6,
        ),
    )
    return {"link": link, "concentrator accessibility": concentrators}


def passed_verdict() -> Verdict:
    """A verdict of a run in which all went well."""
    return Verdict(
        verdict="passed",
        scenario="quickstart",
        seed=7,
        speed=SPEED,
        grid=Grid(concentrators=1000, meters=METERS, steps=STEPS),
        checks=(
            Check(name="readings.lost", limit="== 0", measured=0, passed=True),
            Check(name="readings.wrong", limit="== 0", measured=0, passed=True),
            Check(name="readings.late", limit="<= 0.5 %", measured="0.084 %", passed=True),
            Check(name="push.latency.p99", limit="<= 30 s", measured="5.1 s", passed=True),
        ),
        readings=Readings(
            owed=200_200,
            deferred=4_200,
            sent=200_340,
            acknowledged=200_200,
            stored=200_200,
            correct=200_200,
            late=168,
        ),
        throughput=Throughput(readings_per_s=2_669.3, times_real_time=34.3),
        latency_s={
            "push": LatencyPercentiles(p50=1.84, p90=3.1, p99=5.1, p99_9=7.9, max=9.4),
            "command": LatencyPercentiles(p50=2.3, p90=4.0, p99=6.6, p99_9=8.8, max=9.0),
        },
        resources={
            "fleet-0": {"cpu_s": 21.4, "rss_mib_max": 212.5, "descriptors_max": 1043},
            "headend": {"cpu_s": 17.9, "rss_mib_max": 148.0, "descriptors_max": 1022},
            "store": {"bytes": 6_291_456, "commit_s_p99": 0.021},
        },
        generator=Generator(lag_s_max=0.0085),
        classes=_classes(),
        links=tuple(
            LinkMeasurement(
                link=name,
                quantity="one-way delay, mean",
                unit="ms",
                set=float(mean),
                drawn=mean * 1.002,
                measured=mean * 1.006,
                agrees=True,
            )
            for name, mean in zip(LINKS, (600, 800, 1000, 1400), strict=True)
        ),
        commands=(
            CommandCounts(
                kind="disconnect",
                issued=500,
                executed=500,
                latency_s=LatencyPercentiles(p50=2.3, p90=4.0, p99=6.6, p99_9=8.8, max=9.0),
            ),
            CommandCounts(kind="switch segment", link=LINKS[3], issued=12, executed=12),
        ),
        environment=Environment(
            started_at="2026-11-20T14:03:11Z",
            ended_at="2026-11-20T14:04:26Z",
            wall_s=75.0,
            command="meterstorm run scenarios/quickstart.toml --seed 7",
            versions={"meterstorm": "0.1.0", "python": "3.11.2", "duckdb": "2.0.0"},
            host={"processor": "2 cores", "memory": "7.6 GiB", "kernel": "Linux 6.1"},
        ),
    )


def failed_verdict() -> Verdict:
    """A verdict of a run that lost acknowledged readings and stored a wrong one."""
    passed = passed_verdict()
    return replace(
        passed,
        verdict="failed",
        scenario="head-end killed under load",
        reasons=("412 acknowledged readings are not in the store", "1 reading has a wrong value"),
        checks=(
            Check(
                name="readings.lost",
                limit="== 0",
                measured=412,
                passed=False,
                explanation="412 owed readings reached the head-end and are not in the store; "
                "412 of them had been acknowledged.",
            ),
            Check(name="readings.wrong", limit="== 0", measured=1, passed=False),
            *passed.checks[2:],
        ),
        readings=replace(
            passed.readings,
            stored=199_788,
            correct=199_787,
            wrong=1,
            lost=412,
            lost_acknowledged=412,
        ),
        failures=(
            FailureCause(
                cause="connection reset while awaiting confirmation",
                where="fleet",
                count=991,
                first_s=31.2,
                last_s=33.9,
                example="concentrator 117: peer closed after 1,204 octets",
            ),
            FailureCause(cause="replayed invocation counter", where="headend", count=3),
        ),
    )


def ansi_verdict() -> Verdict:
    """A passed verdict of a run with alarms and a storm of registrations."""
    noon_s = 1_795_262_400
    return replace(
        passed_verdict(),
        alarms=Alarms(
            owed=7_350,
            deferred=12,
            sent=7_350,
            acknowledged=7_350,
            stored=7_350,
            correct=7_350,
            kinds=(
                _kind("log", 38, "Self-check error detected", "critical", 35, noon_s, 0),
                _kind("log", 47, "Tamper attempt detected", "alarm", 350, noon_s + 100, 0),
                _kind("status", 12, "Tamper detected", "alarm", 350, noon_s + 900, 0),
                _kind("log", 1, "Primary power down", "warning", 3_300, noon_s + 1_000, 0),
                _kind("log", 2, "Primary power up", "info", 3_315, noon_s + 1_600, 900),
            ),
        ),
        registrations=Registrations(
            nodes=71_000,
            registered=92_300,
            renewed=71_000,
            expired=21_300,
            refused=4_120,
            retried=4_207,
            storms=(
                Storm(
                    number=1,
                    began_s=30.0,
                    ended_s=34.0,
                    nodes=21_300,
                    again=21_300,
                    half_s=3.1,
                    most_s=8.4,
                    last_s=9.72,
                ),
                Storm(number=2, began_s=60.0, ended_s=65.0, nodes=7_100, again=7_099, half_s=2.0),
            ),
        ),
    )


def _kind(
    source: Literal["log", "status"],
    code: int,
    name: str,
    severity: Severity,
    count: int,
    first_s: int,
    lasted_s: int,
) -> AlarmKind:
    return AlarmKind(
        source=source,
        code=code,
        name=name,
        severity=severity,
        owed=count,
        stored=count,
        first_s=first_s,
        last_s=first_s + lasted_s,
    )


def _write_node_samples(recorder: RunRecorder) -> None:
    """Write how alarms came and nodes registered, with a storm."""
    for second in range(DURATION_S + 1):
        away = 21_300 * max(0.0, 1 - max(0, second - 34) / 9.7) if second >= 30 else 0.0
        registered = 71_000 * min(1.0, second / 5) - away
        owed = 1_837.5 * min(max((second - 5) // 15 + 1, 0), STEPS)
        for metric, value in (
            (Metric.NODES_REGISTERED, registered),
            (Metric.ALARMS_OWED, owed),
            (Metric.ALARMS_STORED, owed),
        ):
            recorder.sample(Sample(_at(second), "run", metric, value))


def systems_verdict() -> Verdict:
    """A failed verdict of a run with batteries and bills, of which something is wrong."""
    passed = passed_verdict()
    return replace(
        passed,
        verdict="failed",
        scenario="batteries",
        reasons=("batteries.invented is 1, the limit is == 0",),
        checks=(
            Check(name="batteries.lost", limit="== 0", measured=0, passed=True),
            Check(name="batteries.invented", limit="== 0", measured=1, passed=False),
        ),
        latency_s=passed.latency_s
        | {"bal.status": LatencyPercentiles(p50=2.0, p90=3.0, p99=4.0, p99_9=5.0, max=6.0)},
        batteries=BatteryFigures(
            batteries=200,
            virtual=34,
            commands_asked=80,
            commands_accepted=72,
            commands_lost=1,
            commands_refused=5,
            executed=465,
            orders={"executed": 463, "superseded": 255, "open": 2},
            invented=1,
            examples=("invented: battery-0000042 at 1795286945993 ms: -7 was executed unordered",),
        ),
        operations=(
            OperationFigures(
                name="bal.status",
                system="bal",
                asked=100,
                answered=97,
                refused=1,
                failed=2,
                lasted_s=10.0,
            ),
            OperationFigures(
                name="bal.command",
                system="bal",
                asked=80,
                answered=72,
                refused=5,
                failed=3,
                lasted_s=10.0,
            ),
        ),
        bills=BillFigures(
            months=("2026-10",),
            due=1_000,
            correct=997,
            wrong=2,
            missing=1,
            explained=1,
            made_s=1.34,
            examples=("wrong: meter 7, 2026-10: 31.22, not 31.23",),
        ),
    )


def inconclusive_verdict() -> Verdict:
    """A verdict of a run whose generator fell behind."""
    return replace(
        passed_verdict(),
        verdict="inconclusive",
        scenario="stalled generator",
        reasons=("the load generator lagged 2.03 s behind its plan; the bound is 1 s",),
        checks=(
            *passed_verdict().checks,
            Check(name="links.fidelity", limit="within 5 %", measured=None, passed=None),
        ),
        generator=Generator(lag_s_max=2.03),
        distrust=("Meters are emulated behind their concentrator, without a PLC segment.",),
    )


def record_run(run_dir: Path, verdict: Verdict | None) -> Path:
    """Write a complete small run to ``run_dir`` and return it; no verdict: cut short before it."""
    with RunRecorder(run_dir) as recorder:
        _write_events(recorder, verdict)
        _write_samples(recorder)
        _write_latency(recorder)
        if verdict is not None and verdict.alarms is not None:
            _write_node_samples(recorder)
        recorder.resolved(_resolved())
        recorder.files.scenario.write_text('name = "quickstart"\nseed = 7\n', encoding="utf-8")
        if verdict is not None:
            recorder.verdict(verdict)
    return run_dir


def _resolved() -> dict[str, object]:
    return {
        "name": "quickstart",
        "seed": 7,
        "grid": {
            "transformer_stations": 1000,
            "sizes": [
                {"name": "small", "share": "20 %", "meters": [1, 20]},
                {"name": "large", "share": "80 %", "meters": [21, 140]},
            ],
        },
        "plan": {"steps": STEPS, "step": "900.0 s", "mode": "push"},
        "checks": {"readings.lost": "== 0"},
    }


def _at(wall_s: float) -> RunTime:
    return RunTime((wall_s - 5) * SPEED, wall_s)


def _write_events(recorder: RunRecorder, verdict: Verdict | None) -> None:
    events = (
        RunStarted(
            at=_at(0.0),
            scenario="quickstart" if verdict is None else verdict.scenario,
            seed=7,
            speed=SPEED,
            started_at="2026-11-20T14:03:11Z",
            command="meterstorm run scenarios/quickstart.toml --seed 7",
        ),
        PhaseStarted(at=_at(0.0), phase="set-up"),
        ProcessStarted(at=_at(1.0), process="headend", pid=4711),
        PhaseEnded(at=_at(5.0), phase="set-up"),
        PhaseStarted(at=_at(5.0), phase="timeline"),
        FaultBegan(at=_at(30.0), fault="head-end killed", description="SIGKILL while under load"),
        ProcessDied(at=_at(30.0), process="headend", pid=4711, status=-9),
        ProcessRestarted(at=_at(34.0), process="headend", pid=4788),
        FaultEnded(at=_at(34.0), fault="head-end killed"),
        FramesRefused(at=_at(40.0), where="headend", cause="replayed invocation counter", count=3),
        GapFilled(at=_at(41.0), concentrator=117, readings=64),
        CommandDone(
            at=_at(44.0),
            command="disconnect",
            meter=12,
            link=LINKS[0],
            outcome="executed",
            latency_s=2.4,
        ),
        Note(at=_at(45.0), text="checkpoint of the store"),
        PhaseEnded(at=_at(65.0), phase="timeline"),
        PhaseStarted(at=_at(65.0), phase="drain"),
        Warned(at=_at(70.0), text="The machine was busy: load average 3.1 on 2 cores."),
        PhaseEnded(at=_at(75.0), phase="drain"),
    )
    for event in events:
        recorder.event(event)


def _write_samples(recorder: RunRecorder) -> None:
    stored = 0.0
    for second in range(DURATION_S + 1):
        at = _at(second)
        owed = 50_050.0 * min(max(int((second - 5) // 15) + 1, 0), STEPS)
        if not 30 <= second < 34:
            stored += (owed - stored) * 0.28
        values: tuple[tuple[str, str, float], ...] = (
            ("run", Metric.OWED, owed),
            ("run", Metric.SENT, stored + (owed - stored) * 0.4),
            ("run", Metric.ACKNOWLEDGED, stored),
            ("run", Metric.STORED, stored),
            ("run", Metric.METERS_PLANNED, 50_050.0 + 2_000 * math.sin(second / 9)),
            ("run", Metric.METERS_HEARD, 49_300.0 + 2_000 * math.sin(second / 9 - 0.2)),
            ("fleet-0", Metric.CPU_S, 0.28 * second),
            ("fleet-0", Metric.RSS_BYTES, 2.1e8 + 1e5 * second),
            ("headend", Metric.CPU_S, 0.22 * second + 0.4 * math.sin(second / 3)),
            ("headend", Metric.RSS_BYTES, 1.2e8 + 3e5 * second),
            ("store", Metric.STORE_BYTES, 8e4 * second),
            ("fleet-0", Metric.LAG_S, 0.002 + 0.004 * (second % 7 == 0)),
        )
        for source, metric, value in values:
            recorder.sample(Sample(at, source, metric, value))


def _write_latency(recorder: RunRecorder) -> None:
    for start in range(5, 75, 5):
        for series, scale in (("push", 1.8), ("command", 2.3)):
            histogram = new_histogram()
            slow = 1.0 if start == 30 else 0.4
            for i in range(1, 1000):
                # Most are quick, few are slow: the tail of a lossy link.
                record_latency(histogram, scale * (0.5 - slow * math.log(1 - i / 1000) / 2))
            recorder.latency(LatencyInterval(series, start, start + 5, histogram))
