"""Where the parts of a recorded run lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["RunFiles"]


@dataclass(frozen=True, slots=True)
class RunFiles:
    """The paths of one run directory that belong to the record and its views."""

    directory: Path

    @property
    def scenario(self) -> Path:
        """The scenario as it was given."""
        return self.directory / "scenario.toml"

    @property
    def resolved(self) -> Path:
        """The scenario with its defaults filled in."""
        return self.directory / "resolved.json"

    @property
    def events(self) -> Path:
        """What happened."""
        return self.directory / "events.ndjson.zst"

    @property
    def latency(self) -> Path:
        """Latency histograms."""
        return self.directory / "latency.hlog"

    @property
    def metrics(self) -> Path:
        """Time series."""
        return self.directory / "metrics.parquet"

    @property
    def links(self) -> Path:
        """What a lab counted; only of runs that had one."""
        return self.directory / "links.json"

    @property
    def probes(self) -> Path:
        """What probes measured on the links of a lab, a line each; only of runs that had one."""
        return self.directory / "probes.ndjson"

    @property
    def verdict(self) -> Path:
        """What the run concluded."""
        return self.directory / "verdict.json"

    @property
    def record(self) -> tuple[Path, ...]:
        """All parts of the record, from which the views are made."""
        parts = (self.verdict, self.scenario, self.resolved)
        return (*parts, self.events, self.latency, self.metrics)

    @property
    def junit(self) -> Path:
        """View for test dashboards."""
        return self.directory / "junit.xml"

    @property
    def summary(self) -> Path:
        """View for job summaries."""
        return self.directory / "summary.md"

    @property
    def report(self) -> Path:
        """View for people."""
        return self.directory / "report.html"
