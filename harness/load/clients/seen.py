"""What a client was told of a battery, and when: to be held against the batteries afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Seen:
    """A snapshot of a battery, as far as it can be held against the batteries behind it.

    Attributes:
        asked_us: when it was asked for, microseconds after the start; so is ``answered_us``.
        charge_ma_ms: of its *current* values; ``oldest_ms`` and ``newest_ms`` are scenario time.
    """

    subject: str
    asked_us: int
    answered_us: int
    charge_ma_ms: int
    oldest_ms: int | None
    newest_ms: int | None
    sources: int
    sources_online: int

    @classmethod
    def of(cls, subject: str, asked_us: int, answered_us: int, answer: Any) -> Self | None:  # noqa: ANN401 - whatever the system said
        """Return what an answer says; None where it is no snapshot."""
        try:
            return cls(
                subject=subject,
                asked_us=asked_us,
                answered_us=answered_us,
                charge_ma_ms=int(answer["current"]["charge_ma_ms"]),
                oldest_ms=_moment(answer["oldest_ms"]),
                newest_ms=_moment(answer["newest_ms"]),
                sources=int(answer["sources"]),
                sources_online=int(answer["sources_online"]),
            )
        except (KeyError, TypeError, ValueError):
            return None


def _moment(said: int | None) -> int | None:
    return None if said is None else int(said)
