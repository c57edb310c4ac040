"""Whether batteries were treated as a battery layer said: its journal against their own records.

Two sides that know nothing of each other. The layer's journal says what it accepted, what it
ordered and what became of each order; each battery's record says what it was told and what flowed.

* Every entry of a record follows from the one before: the charge moved is current times time, cut
  at full and empty (`chain`), and no current and no charge is beyond what the battery is built for.
* What a battery was told is what was ordered of it, in that order, each once. An order that was
  *lost*, whose fate nobody knew, may have been executed or not, but not twice. The same holds for
  one *in force*: the battery did it already when it was asked, because of this order or another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from emulator.batteries.record import Begun, Changed, Entry, Executed, Refused
from harness.bal.journal import Fate, Order

PPM: Final = 1_000_000
EXAMPLES_MAX: Final = 5
POWER_TOLERANCE: Final = 4
"""A current made of a power may be off by one in so many, where nobody knows what was sent."""

_SENT: Final[frozenset[Fate | None]] = frozenset({"executed", "in force", "lost", None})
"""Fates of orders that may have reached a battery."""


@dataclass(frozen=True, slots=True)
class BatteryFinding:
    """Something about one battery that must not be; ``at_ms`` is scenario time."""

    battery: str
    at_ms: int
    what: str


@dataclass(slots=True)
class BatteryAccount:
    """What was found of all batteries.

    Attributes:
        batteries: how many were held against the journal.
        commands: that they carried out.
        beyond_limits: entries with a current or a charge that the battery is not built for.
        unaccounted: entries whose charge does not follow from the one before.
        lost: orders that the layer says were executed, and were not.
        twice: orders executed more than once.
        invented: commands that nobody ordered.
        examples: the first findings of each kind.
    """

    batteries: int = 0
    commands: int = 0
    beyond_limits: int = 0
    unaccounted: int = 0
    lost: int = 0
    twice: int = 0
    invented: int = 0
    examples: dict[str, list[BatteryFinding]] = field(default_factory=dict)

    @property
    def sound(self) -> bool:
        """Whether nothing was found."""
        return not (
            self.beyond_limits or self.unaccounted or self.lost or self.twice or self.invented
        )

    def note(self, kind: str, finding: BatteryFinding) -> None:
        """Count a finding under the attribute ``kind``."""
        setattr(self, kind, getattr(self, kind) + 1)
        examples = self.examples.setdefault(kind, [])
        if len(examples) < EXAMPLES_MAX:
            examples.append(finding)


def account_of_batteries(entries: Iterable[Entry], orders: Sequence[Order]) -> BatteryAccount:
    """Return what the records of batteries say of the orders of a layer.

    Args:
        entries: of all records, each battery's in order.
        orders: of the journal, in order; those to sources without a record are not looked at.
    """
    account = BatteryAccount()
    of_source: dict[str, list[Order]] = defaultdict(list)
    for order in orders:
        of_source[order.source].append(order)
    for own in _by_battery(entries).values():
        begun = own[0]
        if not isinstance(begun, Begun):
            account.note("unaccounted", BatteryFinding(f"number {begun.battery}", 0, "no begin"))
            continue
        account.batteries += 1
        _look_at_chain(account, begun, own[1:])
        executed = [entry for entry in own if isinstance(entry, Executed)]
        account.commands += len(executed)
        _match(account, begun.name, executed, of_source.get(begun.name, []))
    return account


def _by_battery(entries: Iterable[Entry]) -> Mapping[int, list[Entry]]:
    own: dict[int, list[Entry]] = defaultdict(list)
    for entry in entries:
        own[entry.battery].append(entry)
    return own


# What flowed


def _look_at_chain(account: BatteryAccount, begun: Begun, entries: Sequence[Entry]) -> None:
    at_ms, charge, current_ma = begun.at_ms, begun.charge_ma_ms, 0
    for entry in entries:
        changed = _changed(entry)
        if changed is None:
            continue
        expected = (at_ms, charge, current_ma, _flowed(begun, changed))
        told = (
            changed.since_ms,
            changed.charge_before_ma_ms,
            changed.current_before_ma,
            changed.charge_ma_ms,
        )
        if told != expected:
            what = f"since, charge, current, charge after: {told}, not {expected}"
            account.note("unaccounted", BatteryFinding(begun.name, changed.at_ms, what))
        for what in _beyond(begun, changed):
            account.note("beyond_limits", BatteryFinding(begun.name, changed.at_ms, what))
        at_ms, charge, current_ma = changed.at_ms, changed.charge_ma_ms, changed.current_ma


def _changed(entry: Entry) -> Changed | None:
    return None if isinstance(entry, Begun | Refused) else entry.changed


def _flowed(begun: Begun, changed: Changed) -> int:
    """Return the charge that a current over a time leaves, worked out anew."""
    moved = changed.current_before_ma * (changed.at_ms - changed.since_ms)
    if moved < 0:
        # Losses are of what flows in.
        moved = -(-moved * begun.efficiency_ppm // PPM)
    return min(begun.capacity_ma_ms, max(0, changed.charge_before_ma_ms - moved))


def _beyond(begun: Begun, changed: Changed) -> Iterator[str]:
    if not -begun.charge_ma_max <= changed.current_ma <= begun.discharge_ma_max:
        yield f"{changed.current_ma} mA"
    if not 0 <= changed.charge_ma_ms <= begun.capacity_ma_ms:
        yield f"a charge of {changed.charge_ma_ms} mA ms"


# What was told


def _match(
    account: BatteryAccount, name: str, executed: Sequence[Executed], orders: Sequence[Order]
) -> None:
    """Hold what a battery carried out against what was ordered of it, both in order."""
    told = [order for order in orders if order.fate in _SENT]
    pairs = _aligned(executed, told)
    for order in (order for at, order in enumerate(told) if at not in pairs.values()):
        if order.fate == "executed":
            what = f"{order.current_ma} mA was ordered and not executed"
            account.note("lost", BatteryFinding(name, order.fate_ms or 0, what))
    for at, entry in enumerate(executed):
        if at in pairs:
            continue
        again = at > 0 and _same(executed[at - 1], entry)
        what = f"{entry.asked} ({entry.kind}) was executed " + ("again" if again else "unordered")
        finding = BatteryFinding(name, entry.changed.at_ms, what)
        account.note("twice" if again else "invented", finding)


def _aligned(executed: Sequence[Executed], told: Sequence[Order]) -> dict[int, int]:
    """Return which command was which order, so that as little as possible is left unexplained.

    An order whose fate is not known may stay without a command at no cost.
    """
    if len(executed) == len(told) and all(map(_is, executed, told)):
        return {at: at for at in range(len(told))}
    costs = _costs(executed, told)
    pairs, one, other = {}, 0, 0
    while one < len(executed) and other < len(told):
        here = costs[one][other]
        if _is(executed[one], told[other]) and here == costs[one + 1][other + 1]:
            pairs[one] = other
            one, other = one + 1, other + 1
        elif here == costs[one][other + 1] + _cost(told[other]):
            other += 1
        else:
            one += 1
    return pairs


def _costs(executed: Sequence[Executed], told: Sequence[Order]) -> list[list[int]]:
    """Return what stays unexplained at least, from each command and each order on."""
    rows = len(executed)
    costs = [[0] * (len(told) + 1) for _ in range(rows + 1)]
    for other in range(len(told) - 1, -1, -1):
        costs[rows][other] = costs[rows][other + 1] + _cost(told[other])
    for one in range(rows - 1, -1, -1):
        costs[one][-1] = rows - one
        for other in range(len(told) - 1, -1, -1):
            least = min(costs[one + 1][other] + 1, costs[one][other + 1] + _cost(told[other]))
            if _is(executed[one], told[other]):
                least = min(least, costs[one + 1][other + 1])
            costs[one][other] = least
    return costs


def _cost(order: Order) -> int:
    return int(order.fate == "executed")


def _is(entry: Executed, order: Order) -> bool:
    """Return whether a command is the one that an order became."""
    if order.sent is not None and entry.kind in ("current", "power"):
        return entry.asked == order.sent
    if entry.kind == "current":
        return entry.asked == order.current_ma
    # Nobody knows which voltage made a power of the current: they go the same way, about as much.
    off_ma = abs(entry.changed.current_ma - order.current_ma)
    return entry.kind == "power" and off_ma <= abs(order.current_ma) // POWER_TOLERANCE + 1


def _same(one: Executed, other: Executed) -> bool:
    return (one.kind, one.asked) == (other.kind, other.asked)
