"""Profile generic (class 7): a buffer read whole, by range or by entry.

IEC 62056-6-2, Blue Book 4.3.6. The buffer itself belongs to the caller: `ProfileBuffer.rows`
gets a `Selection` and returns rows, or `Encoded` octets when it has them ready (a whole array,
tag included). `select` does the selecting for callers that only hold a list of rows.

The restricting object of a range may be any captured column, not only the sort object and not
only the first; its bounds compare as time when they hold date-times and as numbers otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Protocol, TypeAlias

from protocols.dlms.apdu import ActionResult, DataAccessResult, SelectiveAccess
from protocols.dlms.clock import SIZE as DATE_TIME_SIZE
from protocols.dlms.clock import decode_date_time
from protocols.dlms.cosem.base import (
    ActionOutcome,
    Caller,
    CosemObject,
    Encoded,
    Method,
    Readable,
    Reader,
    Value,
)
from protocols.dlms.cosem.classes import PROFILE_GENERIC
from protocols.dlms.data import (
    Data,
    DataType,
    array,
    double_long_unsigned,
    enum,
    integer,
    long_unsigned,
    octet_string,
    structure,
)
from protocols.errors import CodecError

RANGE_SELECTOR: Final = 1
ENTRY_SELECTOR: Final = 2
LAST_ENTRY: Final = 0
"""``to_entry`` or ``to_column`` zero: the highest there is."""


class SortMethod(IntEnum):
    """How the buffer is ordered."""

    FIFO = 1
    LIFO = 2
    LARGEST = 3
    SMALLEST = 4
    NEAREST_TO_ZERO = 5
    FARTHEST_FROM_ZERO = 6


@dataclass(frozen=True, slots=True)
class CaptureObject:
    """One column: which attribute of which object it captures."""

    class_id: int
    logical_name: bytes
    attribute_id: int
    data_index: int = 0

    def to_data(self) -> Data:
        """Return the structure that stands for it on the wire."""
        return structure(
            long_unsigned(self.class_id),
            octet_string(self.logical_name),
            integer(self.attribute_id),
            long_unsigned(self.data_index),
        )

    @classmethod
    def from_data(cls, data: Data) -> CaptureObject:
        """Read it from a structure, or raise `CodecError`."""
        match data:
            case Data(
                DataType.STRUCTURE,
                (
                    Data(DataType.LONG_UNSIGNED, int(class_id)),
                    Data(DataType.OCTET_STRING, bytes(logical_name)),
                    Data(DataType.INTEGER, int(attribute_id)),
                    Data(DataType.LONG_UNSIGNED, int(data_index)),
                ),
            ):
                return cls(class_id, logical_name, attribute_id, data_index)
        raise CodecError("not a capture object definition", codec="profile", path="object")


@dataclass(frozen=True, slots=True)
class Everything:
    """The whole buffer, every column."""

    columns: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class RangeSelection:
    """Rows whose ``column`` lies between two bounds, both included.

    ``columns`` are the indices to return (none: all of them). `bounds` gives the two limits as
    numbers: POSIX seconds when they are date-times.
    """

    column: int
    from_value: Data
    to_value: Data
    columns: tuple[int, ...] = ()

    def bounds(self) -> tuple[float, float]:
        """Return both bounds as numbers. Raises `CodecError` when they cannot be ordered."""
        return sort_key(self.from_value), sort_key(self.to_value)


@dataclass(frozen=True, slots=True)
class EntrySelection:
    """Rows ``first`` to ``last`` (from 1, both included; ``last`` 0: the end)."""

    first: int
    last: int
    columns: tuple[int, ...] = ()


Selection: TypeAlias = Everything | RangeSelection | EntrySelection
Row: TypeAlias = Sequence[Data]


class RowSource(Protocol):
    """Where a profile's rows come from."""

    def __call__(self, selection: Selection, /) -> Iterable[Row] | Encoded | DataAccessResult:
        """Return the selected rows with the selected columns, or a whole encoded array."""


def sort_key(value: Data) -> float:
    """Return ``value`` as a number to order rows by: POSIX seconds for a date-time."""
    match value.value:
        case bytes(octets) if len(octets) == DATE_TIME_SIZE:
            return decode_date_time(octets)
        case int(number) | float(number):
            return number
    raise CodecError(f"{value.type.name} has no order", codec="profile", path="from_value")


def select(rows: Sequence[Row], selection: Selection) -> list[Row]:
    """Return what ``selection`` asks of ``rows``. Raises `CodecError` for values without order."""
    match selection:
        case Everything():
            chosen = list(rows)
        case RangeSelection(column):
            low, high = selection.bounds()
            chosen = [row for row in rows if low <= sort_key(row[column]) <= high]
        case EntrySelection(first, last):
            chosen = list(rows[first - 1 : last or None])
    if not selection.columns:
        return chosen
    return [tuple(row[column] for column in selection.columns) for row in chosen]


def profile_generic(
    logical_name: bytes,
    *,
    capture_objects: Sequence[CaptureObject],
    rows: RowSource,
    entries_in_use: Callable[[], int],
    profile_entries: int,
    capture_period_s: int,
    sort_method: SortMethod = SortMethod.FIFO,
    sort_object: CaptureObject | None = None,
    reset: Callable[[Caller], ActionResult] | None = None,
    capture: Callable[[Caller], ActionResult] | None = None,
) -> CosemObject:
    """Return a profile whose rows come from ``rows``.

    ``sort_object`` defaults to the first column. ``reset`` and ``capture`` are offered only
    when given.
    """
    columns = tuple(capture_objects)
    values: dict[int, Value | Reader] = {
        2: lambda: _buffer(rows, Everything()),
        3: lambda: array(column.to_data() for column in columns),
        4: double_long_unsigned(capture_period_s),
        5: enum(sort_method),
        6: (sort_object or columns[0]).to_data(),
        7: lambda: double_long_unsigned(entries_in_use()),
        8: double_long_unsigned(profile_entries),
    }

    def read_selected(access: SelectiveAccess) -> Readable:
        try:
            return _buffer(rows, parse_selection(access, columns))
        except CodecError:
            # The parameters are well-formed A-XDR but not what the selector wants.
            return DataAccessResult.TYPE_UNMATCHED

    return CosemObject(
        PROFILE_GENERIC,
        logical_name,
        values,
        methods=_methods(reset, capture),
        selective={2: read_selected},
        selectors={2: (RANGE_SELECTOR, ENTRY_SELECTOR)},
    )


def parse_selection(access: SelectiveAccess, columns: Sequence[CaptureObject]) -> Selection:
    """Read the selector's parameters. Raises `CodecError` when they do not fit the profile."""
    match access.parameters:
        case Data(
            DataType.STRUCTURE,
            (restricting, low, high, Data(DataType.ARRAY, tuple(selected))),
        ) if access.selector == RANGE_SELECTOR:
            return RangeSelection(
                _column(CaptureObject.from_data(restricting), columns),
                low,
                high,
                tuple(_column(CaptureObject.from_data(item), columns) for item in selected),
            )
        case Data(
            DataType.STRUCTURE,
            (
                Data(DataType.DOUBLE_LONG_UNSIGNED, int(first)),
                Data(DataType.DOUBLE_LONG_UNSIGNED, int(last)),
                Data(DataType.LONG_UNSIGNED, int(first_column)),
                Data(DataType.LONG_UNSIGNED, int(last_column)),
            ),
        ) if access.selector == ENTRY_SELECTOR:
            chosen = _column_span(first_column, last_column, len(columns))
            return EntrySelection(max(first, 1), last, chosen)
    raise CodecError("parameters do not fit the selector", codec="profile", path="access")


def by_range(
    restricting: CaptureObject,
    from_value: Data,
    to_value: Data,
    selected: Sequence[CaptureObject] = (),
) -> SelectiveAccess:
    """Return the selective access that asks for a range (``selected`` empty: all columns)."""
    parameters = structure(
        restricting.to_data(), from_value, to_value, array(item.to_data() for item in selected)
    )
    return SelectiveAccess(RANGE_SELECTOR, parameters)


def by_entry(
    first: int, last: int = LAST_ENTRY, first_column: int = 1, last_column: int = LAST_ENTRY
) -> SelectiveAccess:
    """Return the selective access that asks for entries (from 1; ``last`` 0: up to the end)."""
    parameters = structure(
        double_long_unsigned(first),
        double_long_unsigned(last),
        long_unsigned(first_column),
        long_unsigned(last_column),
    )
    return SelectiveAccess(ENTRY_SELECTOR, parameters)


def _buffer(rows: RowSource, selection: Selection) -> Readable:
    found = rows(selection)
    if isinstance(found, (Encoded, DataAccessResult)):
        return found
    return array(structure(*row) for row in found)


def _column(wanted: CaptureObject, columns: Sequence[CaptureObject]) -> int:
    for index, column in enumerate(columns):
        if column == wanted:
            return index
    raise CodecError("the object is not captured", codec="profile", path="object")


def _column_span(first: int, last: int, width: int) -> tuple[int, ...]:
    end = min(last, width) if last else width
    start = max(first, 1)
    if start > end:
        raise CodecError(f"columns {first} to {last} of {width}", codec="profile", path="column")
    return () if (start, end) == (1, width) else tuple(range(start - 1, end))


def _methods(
    reset: Callable[[Caller], ActionResult] | None,
    capture: Callable[[Caller], ActionResult] | None,
) -> dict[int, Method]:
    given = {1: reset, 2: capture}
    return {number: _method(act) for number, act in given.items() if act is not None}


def _method(act: Callable[[Caller], ActionResult]) -> Method:
    return lambda _parameters, caller: ActionOutcome(act(caller))
