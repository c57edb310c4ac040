"""Queries that every back end answers.

``{}`` or ``at`` is where the tables are: nothing, or a database and a dot.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from harness.store.interface import AlarmFilter, ExportedTable
from harness.store.schema import ALARMS, listed

_PLACE: Final = ("raised_at", *ALARMS.key)
BY_RAISING: Final = listed((*_PLACE, "stored_at", "argument"))
"""The order of alarms."""

LAST_REGISTRATIONS: Final = (
    "SELECT DISTINCT ON (concentrator, meter) * FROM {}registrations "
    "ORDER BY concentrator, meter, happened_at DESC, kind DESC, period_s DESC"
)
"""Of one instant a deregistration or expiry counts: it is better to register once too often."""

_ORDERS: Final = {
    "readings": ("captured_at", "captured_at, meter, profile, stored_at"),
    "alarms": ("raised_at", BY_RAISING),
}


def exported(what: ExportedTable, from_s: int, to_s: int, at: str = "") -> str:
    """Return the query of what `harness.store.interface.Store.export` writes."""
    time, order = _ORDERS[what]
    return (
        f"SELECT * FROM {at}{what} WHERE {time} >= {from_s:d} AND {time} < {to_s:d} "
        f"ORDER BY {order}"
    )


def page_of_alarms(wanted: AlarmFilter, count: int, at: str = "") -> str:
    """Return the query of the first ``count`` of the wanted alarms."""
    conditions = [f"raised_at >= {wanted.from_s:d}", f"raised_at < {wanted.to_s:d}"]
    for name in ("meter", "source", "code"):
        value: int | None = getattr(wanted, name)
        if value is not None:
            conditions.append(f"{name} = {value:d}")
    if wanted.among is not None:
        conditions.append(_is_one_of(wanted.among))
    conditions.append(f"NOT {_is_one_of(wanted.but)}")
    if wanted.after is not None:
        last = ", ".join(f"{value:d}" for value in wanted.after)
        conditions.append(f"({listed(_PLACE)}) > ({last})")
    return (
        f"SELECT * FROM {at}alarms WHERE {' AND '.join(conditions)} "
        f"ORDER BY {BY_RAISING} LIMIT {count:d}"
    )


def _is_one_of(kinds: Sequence[tuple[int, int]]) -> str:
    found = (f"(source = {source:d} AND code = {code:d})" for source, code in kinds)
    return f"({' OR '.join(found) or 'FALSE'})"
