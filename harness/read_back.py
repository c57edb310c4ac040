"""What somebody's own head-end stored, read back and held ready for the ledger.

Nothing that it holds is dropped in silence. Rows of meters that are not of the run get a meter
number no grid has, so that the ledger counts them as invented. Rows that say nothing, because the
time or a register cannot be read, are no readings; they are told as a reason for doubt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emulator.identity import NAME_OCTETS, meter_numbers
from harness.check.recorded import RecordedRun
from harness.scenario import External
from harness.scenario.target import ReadBackFiles
from harness.store.commands import Command
from harness.store.errors import StoreError
from harness.store.external import ColumnMapping, ExternalStore, read_external
from harness.store.interface import StoredReader
from harness.store.postgres_session import redacted
from harness.store.rows import StoredRows

STRANGER: Final = 0xFFFF_FFFF
"""Meter number of everything that is not ours: no grid is that large."""
OPTIONAL: Final = ("status", "stored_at")
"""Columns that are used where they are there."""
STRANGERS_TOLD: Final = 5


class ForeignReader:
    """A `StoredReader` of what `read_external` found, and what is doubtful about it.

    Args:
        found: what was read.
        doubts: reasons for which the verdict cannot rest on it.
    """

    def __init__(self, found: ExternalStore, doubts: Sequence[str]) -> None:
        self._reader = found.reader
        self.doubts = tuple(doubts)

    @property
    def registers(self) -> tuple[str, ...]:
        """See `StoredReader.registers`."""
        return self._reader.registers

    def slots(self) -> NDArray[np.int64]:
        """See `StoredReader.slots`."""
        return self._reader.slots()

    def rows(self, captured_at_s: int) -> StoredRows:
        """See `StoredReader.rows`."""
        return self._reader.rows(captured_at_s)

    def conflicts(self) -> StoredRows:
        """See `StoredReader.conflicts`; a foreign store keeps none aside that we know of."""
        return self._reader.conflicts()

    def count(self) -> int:
        """See `StoredReader.count`."""
        return self._reader.count()

    def commands(self) -> list[Command]:
        """See `StoredReader.commands`; a foreign head-end is given none."""
        return self._reader.commands()

    def close(self) -> None:
        """See `StoredReader.close`."""
        self._reader.close()


def open_read_back(run: RecordedRun, target: External) -> StoredReader:
    """Open what a foreign head-end stored, as the scenario says.

    A row beside its plan is kept: of an unknown meter, of an unplanned time, or a second one.

    Raises:
        StoreError: the source cannot be read, or lacks a column.
    """
    source, query, files, columns = _source(run, target)
    profile = run.truth.profile
    strangers: list[str] = []
    try:
        found = read_external(
            source,
            partial(_mapping, columns, profile.names, profile.number),
            _numbering(run.grid.meters, strangers),
            query=query,
            files=files,
        )
    except ValueError as error:
        where = redacted(str(source))
        raise StoreError(str(error), where=where, mend="mend target.read_back") from error
    return ForeignReader(found, _doubts(found, strangers))


def doubts_of(reader: StoredReader) -> tuple[str, ...]:
    """Return the reasons for which a verdict cannot rest on ``reader``; ours gives none."""
    return reader.doubts if isinstance(reader, ForeignReader) else ()


def _source(
    run: RecordedRun, target: External
) -> tuple[str | Path, str | None, str | None, Mapping[str, str]]:
    """Return where to read, by which query, which files, and what columns are called."""
    read_back = target.read_back
    if isinstance(read_back, ReadBackFiles):
        folder = run.fleet.pattern_folder / read_back.folder
        return folder, None, read_back.format, read_back.columns
    return read_back.url, _of_this_run(run, read_back.query), None, {}


def _of_this_run(run: RecordedRun, query: str) -> str:
    """Return the query with the time of the run, so that it need not see what was there before."""
    behaviour = run.fleet.behaviour
    end_s = run.fleet.first_s + behaviour.steps * behaviour.step_s
    # Not by str.format: a query may have braces of its own.
    return query.replace("{first_s}", str(run.fleet.first_s)).replace("{end_s}", str(end_s))


def _mapping(
    columns: Mapping[str, str], registers: Sequence[str], profile: int, there: Sequence[str]
) -> ColumnMapping:
    optional = {
        ours: columns.get(ours, ours) for ours in OPTIONAL if ours in columns or ours in there
    }
    return ColumnMapping(
        meter=columns.get("meter", "meter"),
        captured_at=columns.get("captured_at", "captured_at"),
        registers={ours: columns.get(ours, ours) for ours in registers},
        profile=profile,
        **optional,
    )


def _numbering(meters: int, strangers: list[str]) -> Callable[[list[str]], NDArray[np.int64]]:
    """Return a function from names to numbers that adds names not of this run to ``strangers``."""

    def numbers(names: list[str]) -> NDArray[np.int64]:
        found = np.full(len(names), STRANGER, np.int64)
        regular = [
            at for at, name in enumerate(names) if len(name) == NAME_OCTETS and name.isascii()
        ]
        if regular:
            known = meter_numbers(np.array([names[at] for at in regular], f"S{NAME_OCTETS}"))
            found[regular] = np.where((known >= 0) & (known < meters), known, STRANGER)
        strangers.extend(names[at] for at in np.flatnonzero(found == STRANGER))
        return found

    return numbers


def _doubts(found: ExternalStore, strangers: Sequence[str]) -> list[str]:
    doubts = []
    if strangers:
        told = ", ".join(map(repr, strangers[:STRANGERS_TOLD]))
        more = len(strangers) - STRANGERS_TOLD
        doubts.append(
            f"{len(strangers):,} meters that were read back are not of this run: {told}"
            + (f" and {more:,} more" if more > 0 else "")
        )
    if unreadable := found.unreadable + found.unknown:
        doubts.append(
            f"{unreadable:,} rows that were read back are no readings: meter, time or a register "
            "is missing or is no whole number in its range"
        )
    return doubts
