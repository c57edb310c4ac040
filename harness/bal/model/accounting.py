"""The account of one partition: what flowed when, kept so that every question has an exact answer.

Theory. A flow is constant between two commands, so charge is current times time in integers, and
the account is a list of stretches with running totals at the start of each. Any moment and any
interval then costs one search. A stretch ends when the current, or the voltage at which it is
metered, changes, or when a settlement adjusts the balance. Nothing is sampled, so nothing is read
over or under, however long a stretch lasts.

An account is bounded. Where it has become long, what is old is kept by the quarter of an hour, as
a meter keeps its load profile: of the old stretches those stay in which a quarter ends, so that
every interval of whole quarters is as exact as before, and a question about another one is answered
for the whole quarters, which the record says. What is older than all that fits is forgotten.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from harness.bal.model.values import FlowRecord

STRETCHES_MAX: Final = 4_096
"""Stretches of one account: 42 days, if something changes in every quarter of an hour."""
FINE: Final = 1_024
"""The newest stretches, which are always all there."""
OLD_MAX: Final = 2_048
"""Older stretches that are left when an account is made shorter."""
QUARTER_MS: Final = 900_000


class Stretch(NamedTuple):
    """A time of constant flow, with the totals at its start; charges and energies as in values."""

    start_ms: int
    current_ma: int
    voltage_mv: int
    balance_ma_ms: int
    charged_ma_ms: int = 0
    discharged_ma_ms: int = 0
    adjusted_ma_ms: int = 0
    charged_nj: int = 0
    discharged_nj: int = 0

    def at(self, at_ms: int) -> Stretch:
        """Return the totals as they have become by ``at_ms``, never before the start."""
        elapsed_ms = max(0, at_ms - self.start_ms)
        flowed = self.current_ma * elapsed_ms
        energy_nj = abs(flowed) * self.voltage_mv
        taken, given = (-flowed, 0) if flowed < 0 else (0, flowed)
        return self._replace(
            start_ms=self.start_ms + elapsed_ms,
            balance_ma_ms=self.balance_ma_ms - flowed,
            charged_ma_ms=self.charged_ma_ms + taken,
            discharged_ma_ms=self.discharged_ma_ms + given,
            charged_nj=self.charged_nj + (energy_nj if taken else 0),
            discharged_nj=self.discharged_nj + (energy_nj if given else 0),
        )


class Account:
    """The charge one partition owns, and the virtual meter in front of it.

    Attributes:
        fine_ms: after this every change is there; before, what is needed for whole quarters.
    """

    __slots__ = ("_starts", "_stretches", "fine_ms")

    def __init__(self, stretches: Iterable[Stretch], fine_ms: int = 0) -> None:
        self._stretches = list(stretches)
        self._starts = [stretch.start_ms for stretch in self._stretches]
        self.fine_ms = fine_ms

    @classmethod
    def opened(cls, at_ms: int, balance_ma_ms: int, voltage_mv: int) -> Account:
        """Return an account that starts with a balance and no flow."""
        return cls([Stretch(at_ms, 0, voltage_mv, balance_ma_ms)])

    @property
    def stretches(self) -> tuple[Stretch, ...]:
        """All that is remembered, oldest first; what `Account` is made from again."""
        return tuple(self._stretches)

    @property
    def current_ma(self) -> int:
        """The flow since the last change."""
        return self._stretches[-1].current_ma

    @property
    def voltage_mv(self) -> int:
        """The voltage at which the flow is metered."""
        return self._stretches[-1].voltage_mv

    def balance_at(self, at_ms: int) -> int:
        """Return the charge at a moment, what happened at that moment included."""
        index = max(0, bisect_right(self._starts, at_ms) - 1)
        stretch = self._stretches[index]
        return stretch.balance_ma_ms - stretch.current_ma * max(0, at_ms - stretch.start_ms)

    def corrected_at(self, at_ms: int) -> int:
        """Return the charge at a moment as it is known now, with what was adjusted since."""
        index = max(0, bisect_right(self._starts, at_ms) - 1)
        adjusted = self._stretches[-1].adjusted_ma_ms - self._stretches[index].adjusted_ma_ms
        return self.balance_at(at_ms) + adjusted

    def flow(
        self, at_ms: int, current_ma: int, voltage_mv: int, asked_ms: int | None = None
    ) -> None:
        """Let ``current_ma`` flow from ``at_ms`` on, which is not before the last change.

        ``asked_ms`` is a moment of which the charge will still be asked for, however old it is.
        """
        last = self._stretches[-1]
        # While nothing flows the voltage meters nothing, and a stretch for it would be waste.
        if last.current_ma == current_ma and (voltage_mv == last.voltage_mv or not current_ma):
            return
        now = last.at(at_ms)._replace(current_ma=current_ma, voltage_mv=voltage_mv)
        self._append(now, asked_ms)

    def adjust(self, at_ms: int, amount_ma_ms: int, asked_ms: int | None = None) -> None:
        """Add ``amount_ma_ms``, which may be negative, to the balance without any flow."""
        if not amount_ma_ms:
            return
        now = self._stretches[-1].at(at_ms)
        self._append(
            now._replace(
                balance_ma_ms=now.balance_ma_ms + amount_ma_ms,
                adjusted_ma_ms=now.adjusted_ma_ms + amount_ma_ms,
            ),
            asked_ms,
        )

    def exhausted_ms(self, capacity_ma_ms: int) -> int | None:
        """Return the last moment at which the flow still leaves the balance in its bounds.

        None when nothing flows. It is in the past when the balance is out of bounds already.
        """
        last = self._stretches[-1]
        if last.current_ma > 0:
            return last.start_ms + last.balance_ma_ms // last.current_ma
        if last.current_ma < 0:
            room = capacity_ma_ms - last.balance_ma_ms
            return last.start_ms + room // -last.current_ma
        return None

    def record(self, name: str, source: str, from_ms: int, to_ms: int) -> FlowRecord:
        """Return what was metered in ``[from_ms, to_ms)``; what was forgotten is not in it.

        Where only whole quarters are known, it is of the quarters in which these moments lie.
        """
        from_ms = self._known(from_ms)
        to_ms = max(from_ms, self._known(to_ms))
        first, last = self._before(from_ms), self._before(to_ms)
        return FlowRecord(
            name=name,
            source=source,
            from_ms=from_ms,
            to_ms=to_ms,
            opening_ma_ms=first.balance_ma_ms,
            charged_ma_ms=last.charged_ma_ms - first.charged_ma_ms,
            discharged_ma_ms=last.discharged_ma_ms - first.discharged_ma_ms,
            adjusted_ma_ms=last.adjusted_ma_ms - first.adjusted_ma_ms,
            closing_ma_ms=last.balance_ma_ms,
            charged_nj=last.charged_nj - first.charged_nj,
            discharged_nj=last.discharged_nj - first.discharged_nj,
        )

    def forget(self, before_ms: int) -> None:
        """Drop what ended before ``before_ms``; intervals from there on stay exact."""
        keep = max(0, bisect_right(self._starts, before_ms) - 1)
        del self._stretches[:keep], self._starts[:keep]

    def _before(self, at_ms: int) -> Stretch:
        """Return the totals just before what happened at ``at_ms``."""
        index = max(0, bisect_left(self._starts, at_ms) - 1)
        return self._stretches[index].at(at_ms)

    def _known(self, at_ms: int) -> int:
        """Return the last moment up to ``at_ms`` of which the totals are known."""
        if at_ms <= self.fine_ms:
            at_ms -= at_ms % QUARTER_MS
        return max(at_ms, self._starts[0])

    def _append(self, stretch: Stretch, asked_ms: int | None) -> None:
        self._stretches.append(stretch)
        self._starts.append(stretch.start_ms)
        if len(self._stretches) > STRETCHES_MAX:
            self._shorten(asked_ms)

    def _shorten(self, asked_ms: int | None) -> None:
        """Keep of what is old where quarters end, the first, and the stretch of ``asked_ms``."""
        fine = len(self._stretches) - FINE
        asked = -1 if asked_ms is None else max(0, bisect_right(self._starts, asked_ms) - 1)
        kept = [at for at in range(fine) if at in (0, asked) or self._holds_quarter(at)]
        kept = kept[-OLD_MAX:]
        self.fine_ms = self._starts[fine]
        self._stretches = [*[self._stretches[at] for at in kept], *self._stretches[fine:]]
        self._starts = [stretch.start_ms for stretch in self._stretches]

    def _holds_quarter(self, index: int) -> bool:
        """Return whether the totals at the end of a quarter are those of a stretch."""
        return self._starts[index + 1] // QUARTER_MS > self._starts[index] // QUARTER_MS


@dataclass(frozen=True, slots=True)
class ClosedAccount:
    """The account of a partition that was removed; what it held, it has given away."""

    name: str
    source: str
    closed_ms: int
    account: Account
