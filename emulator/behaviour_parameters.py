"""What a scenario says about the grid's behaviour: the parameters of its generator.

The attribute docstrings are the descriptions in the scenario's JSON Schema.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from emulator.parameters import DAY_S, STEPS_MAX, WHOLE_PPM, Name, Parameters, require_whole
from netem.units import Duration, PartsPerMillion

SPAN_DAYS_MAX: Final = 3 * 366
_OFFSET: Final = re.compile(r"([+-])(0\d|1[0-4]):(00|15|30|45)")


def _check_first(text: str) -> str:
    if text == "auto":
        return text
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f'"{text}" is neither "auto" nor an ISO 8601 date and time') from None
    if moment.tzinfo is None or moment.microsecond:
        raise ValueError(
            f'"{text}" needs whole seconds and an offset, such as "2026-03-02T00:00:00+01:00"'
        )
    return text


def _check_offset(text: str) -> str:
    if _OFFSET.fullmatch(text) is None:
        raise ValueError(f'"{text}" is no offset from UTC: write one such as "+01:00"')
    return text


class AccessibilityClass(Parameters):
    """A category of concentrators or meters by how much of the day they are reachable."""

    name: Name
    """What reports call the category."""
    share: PartsPerMillion
    """Share of the concentrators, or of the meters."""
    reachable: PartsPerMillion = Field("100 %", validate_default=True)
    """Share of the day in which one of them is reachable, exact in the long run."""
    windows_per_day: Annotated[int, Field(ge=1, le=1440)] = 4
    """Into how many windows a day that time is cut; at most the steps of a day."""


_ALWAYS: Final = ({"name": "always", "share": "100 %"},)
Accessibility = Annotated[tuple[AccessibilityClass, ...], Field(min_length=1, max_length=100)]


class BehaviourParameters(Parameters):
    """Parameters of the grid behaviour generator."""

    mode: Literal["push", "pull"] = "push"
    """Whether concentrators push their readings or the head-end asks for them."""
    steps: Annotated[int, Field(ge=1, le=STEPS_MAX)] = 288
    """Number of steps, one reading of every meter each."""
    preloaded: Annotated[int, Field(ge=0, le=STEPS_MAX)] = 0
    """Number of steps before the first one whose readings the store already holds when the run
    begins: history that nobody lives through. Only the reference head-end can be given any."""
    step: Duration = Field("15 min", validate_default=True)
    """Time between steps: whole seconds that divide the day."""
    first: Annotated[str, AfterValidator(_check_first)] = "auto"
    """Time of the first step, ISO 8601 with an offset; "auto": the last step lies before now."""
    utc_offset: Annotated[str, AfterValidator(_check_offset)] = "+01:00"
    """The meters' local time, which tariffs and patterns follow; no daylight saving."""
    spread: PartsPerMillion = Field("50 %", validate_default=True)
    """The part of a step over which the concentrators' pushes are spread."""
    concentrators: Accessibility = Field(_ALWAYS, validate_default=True)
    """Accessibility of the concentrators from the head-end."""
    meters: Accessibility = Field(_ALWAYS, validate_default=True)
    """Accessibility of the meters from their concentrator."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.step < 1 or DAY_S % self.step:
            raise ValueError(f"a step of {self.step:g} s: whole seconds that divide the day")
        steps = self.preloaded + self.steps
        if steps * self.step > SPAN_DAYS_MAX * DAY_S:
            raise ValueError(
                f"{steps:,} steps of {self.step:g} s are {steps * self.step / DAY_S:,.0f}"
                f" days: the most is {SPAN_DAYS_MAX:,}, or registers could overflow"
            )
        for name in ("concentrators", "meters"):
            classes: tuple[AccessibilityClass, ...] = getattr(self, name)
            require_whole(name, classes)
            for category in classes:
                limited = category.reachable < WHOLE_PPM
                if limited and category.windows_per_day > self.steps_per_day:
                    raise ValueError(
                        f'{category.windows_per_day} windows a day in {name} "{category.name}", '
                        f"but a day has {self.steps_per_day} steps"
                    )
        return self

    @property
    def step_s(self) -> int:
        """Time between steps in seconds, 1..86,400."""
        return int(self.step)

    @property
    def steps_per_day(self) -> int:
        """Steps in a day, 1..86,400."""
        return DAY_S // self.step_s

    @property
    def utc_offset_s(self) -> int:
        """What the meters' local time is ahead of UTC, in seconds."""
        hours, minutes = int(self.utc_offset[1:3]), int(self.utc_offset[4:])
        return (hours * 3600 + minutes * 60) * (-1 if self.utc_offset[0] == "-" else 1)


def first_step_s(behaviour: BehaviourParameters, now_s: float) -> int:
    """Return the POSIX time of step 0.

    With ``first = "auto"`` the steps stand on whole multiples of the step in local time, and the
    last one lies one to two steps before ``now_s``, so that a foreign system that checks time
    stamps accepts a compressed run.
    """
    if behaviour.first != "auto":
        return int(datetime.fromisoformat(behaviour.first).timestamp())
    step_s, offset_s = behaviour.step_s, behaviour.utc_offset_s
    latest_s = (int(now_s) + offset_s) // step_s * step_s - offset_s
    return latest_s - behaviour.steps * step_s
