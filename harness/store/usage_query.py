"""How a store answers `harness.store.interface.Store.usage`: queries, and arithmetic on gaps.

Theory. A register counts up, so the energy of a span is the difference of two readings, and that of
many spans of one kind (the peak hours of a month, say) a sum of readings with the weights +1 and
-1. One query over the readings *at the bounds* answers for every meter that has them all; which
rows lie between does not matter, except that no register may fall from one to the next, which a
second query looks at, chunk by chunk between bounds.

Of a meter that lacks a reading at a bound, all readings are fetched, and its register is taken to
rise evenly between the two readings around the bound (whole watt-hours, rounded down): the energy
of a gap is prorated by time, and what is taken from one band goes to its neighbour.
Bounds need not lie on captures; it then works for all meters like that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from harness.store.schema import Columns, listed
from harness.store.usage import NEVER, Energy, Standing, Usage, UsageQuestion

_PAGE_ROWS: Final = 4_000_000
_CHUNK_S: Final = 86_400
_NEAR_STEPS: Final = 4
"""Captures around a bound among which the readings next to it are looked for at first."""
_ENDS_MAX: Final = 100

Fetch = Callable[[str, Sequence[str]], Columns]
"""Runs a query whose result has the named columns, 64-bit integers never null; returns them."""


def usage(fetch: Fetch, question: UsageQuestion, registers: Sequence[str], at: str = "") -> Usage:
    """Return the energy of every meter that has readings.

    Args:
        fetch: runs a query on the store.
        question: what is to be known.
        registers: the register columns that there are.
        at: where the table is: nothing, or a database and a dot.

    Raises `ValueError` if there is no such register, and what ``fetch`` raises.
    """
    for name in (question.imported, question.exported):
        if name not in registers:
            raise ValueError(f"there is no register {name!r}; there are {listed(registers)}")
    bounds = _Bounds(question)
    standing = _standing(fetch, question, at)
    whole = _whole(fetch(bounds.query(at), bounds.COLUMNS), bounds)
    answered = np.unique(whole.meter)
    rest = np.setdiff1d(standing.meter, answered)
    if not len(rest):
        return Usage(whole, standing)
    known = standing.take(np.isin(standing.meter, rest))
    parts = [Usage(whole, standing.take(~np.isin(standing.meter, rest)))]
    near, unsure = _fetched(fetch, bounds, known, at, near=True)
    far, _ = _fetched(fetch, bounds, unsure, at, near=False)
    return Usage.joined(parts + near + far)


def _fetched(
    fetch: Fetch, bounds: _Bounds, standing: Standing, at: str, *, near: bool
) -> tuple[list[Usage], Standing]:
    """Return the usage of meters that lack readings at bounds, and of whom it is not sure.

    ``near``: only readings close to bounds are fetched, which mostly will do.
    """
    asked, parts, left = bounds.question, [], []
    moments = len(bounds.at_s) * (2 * _NEAR_STEPS + 1)
    page = max(1, _PAGE_ROWS // (min(moments, asked.captures) if near else asked.captures))
    for begin in range(0, len(standing), page):
        of_page = standing.take(slice(begin, begin + page))
        when = _near(bounds, of_page) if near else _everywhere(asked)
        rows = fetch(_rows_query(asked, of_page.meter, when, at), _ROWS)
        found, sure = _prorated(rows, bounds, of_page)
        if near:
            certain = found.standing.meter[sure]
            left.append(of_page.take(~np.isin(of_page.meter, certain)))
            found = found.of(certain)
        parts.append(found)
    return parts, Standing.concatenate(left) if left else standing.take(slice(0))


def _near(bounds: _Bounds, standing: Standing) -> str:
    """Return the condition of readings close to bounds, at meters' ends and in the margins."""
    asked = bounds.question
    ends = np.union1d(standing.from_s, standing.to_s)[:_ENDS_MAX]
    around_s = _around_s(asked)
    spans = [(int(at_s) - around_s, int(at_s) + around_s) for at_s in np.unique(bounds.at_s)]
    spans += [
        (asked.from_s - asked.margin_s, asked.from_s),
        (asked.to_s, asked.to_s + asked.margin_s),
    ]
    conditions = [
        f"captured_at BETWEEN {begin_s:d} AND {end_s:d}" for begin_s, end_s in _united(spans)
    ]
    conditions.append(f"captured_at IN ({listed([str(at_s) for at_s in ends.tolist()])})")
    return f"({' OR '.join(conditions)})"


def _around_s(asked: UsageQuestion) -> int:
    """Return how far from a bound readings are looked for at first: never beyond the margins."""
    return min(_NEAR_STEPS * asked.step_s, asked.margin_s)


def _everywhere(asked: UsageQuestion) -> str:
    begin_s, end_s = asked.from_s - asked.margin_s, asked.to_s + asked.margin_s
    return f"captured_at BETWEEN {begin_s:d} AND {end_s:d}"


def _united(spans: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield spans that cover the same, none touching another, in order."""
    begin_s, end_s = min(spans)
    for span in sorted(spans):
        if span[0] > end_s:
            yield begin_s, end_s
            begin_s = span[0]
        end_s = max(end_s, span[1])
    yield begin_s, end_s


class _Bounds:
    """The moments whose registers are wanted, and their weight in each band."""

    COLUMNS = ("meter", "band", "import_wh", "export_wh", "found", "places")

    def __init__(self, question: UsageQuestion) -> None:
        self.question = question
        weights: dict[tuple[int, int], int] = {}
        for window in question.windows:
            for at_s, weight in ((window.from_s, -1), (window.to_s, 1)):
                key = (window.band, at_s)
                weights[key] = weights.get(key, 0) + weight
        # One between two windows of a band weighs nothing, but a meter without it is looked at.
        used = sorted(weights.items())
        self.band = np.array([key[0] for key, _ in used], np.int64)
        self.at_s = np.array([key[1] for key, _ in used], np.int64)
        self.weight = np.array([weight for _, weight in used], np.int64)
        self.bands, self.first = np.unique(self.band, return_index=True)
        self.place = np.arange(len(used))
        self.found = np.add.reduceat(np.ones_like(self.band), self.first)
        self.places = np.add.reduceat(self.place, self.first)

    def query(self, at: str) -> str:
        """Return the query of sums over the readings at the bounds."""
        asked = self.question
        rows = ", ".join(
            f"({at_s:d}, {band:d}, {weight:d}, {place:d})"
            for at_s, band, weight, place in zip(
                *map(np.ndarray.tolist, (self.at_s, self.band, self.weight, self.place)),
                strict=True,
            )
        )
        moments = listed([f"{at_s:d}" for at_s in np.unique(self.at_s).tolist()])

        def total(register: str) -> str:
            return f"CAST(sum(weight * CAST({register} AS BIGINT)) AS BIGINT)"

        return (
            f"WITH bounds(at_s, band, weight, place) AS (VALUES {rows}) "
            f"SELECT CAST(meter AS BIGINT) AS meter, CAST(band AS BIGINT) AS band, "
            f"{total(asked.imported)} AS import_wh, {total(asked.exported)} AS export_wh, "
            "CAST(count(*) AS BIGINT) AS found, CAST(sum(place) AS BIGINT) AS places "
            f"FROM {at}readings JOIN bounds ON captured_at = at_s "
            f"WHERE captured_at IN ({moments}) AND {_chosen(asked)} "
            "GROUP BY meter, band ORDER BY meter, band"
        )


def _whole(columns: Columns, bounds: _Bounds) -> Energy:
    """Return the energy of the meters that have one reading at every bound."""
    meter = np.asarray(columns["meter"], np.uint32)
    which = np.searchsorted(bounds.bands, columns["band"])
    # The number of places and their sum: a duplicate in place of a missing one changes the sum.
    good = (columns["found"] == bounds.found[which]) & (columns["places"] == bounds.places[which])
    meters, of_meter = np.unique(meter, return_inverse=True)
    complete = np.bincount(of_meter, weights=good, minlength=len(meters)) == len(bounds.bands)
    chosen = complete[of_meter]
    return Energy(
        meter[chosen],
        *(np.asarray(columns[name], np.int64)[chosen] for name in list(Energy.TYPES)[1:]),
    )


_STANDING: Final = ("meter", "readings", "from_s", "to_s", "fell_at_s")


def _standing(fetch: Fetch, question: UsageQuestion, at: str) -> Standing:
    """Return what readings each meter has, looked at chunk by chunk."""
    merged: Standing | None = None
    for begin_s, end_s in _chunks(question):
        columns = fetch(_standing_query(question, begin_s, end_s, at), _STANDING)
        told = {name: np.asarray(columns[name], np.int64) for name in _STANDING[1:]}
        meter = np.asarray(columns["meter"], np.uint32)
        chunk = Standing(meter, **told, estimated=np.zeros(len(meter), np.int64))
        merged = chunk if merged is None else _merged(merged, chunk)
    assert merged is not None  # there is a window, so there is a chunk
    return merged


def _chunks(question: UsageQuestion) -> Iterator[tuple[int, int]]:
    """Yield spans between bounds, of about a day, that cover all windows."""
    begin_s = question.from_s
    for window in question.windows:
        if window.to_s - begin_s >= _CHUNK_S or window.to_s == question.to_s:
            yield begin_s, window.to_s
            begin_s = window.to_s


def _standing_query(question: UsageQuestion, begin_s: int, end_s: int, at: str) -> str:
    fell = " OR ".join(
        f"{name} < 0 OR {name} < lag({name}) OVER of_meter"
        for name in (question.imported, question.exported)
    )
    # Chunks share the readings at their ends; each is counted in the later one.
    counted = "" if end_s == question.to_s else f" FILTER (WHERE captured_at < {end_s:d})"
    return (
        f"SELECT CAST(meter AS BIGINT) AS meter, count(*){counted} AS readings, "
        "min(captured_at) AS from_s, max(captured_at) AS to_s, "
        f"coalesce(min(CASE WHEN fell THEN captured_at END), {NEVER}) AS fell_at_s "
        f"FROM (SELECT meter, captured_at, ({fell}) AS fell FROM {at}readings "
        f"WHERE captured_at BETWEEN {begin_s:d} AND {end_s:d} AND {_chosen(question)} "
        "WINDOW of_meter AS (PARTITION BY meter ORDER BY captured_at)) AS seen "
        "GROUP BY meter ORDER BY meter"
    )


def _chosen(question: UsageQuestion) -> str:
    condition = f"profile = {question.profile:d}"
    if question.meters is not None:
        first, end = question.meters
        condition += f" AND meter >= {first:d} AND meter < {end:d}"
    return condition


def _merged(one: Standing, later: Standing) -> Standing:
    """Return two standings, of consecutive chunks, as one."""
    if np.array_equal(one.meter, later.meter):
        fell_at_s = np.where(one.fell_at_s == NEVER, later.fell_at_s, one.fell_at_s)
        readings = one.readings + later.readings
        return Standing(one.meter, readings, one.from_s, later.to_s, fell_at_s, one.estimated)
    both = Standing.concatenate([one, later])
    both = both.take(np.argsort(both.meter, kind="stable"))
    meters, first = np.unique(both.meter, return_index=True)
    fell_at_s = np.where(both.fell_at_s == NEVER, np.iinfo(np.int64).max, both.fell_at_s)
    fell_at_s = np.minimum.reduceat(fell_at_s, first)
    return Standing(
        meters,
        np.add.reduceat(both.readings, first),
        np.minimum.reduceat(both.from_s, first),
        np.maximum.reduceat(both.to_s, first),
        np.where(fell_at_s == np.iinfo(np.int64).max, NEVER, fell_at_s),
        np.zeros(len(meters), np.int64),
    )


_ROWS: Final = ("meter", "at_s", "import_wh", "export_wh")


def _rows_query(question: UsageQuestion, meters: NDArray[np.uint32], when: str, at: str) -> str:
    return (
        "SELECT CAST(meter AS BIGINT) AS meter, captured_at AS at_s, "
        f"CAST({question.imported} AS BIGINT) AS import_wh, "
        f"CAST({question.exported} AS BIGINT) AS export_wh FROM {at}readings "
        f"WHERE {when} AND {_chosen(question)} "
        f"AND meter IN ({listed([str(meter) for meter in meters.tolist()])}) "
        "ORDER BY meter, captured_at, stored_at"
    )


def _prorated(
    columns: Columns, bounds: _Bounds, known: Standing
) -> tuple[Usage, NDArray[np.bool_]]:
    """Return the usage of meters from readings by meter and time, and of whom it is sure.

    Not sure is it where a reading that was left out could lie closer to a bound than those it
    follows from. ``known`` is what the store's query found of the meters.
    """
    question = bounds.question
    meter = np.asarray(columns["meter"], np.int64)
    at_s = np.asarray(columns["at_s"], np.int64)
    again = np.zeros(len(meter), np.bool_)
    again[1:] = (np.diff(meter) == 0) & (np.diff(at_s) == 0)
    meter, at_s = meter[~again], at_s[~again]
    registers = [np.asarray(columns[name], np.int64)[~again] for name in ("import_wh", "export_wh")]
    meters, first = np.unique(meter, return_index=True)
    last = np.append(first[1:], len(meter)) - 1
    known = known.take(np.searchsorted(known.meter, meters))
    begin_s, end_s = np.maximum(at_s[first], question.from_s), np.minimum(at_s[last], question.to_s)
    # One key for meter and time, in order, so that one search finds the place of every bound.
    origin_s, span_s = question.from_s - question.margin_s, question.to_s - question.from_s
    width = span_s + 2 * question.margin_s + 1
    owner = np.repeat(np.arange(len(meters)), last - first + 1)
    key = owner * width + (at_s - origin_s)
    wanted_s = np.clip(bounds.at_s[np.newaxis, :], begin_s[:, np.newaxis], end_s[:, np.newaxis])
    wanted = np.arange(len(meters))[:, np.newaxis] * width + (wanted_s - origin_s)
    before = np.searchsorted(key, wanted, side="right") - 1
    after = np.minimum(before + 1, last[:, np.newaxis])
    energies = []
    for register in registers:
        rise = register[after] - register[before]
        gap_s = np.maximum(at_s[after] - at_s[before], 1)
        value = register[before] + rise * (wanted_s - at_s[before]) // gap_s
        energies.append(np.add.reduceat(value * bounds.weight, bounds.first, axis=1).ravel())
    near_s = _around_s(question)
    close = (wanted_s - at_s[before] <= near_s) & (at_s[after] - wanted_s <= near_s)
    # Beyond the ends all of the margin was fetched, so a reading there is the next one.
    close |= (bounds.at_s == question.from_s) & (at_s[after] - wanted_s <= near_s)
    close |= (bounds.at_s == question.to_s) & (wanted_s - at_s[before] <= near_s)
    close |= at_s[before] == wanted_s
    sure = close.all(axis=1)
    sure &= (at_s[first] <= question.from_s) | (at_s[first] == known.from_s)
    sure &= (at_s[last] >= question.to_s) | (at_s[last] == known.to_s)
    fell_at_s = _falls(at_s, owner, len(meters), registers)
    numbers = meters.astype(np.uint32)
    found = Usage(
        Energy(
            np.repeat(numbers, len(bounds.bands)), np.tile(bounds.bands, len(meters)), *energies
        ),
        Standing(
            numbers,
            known.readings,
            begin_s,
            end_s,
            _earlier(known.fell_at_s, fell_at_s),
            np.count_nonzero(at_s[before] != bounds.at_s, axis=1).astype(np.int64),
        ),
    )
    return found, sure


def _earlier(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the earlier moment of each pair, `NEVER` being later than any."""
    both = np.where(one == NEVER, other, np.minimum(one, np.where(other == NEVER, one, other)))
    return both


def _falls(
    at_s: NDArray[np.int64],
    owner: NDArray[np.int64],
    meters: int,
    registers: list[NDArray[np.int64]],
) -> NDArray[np.int64]:
    """Return when a register of each meter first fell or was negative, or `NEVER`."""
    same = owner[1:] == owner[:-1]
    fell = np.zeros(len(at_s), np.bool_)
    for register in registers:
        fell |= register < 0
        fell[1:] |= same & (np.diff(register) < 0)
    fell_at_s = np.full(meters, NEVER, np.int64)
    at = np.flatnonzero(fell)[::-1]
    fell_at_s[owner[at]] = at_s[at]
    return fell_at_s
