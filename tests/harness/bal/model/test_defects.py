"""Each defect found in public implementations, with the test that finds it.

Every row is a question with its right answer and a mutant that has the defect: the question is
asked twice, and must be answered wrongly by the mutant.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from harness.bal.errors import CurrentOutOfRangeError
from harness.bal.model import accounting, aggregate, dispatch, engine, partition, sharing
from harness.bal.model import batteries as whole
from harness.bal.model.batteries import Batteries
from harness.bal.model.values import Policy, Share
from tests.support.battery_model import AH, HOUR_MS, add, read, told


def two(a_holds: float = 55, b_holds: float = 20) -> Batteries:
    batteries = Batteries()
    add(batteries, "a", ah=110, discharge_a=60, holds_ah=a_holds)
    add(batteries, "b", ah=40, discharge_a=40, holds_ah=b_holds)
    batteries.make_aggregator("c", ["a", "b"])
    return batteries


def a_full_aggregate_can_be_asked_and_takes_nothing() -> None:
    batteries = two(110, 40)
    assert batteries.status("c").current.max_charge_ma == 0
    assert batteries.set_charge("c", 0, 0) == []


def an_aggregate_told_to_charge_charges_its_sources() -> None:
    assert told(two().set_charge("c", 30_000, 0)) == {"a": -22_000, "b": -8_000}


def shown(policy: Policy, actual: int) -> list[int]:
    batteries = Batteries()
    add(batteries, "a", ah=1_000, discharge_a=100, holds_ah=100)
    shares = [Share.percent("p1", 50), Share.percent("p2", 30), Share.percent("p3", 20)]
    batteries.make_splitter(shares, "a", policy)
    read(batteries, "a", actual, 1)
    return [batteries.status(share.name).current.charge_ma_ms // AH for share in shares]


def tranched_partitions_show_their_tranches() -> None:
    assert shown(Policy.TRANCHED, 90) == [50, 30, 10]
    assert shown(Policy.TRANCHED, 110) == [60, 30, 20]


def reserved_partitions_show_their_reserves() -> None:
    assert shown(Policy.RESERVED, 90) == [50, 30, 10]
    assert shown(Policy.RESERVED, 110) == [50, 30, 30]


def a_scheduled_current_reaches_the_physical_batteries() -> None:
    batteries = two()
    batteries.schedule("c", 15_000, 1_000, 2_000, 0)
    assert told(batteries.due(1_000)) == {"a": 11_000, "b": 4_000}
    assert told(batteries.due(2_000)) == {"a": 0, "b": 0}


def a_virtual_meter_registers_what_flowed_after_an_hour_too() -> None:
    batteries = Batteries()
    add(batteries, "a", ah=100, discharge_a=100)
    batteries.make_splitter([Share.percent("p", 50)], "a")
    batteries.set_discharge("p", 10_000, 0)
    batteries.due(2 * HOUR_MS + HOUR_MS // 2)
    record = batteries.flows(0, 2 * HOUR_MS + HOUR_MS // 2)[0]
    assert record.discharged_ma_ms == 25 * AH
    assert record.discharged_mwh == 25 * 48_000


def a_current_out_of_range_is_a_typed_refusal() -> None:
    batteries = two()
    for current_ma in (82_000, -82_000, 2**63, -(2**63)):
        with pytest.raises(CurrentOutOfRangeError):
            batteries.set_current("c", current_ma, 0)
    assert batteries.set_current("c", 0, 0) == []


def a_partition_out_of_range_is_a_typed_refusal() -> None:
    batteries = two()
    batteries.make_splitter([Share.percent("p", 50)], "c")
    with pytest.raises(CurrentOutOfRangeError):
        batteries.set_discharge("p", 40_910, 0)


def _divides_by_the_room(limits: list[int], contents: list[int]) -> int:
    whole_room = sum(contents)
    return min(limit * whole_room // held for limit, held in zip(limits, contents, strict=True))


def _always_discharges(self: aggregate.Aggregate, current_ma: int) -> Any:
    return [(one, abs(part)) for one, part in _DIVIDE(self, current_ma)]


_DIVIDE = aggregate.Aggregate.divide
_SPREAD = sharing.spread
_AT = accounting.Stretch.at


def _without_body(policy: Policy, actual: int, expected: Any, *others: Any) -> list[int]:
    if policy is Policy.PROPORTIONAL:
        return _SPREAD(policy, actual, expected, *others)
    return list(expected)


def _forgets_to_tell(*_: Any) -> None:
    return None


def _restarts_each_hour(self: accounting.Stretch, at_ms: int) -> accounting.Stretch:
    """Meter a part of an hour as a whole one: time in hours, rounded up."""
    elapsed_ms = at_ms - self.start_ms
    return _AT(self, self.start_ms + -(-elapsed_ms // HOUR_MS) * HOUR_MS)


def _only_warns(*_: Any) -> bool:
    return True


@dataclass(frozen=True)
class Defect:
    """What goes wrong, the question that finds it, and where the mutant has it."""

    name: str
    finds: Callable[[], None]
    home: object
    attribute: str
    mutant: Callable[..., Any]


DEFECTS = [
    Defect(
        "division by zero on a full aggregate",
        a_full_aggregate_can_be_asked_and_takes_nothing,
        aggregate,
        "joint_limit",
        _divides_by_the_room,
    ),
    Defect(
        "sources discharged when an aggregate is told to charge",
        an_aggregate_told_to_charge_charges_its_sources,
        aggregate.Aggregate,
        "divide",
        _always_discharges,
    ),
    Defect(
        "empty body of tranched",
        tranched_partitions_show_their_tranches,
        partition,
        "spread",
        _without_body,
    ),
    Defect(
        "empty body of reserved",
        reserved_partitions_show_their_reserves,
        partition,
        "spread",
        _without_body,
    ),
    Defect(
        "a scheduled current that never reaches the physical battery",
        a_scheduled_current_reaches_the_physical_batteries,
        dispatch,
        "_order",
        _forgets_to_tell,
    ),
    Defect(
        "a scheduled current that nobody starts",
        a_scheduled_current_reaches_the_physical_batteries,
        engine.Engine,
        "evaluate",
        _forgets_to_tell,
    ),
    Defect(
        "a virtual meter that over-reads after an hour",
        a_virtual_meter_registers_what_flowed_after_an_hour_too,
        accounting.Stretch,
        "at",
        _restarts_each_hour,
    ),
    Defect(
        "an out-of-range current that passes an aggregate's handler",
        a_current_out_of_range_is_a_typed_refusal,
        whole,
        "within",
        _only_warns,
    ),
    Defect(
        "an out-of-range current that passes a partition's handler",
        a_partition_out_of_range_is_a_typed_refusal,
        whole,
        "within",
        _only_warns,
    ),
]


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_the_defect_is_not_here_and_a_mutant_that_has_it_is_found(
    defect: Defect, monkeypatch: pytest.MonkeyPatch
) -> None:
    defect.finds()
    monkeypatch.setattr(defect.home, defect.attribute, defect.mutant)
    with pytest.raises((AssertionError, ZeroDivisionError, pytest.fail.Exception)):
        defect.finds()
