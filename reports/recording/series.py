"""Time series of a run: tidy samples in ``metrics.parquet``, one row a measurement.

DuckDB writes and reads the file, so no second Parquet library is needed.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import duckdb
import numpy as np

from reports.recording.errors import RecordError
from reports.recording.times import RunTime

__all__ = ["Metric", "Sample", "SampleBuffer", "Series", "read_series"]


class Metric(StrEnum):
    """Metrics that the reports know how to draw; a foreign system may add names of its own.

    Names ending in ``_total`` only grow. ``OWED`` to ``STORED``, meters, alarms and nodes come from
    source "run" (``label`` "" for all, or a class); process metrics from the component's name.
    """

    OWED = "readings_owed_total"
    SENT = "readings_sent_total"
    ACKNOWLEDGED = "readings_acknowledged_total"
    STORED = "readings_stored_total"
    PLANNED_IN_STEP = "readings_planned_in_step"
    STORED_IN_STEP = "readings_stored_in_step"
    METERS_PLANNED = "meters_planned"
    METERS_HEARD = "meters_heard"
    ALARMS_OWED = "alarms_owed_total"
    ALARMS_STORED = "alarms_stored_total"
    NODES_REGISTERED = "nodes_registered"
    CONNECTIONS = "connections"
    LAG_S = "lag_s"
    CPU_S = "cpu_s_total"
    RSS_BYTES = "rss_bytes"
    DESCRIPTORS = "descriptors"
    RECEIVED_BYTES = "received_bytes_total"
    TRANSMITTED_BYTES = "transmitted_bytes_total"
    STORE_BYTES = "store_bytes"
    COMMIT_S = "commit_s"


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement.

    Attributes:
        at: When.
        source: The component measured ("run", "fleet-0", "headend", "store", "locust").
        metric: What was measured; units are in the name.
        value: In the unit of the name.
        label: A class within the metric, such as a link class; empty for the whole.
    """

    at: RunTime
    source: str
    metric: str
    value: float
    label: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """All samples of one (source, metric, label), in order of wall time; equal lengths, float64."""

    source: str
    metric: str
    label: str
    scenario_s: Sequence[float]
    wall_s: Sequence[float]
    values: Sequence[float]


class SampleBuffer:
    """Samples kept in columns until they are written: about 50 bytes each."""

    def __init__(self) -> None:
        self._scenario_s = array("d")
        self._wall_s = array("d")
        self._values = array("d")
        self._names: dict[tuple[str, str, str], int] = {}
        self._name_of = array("q")

    def __len__(self) -> int:
        return len(self._values)

    def append(self, sample: Sample) -> None:
        """Keep ``sample``."""
        name = (sample.source, str(sample.metric), sample.label)
        self._scenario_s.append(sample.at.scenario_s)
        self._wall_s.append(sample.at.wall_s)
        self._values.append(sample.value)
        self._name_of.append(self._names.setdefault(name, len(self._names)))

    def write(self, path: Path) -> None:
        """Write all samples kept so far to ``path``, replacing it in one step."""
        unfinished = path.with_name(path.name + ".unfinished")
        names = np.array(list(self._names), dtype=object).reshape(-1, 3)
        name_of = np.array(self._name_of)
        columns = {  # read by DuckDB through its name
            "scenario_s": np.array(self._scenario_s),
            "wall_s": np.array(self._wall_s),
            "source": names[name_of, 0],
            "metric": names[name_of, 1],
            "label": names[name_of, 2],
            "value": np.array(self._values),
        }
        with duckdb.connect(":memory:") as connection:
            connection.execute(
                "CREATE TABLE samples (scenario_s DOUBLE, wall_s DOUBLE, source VARCHAR,"
                " metric VARCHAR, label VARCHAR, value DOUBLE)"
            )
            if len(self):
                connection.register("columns", columns)
                connection.execute("INSERT INTO samples BY NAME SELECT * FROM columns")
            connection.execute(
                "COPY samples TO $path (FORMAT parquet, COMPRESSION zstd)",
                {"path": str(unfinished)},
            )
        unfinished.replace(path)


_READ = """
    SELECT source, metric, label, list(scenario_s ORDER BY wall_s),
           list(wall_s ORDER BY wall_s), list(value ORDER BY wall_s)
    FROM read_parquet($path) GROUP BY ALL ORDER BY source, metric, label
"""


def read_series(path: Path) -> tuple[Series, ...]:
    """Read all series of ``metrics.parquet``, sorted by source, metric and label.

    Raises:
        RecordError: the file is damaged or lacks a column.
    """
    try:
        with duckdb.connect(":memory:") as connection:
            rows = connection.execute(_READ, {"path": str(path)}).fetchall()
    except duckdb.Error as error:
        raise RecordError(str(error).splitlines()[0], path=path) from None
    return tuple(Series(*row) for row in rows)
