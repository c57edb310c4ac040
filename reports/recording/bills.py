"""The account of bills, as a verdict has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pydantic import ConfigDict

_STRICT: Final = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class BillFigures:
    """Bills of the months that the plan covers, against what they must be.

    ``due`` splits into correct, wrong and missing. ``twice`` counts bills beyond the first of a
    meter and month, ``invented`` those of no meter or month of the plan. ``explained`` of the wrong
    and missing ones follow from readings that the store lacks or has otherwise. ``made_s`` is how
    long the making of all of them took, in real seconds, as billing says; None where it does not.
    ``examples`` are sentences.
    """

    __pydantic_config__ = _STRICT

    months: tuple[str, ...] = ()
    due: int = 0
    correct: int = 0
    wrong: int = 0
    missing: int = 0
    twice: int = 0
    invented: int = 0
    explained: int = 0
    made_s: float | None = None
    examples: tuple[str, ...] = ()
