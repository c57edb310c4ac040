"""Whether what flowed through virtual meters is what was ordered of the batteries behind them.

Worked out from the journal and the meters' last records alone, without the layer's model, in whole
mA and mA ms.

* **Accounts.** opening + charged - discharged + adjusted is closing, to the unit; nothing is
  adjusted where nobody asked for a settlement; the energy is the charge at a voltage that the
  batteries have told or are made for.
* **Partitions.** What the partitions of a battery registered together is what was ordered of it
  over time, to the unit. An order is of its event, and what follows by itself (a partition runs
  empty, a window begins) is an event of its own at the moment at which it was due. Where records
  were exported and forgotten, the meters do not tell the whole, and this is not looked at.
* **Wants.** No partition registered more than was wanted of it, in either direction, and after
  every order the orders of the batteries that depend on each other add up to no more than what was
  wanted of those that are commanded; to exactly that, where there is one and it was just commanded.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from harness.bal.happenings import FORGET, LOST, READ, REMOVE, SCHEDULE, SET_CURRENT, SETTLE
from harness.bal.journal import Event, Order
from harness.bal.model.values import FlowRecord
from harness.check.batteries import BatteryFinding
from harness.check.battery_parts import Component, Parts, touched


@dataclass(slots=True)
class Conservation:
    """What was found.

    Attributes:
        accounts: virtual meters that were looked at.
        divided: batteries whose partitions were held against what was ordered.
        findings: what does not add up.
    """

    accounts: int = 0
    divided: int = 0
    findings: list[BatteryFinding] = field(default_factory=list)

    def note(self, battery: str, at_ms: int, what: str) -> None:
        """Add a finding."""
        self.findings.append(BatteryFinding(battery, at_ms, what))


def conservation_of(
    parts: Parts,
    events: Sequence[Event],
    orders: Iterable[Order],
    flows: Sequence[FlowRecord],
) -> Conservation:
    """Return what does not add up.

    Args:
        parts: the topology that the layer began with.
        events: all of the journal, in order.
        orders: all of the journal, in order.
        flows: the virtual meters' records from the begin to one moment, the rests' included.
    """
    found = Conservation()
    settled = any(event.kind in (SETTLE, REMOVE) for event in events)
    for flow in flows:
        found.accounts += 1
        _look_at_account(found, flow, settled=settled)
    of_event: dict[int, list[Order]] = defaultdict(list)
    for order in orders:
        of_event[order.event].append(order)
    changed = touched(events)
    voltages = _voltages(parts, events)
    of_source: dict[str, list[FlowRecord]] = defaultdict(list)
    for flow in flows:
        of_source[flow.source].append(flow)
    whole = not any(event.kind == FORGET for event in events)
    courses = [
        _Course(found, parts, component, of_source, whole=whole)
        for component in parts.components()
        if not component.members & changed
    ]
    of_member = {name: course for course in courses for name in course.component.members}
    for event in events:
        _happen(of_member, event, of_event[event.sequence])
    for course in courses:
        course.end(voltages)
    return found


def _look_at_account(found: Conservation, flow: FlowRecord, *, settled: bool) -> None:
    name = flow.name or f"the rest of {flow.source}"
    closing = flow.opening_ma_ms + flow.charged_ma_ms - flow.discharged_ma_ms + flow.adjusted_ma_ms
    if closing != flow.closing_ma_ms:
        what = f"its account closes with {flow.closing_ma_ms} mA ms, not {closing}"
        found.note(name, flow.to_ms, what)
    if flow.adjusted_ma_ms and not settled:
        what = f"its account was adjusted by {flow.adjusted_ma_ms} mA ms, and nobody settled it"
        found.note(name, flow.to_ms, what)


def _voltages(parts: Parts, events: Iterable[Event]) -> dict[str, tuple[int, int]]:
    """Return the lowest and the highest voltage that each battery told or is made for."""
    bounds = {name: (plate, plate) for name, plate in parts.plates.items()}
    for event in events:
        if event.kind == READ and event.details["name"] in bounds:
            lowest, highest = bounds[event.details["name"]]
            told = event.details["values"][0]
            bounds[event.details["name"]] = min(lowest, told), max(highest, told)
    return bounds


def _happen(courses: Mapping[str, _Course], event: Event, orders: Iterable[Order]) -> None:
    own: dict[int, tuple[_Course, dict[str, int]]] = {}
    if event.kind == LOST and (course := courses.get(event.details["name"])):
        # What is out of reach counts as told nothing.
        own[id(course)] = course, {event.details["name"]: 0}
    for order in orders:
        if course := courses.get(order.source):
            own.setdefault(id(course), (course, {}))[1][order.source] = order.current_ma
    told = event.kind in (SET_CURRENT, SCHEDULE)
    if told and (course := courses.get(event.details["name"])):
        course.want(event)
        own.setdefault(id(course), (course, {}))
    for course, currents_ma in own.values():
        course.order(event, currents_ma)


class Wants:
    """What is wanted of one battery that is commanded, by time."""

    def __init__(self) -> None:
        self._since_ms: list[int] = []
        self._stands_ma: list[int] = []
        self._windows: list[tuple[int, int, int]] = []

    def stand(self, at_ms: int, current_ma: int) -> None:
        """Take a set point; a window that is running ends."""
        self._since_ms.append(at_ms)
        self._stands_ma.append(current_ma)
        self._windows = [
            (start, min(end, at_ms) if start <= at_ms else end, current)
            for start, end, current in self._windows
        ]

    def add(self, start_ms: int, end_ms: int, current_ma: int) -> None:
        """Take a window, which wins over those taken before; what they have behind it stays."""
        pieces = [(start_ms, end_ms, current_ma)]
        for start, end, current in self._windows:
            pieces += [(start, min(end, start_ms), current), (max(start, end_ms), end, current)]
        self._windows = [piece for piece in pieces if piece[0] < piece[1]]

    def at(self, at_ms: int) -> int:
        """Return what is wanted at a moment."""
        for start, end, current in self._windows:
            if start <= at_ms < end:
                return current
        stands = bisect_right(self._since_ms, at_ms)
        return self._stands_ma[stands - 1] if stands else 0

    def stretches(self, from_ms: int, to_ms: int) -> Iterator[tuple[int, int]]:
        """Yield how long what was wanted in ``[from_ms, to_ms)``, in order."""
        first, last = bisect_right(self._since_ms, from_ms), bisect_left(self._since_ms, to_ms)
        moments = set(self._since_ms[first:last])
        for start, end, _ in self._windows:
            moments |= {moment for moment in (start, end) if from_ms < moment < to_ms}
        cuts = [from_ms, *sorted(moments), to_ms]
        for start, end in pairwise(cuts):
            yield max(0, end - start), self.at(start)


@dataclass(slots=True)
class _Sum:
    """What was ordered of a divided battery: now, and over time up to ``since_ms``."""

    leaves: frozenset[str]
    through: frozenset[str]
    to_ms: int
    now_ma: int = 0
    since_ms: int = 0
    flowed_ma_ms: int = 0

    def change(self, at_ms: int, now_ma: int) -> None:
        """Let another current flow from a moment on; what is after the end counts for nothing."""
        at_ms = min(at_ms, self.to_ms)
        self.flowed_ma_ms += self.now_ma * (at_ms - self.since_ms)
        self.now_ma, self.since_ms = now_ma, at_ms


class _Course:
    """One component from the begin to the end."""

    def __init__(
        self,
        found: Conservation,
        parts: Parts,
        component: Component,
        flows: Mapping[str, Sequence[FlowRecord]],
        *,
        whole: bool,
    ) -> None:
        self.component = component
        self._found = found
        self._parts = parts
        self._ordered = dict.fromkeys(component.leaves, 0)
        self._wants = {top: Wants() for top in component.tops}
        self._flows = {
            source: flows[source] for source in parts.splitters if source in component.members
        }
        self._sums = {
            source: _Sum(*parts.below(source), to_ms=own[0].to_ms)
            for source, own in self._flows.items()
            if own and whole
        }

    def want(self, event: Event) -> None:
        """Take a command."""
        wants, details = self._wants.get(event.details["name"]), event.details
        if wants is None:
            what = "it was commanded, and others are made of it"
            self._found.note(details["name"], event.at_ms, what)
        elif event.kind == SET_CURRENT:
            wants.stand(event.at_ms, details["current_ma"])
        else:
            wants.add(details["start_ms"], details["end_ms"], details["current_ma"])

    def order(self, event: Event, currents_ma: Mapping[str, int]) -> None:
        """Take what an event means to the batteries."""
        self._ordered.update(currents_ma)
        for one in self._sums.values():
            if one.leaves & currents_ma.keys():
                one.change(event.at_ms, sum(self._ordered[leaf] for leaf in one.leaves))
        self._look_at_orders(event)

    def _look_at_orders(self, event: Event) -> None:
        tops, ordered_ma = self.component.tops, sum(self._ordered.values())
        if event.kind == SET_CURRENT and tops == (event.details["name"],):
            least = most = event.details["current_ma"]
        else:
            wanted_ma = [wants.at(event.at_ms) for wants in self._wants.values()]
            least = sum(min(0, current_ma) for current_ma in wanted_ma)
            most = sum(max(0, current_ma) for current_ma in wanted_ma)
        if not least <= ordered_ma <= most:
            wanted = f"{least}" if least == most else f"{least} to {most}"
            what = f"{ordered_ma} mA was ordered of its batteries, and {wanted} mA wanted"
            self._found.note(", ".join(tops), event.at_ms, what)

    def end(self, voltages: Mapping[str, tuple[int, int]]) -> None:
        """Hold what the virtual meters say against what was ordered and wanted."""
        nets = {flow.name: _net(flow) for own in self._flows.values() for flow in own if flow.name}
        for source, one in self._sums.items():
            one.change(one.to_ms, 0)
            self._found.divided += 1
            flowed = sum(map(_net, self._flows[source]))
            through = sum(nets.get(name, 0) for name in one.through)
            if flowed - through != one.flowed_ma_ms:
                what = (
                    f"its partitions gave {flowed - through} mA ms together, and "
                    f"{one.flowed_ma_ms} was ordered"
                )
                self._found.note(source, one.to_ms, what)
        bounds = [voltages[leaf] for leaf in self.component.leaves]
        for flow in (flow for own in self._flows.values() for flow in own):
            self._look_at_energy(flow, bounds)
            if (wants := self._wants.get(flow.name)) is not None:
                self._look_at_wants(flow, wants)

    def _look_at_wants(self, flow: FlowRecord, wants: Wants) -> None:
        """Hold a partition against its commands: what it could not do, it was not to make up."""
        given = taken = 0
        for length, current_ma in wants.stretches(0, flow.to_ms):
            given += length * max(0, current_ma)
            taken += length * max(0, -current_ma)
        for verb, flowed, most in (
            ("gave", flow.discharged_ma_ms, given),
            ("took", flow.charged_ma_ms, taken),
        ):
            if not 0 <= flowed <= most:
                what = f"it {verb} {flowed} mA ms, and {most} at most was wanted"
                self._found.note(flow.name, flow.to_ms, what)

    def _look_at_energy(self, flow: FlowRecord, bounds: Sequence[tuple[int, int]]) -> None:
        lowest, highest = min(low for low, _ in bounds), max(high for _, high in bounds)
        for charge, energy in (
            (flow.charged_ma_ms, flow.charged_nj),
            (flow.discharged_ma_ms, flow.discharged_nj),
        ):
            if not charge * lowest <= energy <= charge * highest:
                what = f"{energy} nJ is not {charge} mA ms at {lowest} to {highest} mV"
                self._found.note(flow.name or flow.source, flow.to_ms, what)


def _net(flow: FlowRecord) -> int:
    return flow.discharged_ma_ms - flow.charged_ma_ms
