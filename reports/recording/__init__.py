"""The recorded run: its schema, its writer and its reader.

The harness writes through `RunRecorder`; every view is a function of what `RunRecord.load` returns.
"""

from reports.recording.alarms import AlarmKind, Alarms, Registrations, Severity, Storm
from reports.recording.batteries import BatteryFigures
from reports.recording.bills import BillFigures
from reports.recording.errors import RecordError
from reports.recording.events import (
    CommandDone,
    Event,
    FaultBegan,
    FaultEnded,
    FramesRefused,
    GapFilled,
    Note,
    PhaseEnded,
    PhaseStarted,
    ProcessDied,
    ProcessRestarted,
    ProcessStarted,
    RunStarted,
    Warned,
)
from reports.recording.files import RunFiles
from reports.recording.lab import (
    FaultCount,
    LabRecord,
    LabSample,
    LinkCount,
    ListenCount,
    TrackingCount,
)
from reports.recording.latency import (
    LatencyInterval,
    latencies_at,
    merge_intervals,
    new_histogram,
    percentiles,
    record_latency,
)
from reports.recording.operations import OperationFigures
from reports.recording.record import RunRecord
from reports.recording.recorder import RunRecorder, write_atomically, write_verdict
from reports.recording.recovery import Recovery
from reports.recording.series import Metric, Sample, Series
from reports.recording.times import RunTime
from reports.recording.verdict import (
    Check,
    ClassCounts,
    CommandCounts,
    Environment,
    FailureCause,
    Generator,
    Grid,
    LatencyPercentiles,
    LinkMeasurement,
    Outcome,
    Readings,
    Throughput,
    Verdict,
    load_verdict,
)

__all__ = [
    "AlarmKind",
    "Alarms",
    "BatteryFigures",
    "BillFigures",
    "Check",
    "ClassCounts",
    "CommandCounts",
    "CommandDone",
    "Environment",
    "Event",
    "FailureCause",
    "FaultBegan",
    "FaultCount",
    "FaultEnded",
    "FramesRefused",
    "GapFilled",
    "Generator",
    "Grid",
    "LabRecord",
    "LabSample",
    "LatencyInterval",
    "LatencyPercentiles",
    "LinkCount",
    "LinkMeasurement",
    "ListenCount",
    "Metric",
    "Note",
    "OperationFigures",
    "Outcome",
    "PhaseEnded",
    "PhaseStarted",
    "ProcessDied",
    "ProcessRestarted",
    "ProcessStarted",
    "Readings",
    "RecordError",
    "Recovery",
    "Registrations",
    "RunFiles",
    "RunRecord",
    "RunRecorder",
    "RunStarted",
    "RunTime",
    "Sample",
    "Series",
    "Severity",
    "Storm",
    "Throughput",
    "TrackingCount",
    "Verdict",
    "Warned",
    "latencies_at",
    "load_verdict",
    "merge_intervals",
    "new_histogram",
    "percentiles",
    "record_latency",
    "write_atomically",
    "write_verdict",
]
