"""What an explanation says, before it is text or JSON."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened: wall seconds since the run began, who, what."""

    at_s: float
    who: str
    what: str


@dataclass(frozen=True, slots=True)
class Message:
    """One captured message, decoded: outermost layer first.

    ``who`` says who spoke: the concentrator, or the head-end.
    """

    at_s: float
    file: str
    frame: int
    who: str
    octets: int
    layers: tuple[str, ...]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """One thing that a check is about: a reading, an alarm, a command, a link.

    ``moments`` are in order of time; ``unheard`` says why there is no exchange, if there is none.
    """

    title: str
    facts: tuple[str, ...] = ()
    moments: tuple[Moment, ...] = ()
    exchange: tuple[Message, ...] = ()
    unheard: str = ""
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """A check, what it means, what was measured, and whom it concerns.

    ``passed`` is None where the check could not be decided. ``found`` are sentences on all that is
    concerned; ``subjects`` the first few of it, ``more`` how many there are besides.
    """

    run: str
    check: str
    meaning: str
    limit: str
    measured: str
    passed: bool | None
    hint: str = ""
    found: tuple[str, ...] = ()
    subjects: tuple[Subject, ...] = ()
    more: int = 0
    next_steps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Listed:
    """One check that can be explained."""

    check: str
    limit: str
    measured: str
    passed: bool | None
    meaning: str


@dataclass(frozen=True, slots=True)
class Listing:
    """What did not pass in a run, and what else can be explained."""

    run: str
    verdict: str
    reasons: tuple[str, ...]
    troubled: tuple[Listed, ...]
    others: tuple[str, ...] = field(default=())
