"""Why a verb did not do its job, and the exit code that says so."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Self

ENVIRONMENT_ERRORS: Final = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT, errno.EROFS}
)
"""Operating system errors that say that this machine cannot do it."""


class ExitCode(IntEnum):
    """What the exit status of ``meterstorm`` means; a script may rely on each of them."""

    meaning: str

    def __new__(cls, status: int, meaning: str) -> Self:
        """Return the member for ``status``; ``meaning`` says it to people."""
        member = int.__new__(cls, status)
        member._value_ = status
        member.meaning = meaning
        return member

    PASSED = 0, "passed"
    FAILED = 1, "a check failed: the system under test did something wrong"
    INCONCLUSIVE = 2, "inconclusive: the run proves nothing; the report says why"
    BAD_SCENARIO = 3, "bad scenario or arguments; the message names file, line and key"
    ENVIRONMENT = 4, "this machine cannot run it; meterstorm doctor says what is missing"
    BUG = 70, "a mistake in Meterstorm itself; the message names the traceback"
    INTERRUPTED = 130, "interrupted; what was recorded is kept and reported"


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the errors of a group, however deep it is; an error that is no group, itself."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from causes(inner)
    else:
        yield error


class HarnessError(Exception):
    """Base of the errors that end a verb with an exit code of their own; never raised itself."""

    exit_code: ExitCode


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a scenario and the place where it is written.

    ``line`` counts from 1 and is None when the place has none, as an override on the command line.
    ``key`` is the dotted path including list indices, empty for the file as a whole. ``nearest``
    is the valid key (or value) that was probably meant.
    """

    file: str
    line: int | None
    key: str
    message: str
    nearest: str | None = None

    def __str__(self) -> str:
        """Return the problem in one line, as compilers write theirs."""
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        parts = [place, self.key, self.message] if self.key else [place, self.message]
        hint = "" if self.nearest is None else f'; did you mean "{self.nearest}"?'
        return ": ".join(parts) + hint


class ScenarioError(HarnessError):
    """A scenario cannot be used; ``problems`` holds everything found, in the order of the file."""

    exit_code = ExitCode.BAD_SCENARIO

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class EnvironmentUnfitError(HarnessError):
    """This machine lacks something the job needs; the message says what and how to get it."""

    exit_code = ExitCode.ENVIRONMENT


def links_unfit(tier: str, reason: str, mend: str) -> EnvironmentUnfitError:
    """Return the error that says why this machine has no links of a tier, and what mends it."""
    return EnvironmentUnfitError(f'link = "{tier}" does not work here: {reason}; {mend}')


class ArgumentsError(HarnessError):
    """What was asked for on the command line makes no sense; the message says why."""

    exit_code = ExitCode.BAD_SCENARIO
