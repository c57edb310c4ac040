"""Scenarios: what a run is asked to do, from a TOML file to one immutable value."""

from __future__ import annotations

from harness.scenario.c12 import C12
from harness.scenario.model import (
    Capture,
    CommandKinds,
    Commands,
    Limits,
    Load,
    Scenario,
    Security,
    Window,
    json_schema,
    json_schema_text,
)
from harness.scenario.target import (
    Api,
    Defects,
    DuckDbStore,
    External,
    GapFilling,
    PostgreSqlStore,
    Pull,
    ReadBackFiles,
    ReadBackSql,
    Reference,
    Watch,
)
from harness.scenario.timeline import Freeze, Kill, MeterEvent, Outage, meter_event_spans

__all__ = [
    "C12",
    "Api",
    "Capture",
    "CommandKinds",
    "Commands",
    "Defects",
    "DuckDbStore",
    "External",
    "Freeze",
    "GapFilling",
    "Kill",
    "Limits",
    "Load",
    "MeterEvent",
    "Outage",
    "PostgreSqlStore",
    "Pull",
    "ReadBackFiles",
    "ReadBackSql",
    "Reference",
    "Scenario",
    "Security",
    "Watch",
    "Window",
    "json_schema",
    "json_schema_text",
    "meter_event_spans",
]
