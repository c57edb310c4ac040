"""What became of a command that a client gave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Commanded:
    """A command and what its system said last.

    Attributes:
        due_us: when it was due, microseconds after the start; the same holds for ``answered_us``.
        status: of the answer; 0 where none came in time.
        answer: what it said, as far as it is JSON.
    """

    operation: str
    command: str
    subject: str
    body: Mapping[str, Any]
    due_us: int
    attempts: int
    answered_us: int
    status: int
    answer: Any

    @property
    def accepted(self) -> bool:
        """Whether the system took it upon itself."""
        return 200 <= self.status < 300
