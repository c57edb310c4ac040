"""When something happened in a run, on both of its clocks."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ConfigDict

__all__ = ["RunTime"]


@dataclass(frozen=True, slots=True)
class RunTime:
    """A moment of a run.

    Attributes:
        scenario_s: Seconds of the scenario clock since the first interval; negative before it.
        wall_s: Seconds of the wall clock since the run began.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)

    scenario_s: float
    wall_s: float
