"""One battery as several: shares, whose charge is kept in accounts of their own.

Theory. A partition is expected to be its share of what is expected of the source; its charge is
what its account says, because partitions are charged and discharged each on its own. Where the
source is not what was expected, the policy says who bears it (`sharing.spread`). The source is told
the sum of what the partitions are told, and charge moves between accounts where they do opposite
things (TrustDER report, tables III.2.9 and III.2.11).

A partition's current is what its account is charged with, even where the source measures another:
the difference shows in the source's charge, and a settlement books it.

What is not shared out is kept by the *rest*: an account at the bottom that nobody commands. Nothing
is ever without an owner, so accounts and source can be held against each other.

A snapshot holds a source's charge against the accounts of the same moment, the one of the source's
newest reading. What is possible, though, is decided by the accounts as they are now.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from harness.bal.model.accounting import Account
from harness.bal.model.battery import Battery, Moment
from harness.bal.model.sharing import apportion, spread
from harness.bal.model.values import NOTHING, PPM, Kind, Policy, Share, Status, Values

REST: Final = ""
"""Name of the rest in records: no battery can be called so."""


@dataclass(slots=True, eq=False)
class Holding:
    """What one partition, or the rest, holds of a splitter."""

    name: str
    share_ppm: int
    account: Account | None = None
    """None until the source's charge is known."""
    expected: Values = NOTHING
    current: Values = NOTHING
    cap_ma_ms: int = 0
    """The most that the account may come to hold."""

    def balance_at(self, at_ms: int) -> int:
        """Return what the account holds at a moment; 0 while it is not open."""
        return 0 if self.account is None else self.account.balance_at(at_ms)

    def bounded(self, there: Values, now_ms: int) -> Values:
        """Return ``there`` without the currents that could not be held for a millisecond."""
        balance = self.balance_at(now_ms)
        charge = min(there.charge_ma_ms, balance)
        room = self.cap_ma_ms - max(there.charge_ma_ms, balance)
        can_give = charge >= max(1, self.expected.max_discharge_ma, there.max_discharge_ma)
        can_take = room >= max(1, self.expected.max_charge_ma, there.max_charge_ma)
        return replace(
            there,
            max_charge_ma=there.max_charge_ma if can_take else 0,
            max_discharge_ma=there.max_discharge_ma if can_give else 0,
        )


class Splitter:
    """What divides one battery.

    Attributes:
        source: what is divided.
        holdings: what the partitions hold, from the top down; the rest comes last.
        partitions: the batteries, in the same order.
    """

    __slots__ = ("_looked", "holdings", "moment", "partitions", "policy", "source")

    def __init__(
        self, source: Battery, policy: Policy, shares: Sequence[Share], moment: Moment
    ) -> None:
        self.source = source
        self.policy = policy
        self.moment = moment
        self.holdings = [Holding(share.name, share.share_ppm) for share in shares]
        self.holdings.append(Holding(REST, PPM - sum(share.share_ppm for share in shares)))
        self.partitions = [Partition(holding, self) for holding in self.holdings[:-1]]
        self._looked = False

    @property
    def is_open(self) -> bool:
        """Whether the accounts have been opened."""
        return self.holdings[-1].account is not None

    @property
    def names(self) -> list[str]:
        """The names of the holdings, from the top down."""
        return [holding.name for holding in self.holdings]

    def open(self) -> None:
        """Open the accounts with each one's share of the source's charge, at its newest reading.

        A source that was read once and is out of reach counts with the charge it had.
        """
        status = self.source.status()
        assert status.newest_ms is not None, "only a source that is ready is opened"
        for holding, charge in zip(
            self.holdings, self.shared(status.expected.charge_ma_ms), strict=True
        ):
            holding.account = Account.opened(status.newest_ms, charge, status.expected.voltage_mv)
        self.forget()

    def shared(self, amount: int) -> list[int]:
        """Return ``amount`` by shares, the rest's included; the parts add up exactly."""
        return apportion(amount, [one.share_ppm for one in self.holdings], self.names)

    def net_ma(self) -> int:
        """Return what the source has to do for all partitions."""
        return sum(partition.ordered_ma for partition in self.partitions)

    def flows(self) -> bool:
        """Return whether any account is changing."""
        return any(partition.ordered_ma for partition in self.partitions)

    def forget(self) -> None:
        """Drop what was computed of the source, here and above."""
        self._looked = False
        for partition in self.partitions:
            partition.forget()

    def settle(self, at_ms: int) -> None:
        """Take over into the accounts what the policy says of the measured charge.

        What has flowed since the reading may leave less than that: no account goes below nothing.
        """
        self.look()
        newest_ms = self.source.status().newest_ms
        for holding in self.holdings:
            if holding.account is not None and newest_ms is not None:
                measured = holding.current.charge_ma_ms
                amount = measured - holding.account.corrected_at(newest_ms)
                least = -max(0, holding.account.balance_at(at_ms))
                holding.account.adjust(at_ms, max(amount, least), newest_ms)
        self.forget()

    def release(self, partition: Partition) -> bool:
        """Take a partition out: what it holds is the rest's. Return whether it was the last."""
        rest, index = self.holdings[-1], self.partitions.index(partition)
        holding = self.holdings.pop(index)
        del self.partitions[index]
        rest.share_ppm += holding.share_ppm
        if holding.account is not None and rest.account is not None:
            balance, now_ms = holding.balance_at(self.moment.now_ms), self.moment.now_ms
            newest_ms = self.source.status().newest_ms
            holding.account.adjust(now_ms, -balance, newest_ms)
            rest.account.adjust(now_ms, balance, newest_ms)
        self.forget()
        return not self.partitions

    def look(self) -> None:
        """Bring the values of all holdings up to date."""
        if self._looked:
            return
        self._looked = True
        if self.is_open:
            self._expect(self.source.status())
            self._measure(self.source.status().current)

    def _expect(self, source: Status) -> None:
        """Set what is expected of each: its share, and the charge of its account at that moment."""
        at_ms = self.moment.now_ms if source.newest_ms is None else source.newest_ms
        values = source.expected
        charges = self.shared(values.max_charge_ma)
        discharges = self.shared(values.max_discharge_ma)
        capacities = self.shared(values.capacity_ma_ms)
        for index, holding in enumerate(self.holdings):
            account = holding.account
            holding.expected = Values(
                voltage_mv=values.voltage_mv,
                current_ma=0,
                max_charge_ma=charges[index],
                max_discharge_ma=discharges[index],
                charge_ma_ms=0 if account is None else account.corrected_at(at_ms),
                capacity_ma_ms=capacities[index],
            )

    def _measure(self, values: Values) -> None:
        """Set what is there of each: the policy says how it differs from what is expected."""
        expected = [holding.expected for holding in self.holdings]
        charges = self._spread(values.max_charge_ma, [one.max_charge_ma for one in expected])
        discharges = self._spread(
            values.max_discharge_ma, [one.max_discharge_ma for one in expected]
        )
        capacities = self._spread(values.capacity_ma_ms, [one.capacity_ma_ms for one in expected])
        caps = self._caps(capacities)
        held = self._spread(values.charge_ma_ms, [one.charge_ma_ms for one in expected], caps)
        for index, holding in enumerate(self.holdings):
            holding.cap_ma_ms = caps[index]
            there = Values(
                voltage_mv=values.voltage_mv,
                current_ma=0,
                max_charge_ma=charges[index],
                max_discharge_ma=discharges[index],
                charge_ma_ms=held[index],
                capacity_ma_ms=capacities[index],
            )
            holding.current = holding.bounded(there, self.moment.now_ms)

    def _caps(self, capacities: list[int]) -> list[int]:
        """Return the most that each may hold; an account that holds more already keeps it."""
        return [
            max(one.expected.capacity_ma_ms, capacity, one.expected.charge_ma_ms)
            for one, capacity in zip(self.holdings, capacities, strict=True)
        ]

    def _spread(self, amount: int, expected: list[int], caps: list[int] | None = None) -> list[int]:
        shares = [one.share_ppm for one in self.holdings]
        return spread(self.policy, amount, expected, shares, self.names, caps)


def _differs(voltage_mv: int, metered_mv: int) -> bool:
    """Return whether a voltage is a thousandth off what is metered: less is not worth a record."""
    return abs(voltage_mv - metered_mv) * 1_000 >= max(1, metered_mv)


class Partition(Battery):
    """A share of another battery.

    Attributes:
        holding: its account and values.
        divider: the splitter it is one part of.
    """

    __slots__ = ("divider", "holding")

    kind = Kind.PARTITION

    def __init__(self, holding: Holding, divider: Splitter) -> None:
        super().__init__(holding.name, level=1 + divider.source.level)
        self.holding = holding
        self.divider = divider

    def below(self) -> Iterable[Battery]:
        """Return the battery it is a share of."""
        return (self.divider.source,)

    def ready(self) -> bool:
        """Return whether its account is open."""
        return self.divider.is_open

    def flow(self, current_ma: int) -> None:
        """Let a current flow from or to the account from now on."""
        account = self.holding.account
        if account is None:
            return
        status = self.divider.source.status()
        voltage_mv = status.current.voltage_mv or status.expected.voltage_mv
        metered_mv = account.voltage_mv
        if current_ma != self.ordered_ma or _differs(voltage_mv, metered_mv):
            account.flow(self.divider.moment.now_ms, current_ma, voltage_mv, status.newest_ms)
            self.ordered_ma = current_ma
            self.forget()

    def exhausted_ms(self) -> int | None:
        """Return when the account will be empty or full; None when nothing flows."""
        account = self.holding.account
        return None if account is None else account.exhausted_ms(self.holding.cap_ma_ms)

    def _look(self) -> Status:
        self.divider.look()
        source, holding = self.divider.source.status(), self.holding
        return replace(
            source,
            name=self.name,
            kind=self.kind,
            expected=holding.expected,
            current=replace(holding.current, current_ma=self.ordered_ma),
        )
