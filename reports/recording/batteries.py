"""The account of batteries and of the layer that commanded them, as a verdict has it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from pydantic import ConfigDict

_STRICT: Final = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatteryFigures:
    """Batteries, what was commanded, and what their own records say of it.

    ``commands_accepted`` were accepted from clients, ``commands_lost`` of them the layer's journal
    does not know. ``orders`` counts what the layer told batteries by what became of it. The rest
    are findings of the batteries' own records: entries ``beyond_limits`` of a battery or
    ``unaccounted``, whose charge does not follow from the one before; orders ``lost`` that were
    said to be executed, executed ``twice``, or ``invented`` by nobody.

    ``obeyed`` things that clients told virtual batteries, or set points, were seen done by the
    batteries behind; of ``disobeyed`` ones the batteries did something else for too long, and of
    ``unjudged`` ones neither is known.

    Without a ``journal``, as of a layer that is not ours, what follows from it is None: nobody can
    say it.

    ``accounts`` are the virtual meters whose records were held against the orders, and
    ``unconserved`` what does not add up; both None: the layer did not say what they registered.
    ``snapshots`` that clients got were held against the batteries' records, and ``mixed_snapshots``
    cannot be of the interval that they name. ``examples`` are sentences.
    """

    __pydantic_config__ = _STRICT

    journal: bool = True
    batteries: int = 0
    virtual: int = 0
    commands_asked: int = 0
    commands_accepted: int = 0
    commands_lost: int | None = 0
    commands_refused: int = 0
    executed: int = 0
    orders: dict[str, int] = field(default_factory=dict)
    beyond_limits: int = 0
    unaccounted: int = 0
    lost: int | None = 0
    twice: int | None = 0
    invented: int | None = 0
    accounts: int | None = None
    unconserved: int | None = 0
    snapshots: int = 0
    mixed_snapshots: int | None = 0
    obeyed: int = 0
    disobeyed: int | None = None
    unjudged: int = 0
    examples: tuple[str, ...] = ()
