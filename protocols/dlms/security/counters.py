"""Invocation counters: never used twice, never accepted twice.

Source: IEC 62056-5-3 (Green Book 9.2.4.8.3.3): under one key a counter must never repeat; when it
reaches its maximum, protecting returns an error until the key is changed.
"""

from __future__ import annotations

from typing import Final

from protocols.dlms.security.errors import ReplayError
from protocols.errors import LocalProtocolError

MAX_COUNTER: Final = 0xFFFF_FFFF


class SendCounter:
    """Hands out each counter once: ``next_value``, and on, to 2**32 - 2.

    2**32 - 1 is never used, so that a receiver that accepted everything can still say what it
    expects next. Keep ``next_value`` durably to go on after a restart.
    """

    def __init__(self, next_value: int = 0) -> None:
        if not 0 <= next_value <= MAX_COUNTER:
            raise LocalProtocolError(f"an invocation counter of {next_value}")
        self._next_value = next_value

    @property
    def next_value(self) -> int:
        """The counter that `take` gives next."""
        return self._next_value

    def take(self) -> int:
        """Return a counter that was not used before.

        Raises:
            LocalProtocolError: used up; only a new key helps.
        """
        value = self._next_value
        if value >= MAX_COUNTER:
            raise LocalProtocolError("the invocation counter is used up: change the key")
        self._next_value = value + 1
        return value


class ReceiveCounter:
    """Tells new counters from old ones.

    Checking and accepting are separate: check when the APDU comes, accept when what it brought is
    durable. ``last_accepted`` is ``None`` before the first. Public sources differ on whether a
    first counter of 0 is acceptable; ``zero_acceptable`` decides (standard readings that want
    "greater than the initial value 0" set it to false).
    """

    def __init__(self, last_accepted: int | None = None, *, zero_acceptable: bool = True) -> None:
        self._last_accepted = last_accepted
        self._zero_acceptable = zero_acceptable

    @property
    def last_accepted(self) -> int | None:
        """The greatest counter accepted."""
        return self._last_accepted

    @property
    def lowest_acceptable(self) -> int:
        """The least counter that `check` lets pass."""
        if self._last_accepted is None:
            return 0 if self._zero_acceptable else 1
        return self._last_accepted + 1

    def check(self, counter: int) -> None:
        """Do nothing for a new counter.

        Raises:
            ReplayError: ``counter`` is not greater than the last one accepted.
        """
        if counter < self.lowest_acceptable:
            raise ReplayError(counter, self.lowest_acceptable)

    def accept(self, counter: int) -> None:
        """Remember ``counter``; raises `ReplayError` and changes nothing when it is not new."""
        self.check(counter)
        self._last_accepted = counter
