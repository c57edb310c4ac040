"""What a run can be judged by: the names of the measures and the limits put on them.

A scenario writes ``"readings.late" = "<= 1 %"``; here it becomes a `Limit` of the unit that the
measure has, or an error that says which units it could have had.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Final

from netem.units import BYTE_SIZE, DURATION_S, SHARE_PPM, parse_quantity

OPERATORS: Final[Mapping[str, Callable[[Decimal, Decimal], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_LIMIT: Final = re.compile(r"\s*(==|!=|<=|>=|<|>)\s*(\S.*?)\s*")
LIMIT_PATTERN: Final = r"^\s*(==|!=|<=|>=|<|>)\s*[0-9][0-9_]*(\.[0-9]+)?(\s*[^\s0-9].*)?$"
"""The JSON Schema pattern of a limit."""


class Unit(Enum):
    """What the number of a limit counts; its value is how a base unit is written."""

    COUNT = ""
    SHARE = "%"
    SECONDS = "s"
    OCTETS = "B"
    FACTOR = "x"


_UNITS: Final[Mapping[Unit, Mapping[str, Decimal]]] = {
    Unit.SHARE: {unit: ppm / SHARE_PPM["%"] for unit, ppm in SHARE_PPM.items()},
    Unit.SECONDS: DURATION_S,
    Unit.OCTETS: BYTE_SIZE,
    Unit.FACTOR: {"x": Decimal(1)},
}


def written(value: Decimal, unit: Unit) -> str:
    """Return ``value``, in the base unit of ``unit``, for people; reads back to the same value."""
    if unit is Unit.OCTETS and value % BYTE_SIZE["MiB"] == 0:
        return f"{value / BYTE_SIZE['MiB']:f} MiB"
    return f"{value:f} {unit.value}".rstrip()


@dataclass(frozen=True, slots=True)
class Measure:
    """Something a run measures.

    ``units`` are the units a limit on it may have. A measure that allows `Unit.SHARE` is a count,
    and its share is that of ``whole``, itself the name of a measured count.
    """

    meaning: str
    units: tuple[Unit, ...]
    whole: str | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound on one measure; ``value`` is in the base unit of ``unit`` (per cent, s, octets)."""

    operator: str
    value: Decimal
    unit: Unit

    def holds(self, measured: float, *, whole: int | None = None) -> bool:
        """Say whether ``measured`` keeps the limit.

        ``measured`` is a count, seconds, octets or a factor. For a share, ``measured`` is the
        count and ``whole`` what it is a share of; of nothing, every share is 0. Counts are
        compared exactly.

        Raises:
            ValueError: the limit is a share and ``whole`` is missing.
        """
        compare = OPERATORS[self.operator]
        if self.unit is not Unit.SHARE:
            return compare(Decimal(str(measured)), self.value)
        if whole is None:
            raise ValueError("a share needs the count it is a share of")
        return compare(Decimal(str(measured)) * 100, self.value * (whole or 1))

    def __str__(self) -> str:
        """Return the limit as a scenario writes it."""
        return f"{self.operator} {written(self.value, self.unit)}"


def parse_limit(text: object, measure: Measure) -> Limit:
    """Return the limit on ``measure`` written in ``text``, such as ``"<= 30 s"``.

    Raises:
        ValueError: ``text`` is no operator, number and unit that ``measure`` has.
    """
    match = _LIMIT.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f'write an operator and a number, such as "{_example(measure)}"')
    for unit in measure.units:
        value = _number(match[2], unit)
        if value is not None:
            return Limit(match[1], value, unit)
    raise ValueError(f'{match[2]!r} is no limit here: write it as in "{_example(measure)}"')


def _number(text: str, unit: Unit) -> Decimal | None:
    if unit is Unit.COUNT:
        return Decimal(text.replace("_", "")) if re.fullmatch("[0-9][0-9_]*", text) else None
    try:
        value = parse_quantity(text, _UNITS[unit])
    except ValueError:
        return None
    return None if value < 0 else value


def _example(measure: Measure) -> str:
    examples = {
        Unit.COUNT: "== 0",
        Unit.SHARE: "<= 1 %",
        Unit.SECONDS: "<= 30 s",
        Unit.OCTETS: "<= 500 MiB",
        Unit.FACTOR: ">= 10 x",
    }
    return '" or "'.join(examples[unit] for unit in measure.units)


_READINGS: Final = {
    "deferred": "readings whose delivery window opens only after the drain begins",
    "unattempted": "owed readings never handed to the link: the generator's debt",
    "sent": "readings handed to the link at least once",
    "acknowledged": "readings the head-end acknowledged",
    "stored": "distinct readings found in the store",
    "correct": "stored readings that equal what the meter registered, bit for bit",
    "late": "readings stored after their deadline: their window's opening plus one step",
    "lost": "readings sent and not stored by the end of the drain",
    "lost_acknowledged": "lost readings that the head-end had acknowledged",
    "duplicated": "readings stored more than once",
    "wrong": "stored readings with other values than the meter registered",
    "invented": "stored readings that no meter ever made",
    "conflicts": "second arrivals of a reading with other values than the first",
    "preloaded": "readings of before the run that the store was given and has as registered",
    "preloaded_wrong": "readings of before the run that the store was given and lacks or has "
    "otherwise",
}
_ALARMS: Final = {
    "deferred": "alarms whose reading is deferred",
    "unattempted": "owed alarms whose reading was never handed to the link",
    "sent": "alarms handed to the link at least once",
    "acknowledged": "alarms the head-end acknowledged, with their readings",
    "stored": "distinct alarms found in the store",
    "correct": "stored alarms that say what the meter noted, and when",
    "lost": "alarms sent and not stored by the end of the drain",
    "lost_acknowledged": "lost alarms that the head-end had acknowledged",
    "duplicated": "alarms stored more than once",
    "wrong": "stored alarms that say something else than the meter noted",
    "invented": "stored alarms that no meter ever raised",
    "conflicts": "second arrivals of an alarm that say something else than the first",
}
_COMMANDS: Final = {
    "executed": "commands executed exactly once and confirmed to the head-end",
    "lost": "commands never executed",
    "repeated": "commands executed more than once",
    "failed": "commands the device refused or answered wrongly",
}
_BATTERIES: Final = {
    "beyond_limits": "times a battery was beyond the current or charge it is built for",
    "unaccounted": "times a battery's charge did not follow from the current and the time",
    "disobeyed": "times that batteries did something else than what clients last told them",
    "lost": "orders that the battery layer says were executed, and the battery never was given",
    "twice": "orders that a battery was given more than once",
    "invented": "commands a battery was given that no order of the layer explains",
    "commands_lost": "commands that the battery layer accepted and does not know of",
    "unconserved": "virtual meters and orders that do not add up to what flowed or was wanted",
    "mixed_snapshots": "snapshots that clients got and that cannot be of the interval they name",
}
_BILLS: Final = {
    "wrong": "bills that are not right to the cent",
    "missing": "bills that are due and were not made",
    "twice": "bills of a meter and month that was billed already",
    "invented": "bills of no meter or month of the plan",
}
LATENCIES: Final = {
    "push": "from the intended start of a push to its acknowledgement",
    "pull": "from the intended start of a pull to its last answer",
    "command": "from the intended start of a command to its confirmation",
    "association": "from dialling to an established association",
    "bal.status": "from when a snapshot of a battery was to be asked for to its answer",
    "billing.bill": "from when a bill was to be fetched to its answer",
    "billing.statistics": "from when statistics were to be asked for to their answer",
    "billing.export": "from when an export was to be fetched to its end",
    "bal.command": "from when a battery was to be commanded to its acceptance",
}
OPERATIONS: Final = {
    "bal.status": "snapshots of batteries",
    "bal.command": "commands to batteries",
    "billing.bill": "bills",
    "billing.statistics": "statistics",
    "billing.export": "exports",
}
"""What clients ask of the systems beside the head-end."""
PARTS: Final = ("fleet", "headend", "bal", "batteries", "billing")
"""Parts of a run whose memory can be limited."""
PERCENTILES: Final = ("p50", "p90", "p99", "p99_9", "max")
_COUNTED: Final = (Unit.COUNT, Unit.SHARE)


def _measures() -> dict[str, Measure]:
    measures = {"readings.owed": Measure("readings due before the drain began", (Unit.COUNT,))}
    for name, meaning in _READINGS.items():
        measures[f"readings.{name}"] = Measure(meaning, _COUNTED, "readings.owed")
    measures["alarms.owed"] = Measure("alarms whose reading is owed", (Unit.COUNT,))
    for name, meaning in _ALARMS.items():
        measures[f"alarms.{name}"] = Measure(meaning, _COUNTED, "alarms.owed")
    measures["commands.issued"] = Measure("commands given to the head-end", (Unit.COUNT,))
    for name, meaning in _COMMANDS.items():
        measures[f"commands.{name}"] = Measure(meaning, _COUNTED, "commands.issued")
    for name, meaning in _BATTERIES.items():
        measures[f"batteries.{name}"] = Measure(meaning, (Unit.COUNT,))
    measures["bills.due"] = Measure("bills of whole months that the plan covers", (Unit.COUNT,))
    for name, meaning in _BILLS.items():
        measures[f"bills.{name}"] = Measure(meaning, _COUNTED, "bills.due")
    for operation, meaning in OPERATIONS.items():
        whole = f"{operation}.asked"
        measures[whole] = Measure(f"requests of clients for {meaning}", (Unit.COUNT,))
        measures[f"{operation}.refused"] = Measure(
            f"requests for {meaning} that were refused with a reason", _COUNTED, whole
        )
        measures[f"{operation}.failed"] = Measure(
            f"requests for {meaning} without an answer, or answered with an error", _COUNTED, whole
        )
    measures["replays.accepted"] = Measure(
        "recorded pushes, sent again by the replay probe, that were confirmed as if they were new",
        (Unit.COUNT,),
    )
    for service, meaning in LATENCIES.items():
        for percentile in PERCENTILES:
            name = f"{service}.latency.{percentile}"
            measures[name] = Measure(f"{percentile} of the time {meaning}", (Unit.SECONDS,))
    measures["throughput.times_real_time"] = Measure(
        "readings a second over what the same meters make in real time", (Unit.FACTOR,)
    )
    for part in PARTS:
        name = f"resources.{part}.memory"
        measures[name] = Measure(f"largest resident memory of the {part}", (Unit.OCTETS,))
    measures["resources.store.size"] = Measure("size of the store at the end", (Unit.OCTETS,))
    return measures


MEASURES: Final[Mapping[str, Measure]] = _measures()
"""Every name that may stand in a scenario's ``[checks]``."""

DEFAULT_CHECKS: Final[Mapping[str, str]] = {
    "readings.lost": "== 0",
    "readings.unattempted": "== 0",
    "readings.duplicated": "== 0",
    "readings.wrong": "== 0",
    "readings.invented": "== 0",
    "readings.conflicts": "== 0",
}
"""What every run is judged by unless its scenario sets another limit."""

ALARM_CHECKS: Final[Mapping[str, str]] = {
    "alarms.lost": "== 0",
    "alarms.duplicated": "== 0",
    "alarms.wrong": "== 0",
    "alarms.invented": "== 0",
    "alarms.conflicts": "== 0",
}
"""What a run is judged by besides where meters raise alarms, unless its scenario says otherwise."""
