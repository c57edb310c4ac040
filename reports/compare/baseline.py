"""A stored baseline: what a comparison needs of one or several runs of one build, as JSON.

The ``noise`` table of the file is for people: a share by pattern of figure, such as
``{"*.latency.p99": "25 %"}``, for figures that are known to be noisier, or quieter, than the rest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import ConfigDict, TypeAdapter, ValidationError

from reports.compare.subject import Subject
from reports.recording import RecordError, write_atomically
from reports.recording.errors import explain

__all__ = ["Baseline", "load_baseline", "parse_share", "save_baseline"]

_VERSION: Final = 1
_SHARE: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*%")


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The runs, and what somebody knows of the noise of figures."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    baseline_version: int = _VERSION
    noise: dict[str, str] = field(default_factory=dict)
    runs: tuple[Subject, ...]

    def shares(self) -> Mapping[str, float]:
        """Return the noise of figures, shares by pattern. Raises ValueError."""
        return {pattern: parse_share(text) for pattern, text in self.noise.items()}


_BASELINE: Final = TypeAdapter(Baseline)


def parse_share(text: str) -> float:
    """Return ``"15 %"`` as 0.15.

    Raises:
        ValueError: it is no share.
    """
    match = _SHARE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f'{text!r} is no share: write it as in "15 %"')
    return float(match[1]) / 100


def save_baseline(path: Path, runs: Sequence[Subject], noise: Mapping[str, str]) -> None:
    """Write or replace a baseline in one step. Raises OSError."""
    baseline = Baseline(noise=dict(noise), runs=tuple(runs))
    write_atomically(path, _BASELINE.dump_json(baseline, indent=1) + b"\n")


def load_baseline(path: Path) -> Baseline:
    """Read a baseline with at least one run.

    Raises:
        RecordError: the file is no baseline; the message names the key.
        OSError: it cannot be read.
    """
    try:
        baseline = _BASELINE.validate_json(path.read_bytes())
        baseline.shares()
        for run in baseline.runs:
            run.distributions()
    except ValidationError as error:
        raise RecordError(explain(error), path=path) from None
    except ValueError as error:
        raise RecordError(str(error), path=path) from None
    if baseline.baseline_version != _VERSION:
        told = f"baseline version {baseline.baseline_version}, this reader knows {_VERSION}"
        raise RecordError(told, path=path)
    if not baseline.runs:
        raise RecordError("runs: there is none", path=path)
    return baseline
