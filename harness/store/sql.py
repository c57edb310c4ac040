"""Queries that every back end answers.

``{}`` or ``at`` is where the tables are: nothing, or a database and a dot.
"""

from __future__ import annotations

from typing import Final

from harness.store.interface import AlarmFilter, ExportedTable
from harness.store.schema import ALARMS, listed

BY_RAISING: Final = listed(("raised_at", *ALARMS.key, "stored_at", "argument"))
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


def page_of_alarms(wanted: AlarmFilter, after: int, count: int, at: str = "") -> str:
    """Return the query of ``count`` of the wanted alarms beyond the first ``after``."""
    conditions = [f"raised_at >= {wanted.from_s:d}", f"raised_at < {wanted.to_s:d}"]
    if wanted.meter is not None:
        conditions.append(f"meter = {wanted.meter:d}")
    if wanted.kinds is not None:
        kinds = (f"(source = {source:d} AND code = {code:d})" for source, code in wanted.kinds)
        conditions.append(f"({' OR '.join(kinds) or 'FALSE'})")
    return (
        f"SELECT * FROM {at}alarms WHERE {' AND '.join(conditions)} "
        f"ORDER BY {BY_RAISING} LIMIT {count:d} OFFSET {after:d}"
    )
