"""Scenarios: what a run is asked to do, from a TOML file to one immutable value."""

from __future__ import annotations

from harness.scenario.model import (
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
from harness.scenario.timeline import Freeze, Kill, Outage

__all__ = [
    "Api",
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
]
