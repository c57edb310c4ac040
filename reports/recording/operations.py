"""What clients asked of the systems beside the head-end, as a verdict has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pydantic import ConfigDict

_STRICT: Final = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationFigures:
    """One operation of one system. Latencies of its name are those of ``answered`` alone.

    Attributes:
        name: of the operation, which is that of its latencies, too: ``bal.status``.
        system: whom was asked.
        asked: requests that were sent; they split into answered, refused and failed.
        answered: as they should be.
        refused: with a reason that lies in the request (HTTP 4xx).
        failed: not at all, or with an error of the system.
        lasted_s: real seconds in which requests became due.
    """

    __pydantic_config__ = _STRICT

    name: str
    system: str
    asked: int
    answered: int
    refused: int
    failed: int
    lasted_s: float

    @property
    def answered_per_s(self) -> float:
        """Return requests answered in a real second."""
        return self.answered / self.lasted_s if self.lasted_s else 0.0
