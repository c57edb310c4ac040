"""What all parts of a scenario share: the model base, scenario time and files beside a scenario."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from harness.parts import Part
from netem.units import DURATION_S, parse_quantity

__all__ = [
    "Part",
    "ScenarioFile",
    "ScenarioTime",
    "Url",
    "complaint",
    "folder_of",
    "not_yet",
    "reference_by_default",
]


def not_yet(**later: str) -> BeforeValidator:
    """Return a validator that refuses each word of ``later`` for the reason given with it."""

    def refuse(value: object) -> object:
        if isinstance(value, str) and value in later:
            raise PydanticCustomError("not_yet", "{reason}", {"reason": later[value]})
        return value

    return BeforeValidator(refuse)


def reference_by_default(value: object) -> object:
    """Return a target as it was written: ours, unless it says otherwise."""
    return {"kind": "reference", **value} if isinstance(value, dict) else value


_CLOCK_TIME: Final = re.compile(r"\s*([0-9]+):([0-5][0-9])(?::([0-5][0-9]))?\s*")


def _scenario_time(value: object) -> float:
    if not isinstance(value, str):
        raise ValueError(f'write hours and minutes ("00:20") or a duration, not {value!r}')
    clock = _CLOCK_TIME.fullmatch(value)
    if clock is None:
        return float(parse_quantity(value, DURATION_S))
    hours, minutes, seconds = (int(part or 0) for part in clock.groups())
    return float(hours * 3600 + minutes * 60 + seconds)


ScenarioTime = Annotated[
    float,
    BeforeValidator(_scenario_time),
    Field(ge=0),
    PlainSerializer(lambda value: f"{value} s", return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^\s*([0-9]+:[0-5][0-9](:[0-5][0-9])?"
            r"|[0-9][0-9_]*(\.[0-9]+)?\s*(us|ms|s|min|h|d))\s*$",
            "examples": ["00:20", "20 min"],
        }
    ),
]
"""Seconds of scenario time since the run's start, from ``"00:20"`` or ``"20 min"``."""


def folder_of(info: ValidationInfo) -> Path | None:
    """Return the scenario's folder, or None for a resolved scenario.

    What that names is not looked for: it may have been resolved on another machine.
    """
    folder: Path | None = (info.context or {}).get("folder")
    return folder


def _beside_the_scenario(path: Path, info: ValidationInfo) -> Path:
    folder = folder_of(info)
    if folder is None:
        return path
    found = (folder / path).resolve()
    if not found.is_file():
        raise ValueError(f"there is no file {found}")
    return found


ScenarioFile = Annotated[Path, AfterValidator(_beside_the_scenario)]
"""A file that must exist; a relative path starts at the scenario's folder."""

Url = Annotated[str, Field(pattern=r"^https?://")]
"""Address of something that speaks HTTP."""


def complaint(
    path: tuple[str | int, ...], value: object, message: str, meant: str | None = None
) -> InitErrorDetails:
    """Return one error at ``path``, to be raised with others in one ValidationError."""
    context = {"message": message, "nearest": meant}
    error = PydanticCustomError("scenario", "{message}", context)
    return InitErrorDetails(type=error, loc=path, input=value)
