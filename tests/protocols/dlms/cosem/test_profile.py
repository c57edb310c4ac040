"""Profile generic: the whole buffer, ranges and entries, columns, and buffers ready encoded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.dlms.apdu import ActionResult, DataAccessResult, SelectiveAccess
from protocols.dlms.clock import encode_date_time
from protocols.dlms.cosem.access import Level
from protocols.dlms.cosem.base import Caller, Encoded
from protocols.dlms.cosem.profile import (
    CaptureObject,
    EntrySelection,
    RangeSelection,
    Selection,
    SortMethod,
    by_entry,
    by_range,
    parse_selection,
    profile_generic,
    select,
)
from protocols.dlms.data import (
    NULL,
    Data,
    DataType,
    array,
    double_long_unsigned,
    octet_string,
    structure,
    unsigned,
)
from protocols.errors import CodecError
from tests.support.dlms_device import COLUMNS, FIRST_S, PROFILE, STEP_S, Premises, captured_rows

STATUS, CLOCK_COLUMN, REGISTER_COLUMN = COLUMNS


def date_time(step: int) -> Data:
    return octet_string(encode_date_time(FIRST_S + step * STEP_S))


def read(access: SelectiveAccess | None) -> object:
    item = Premises().device().objects[PROFILE]
    return item.read(2, access, Level.LOW)


def expected(rows: range, columns: tuple[int, ...] = (0, 1, 2)) -> Data:
    captured = captured_rows(96)
    return array(structure(*(captured[i][column] for column in columns)) for i in rows)


def test_without_a_selector_the_whole_buffer_comes() -> None:
    assert read(None) == expected(range(96))


def test_a_range_includes_both_bounds_and_its_object_need_not_be_the_first_column() -> None:
    access = by_range(CLOCK_COLUMN, date_time(10), date_time(12))
    assert read(access) == expected(range(10, 13))


def test_a_range_over_another_column() -> None:
    bounds = double_long_unsigned(1005), double_long_unsigned(1006)
    assert read(by_range(REGISTER_COLUMN, *bounds)) == expected(range(5, 7))


def test_a_range_with_chosen_columns_in_the_order_asked() -> None:
    access = by_range(CLOCK_COLUMN, date_time(1), date_time(1), (REGISTER_COLUMN, CLOCK_COLUMN))
    assert read(access) == expected(range(1, 2), (2, 1))


def test_bounds_may_have_another_deviation() -> None:
    # UTC+1 says an hour more for the same instant.
    bound = octet_string(encode_date_time(FIRST_S + 4 * STEP_S, deviation_min=-60))
    assert read(by_range(CLOCK_COLUMN, bound, bound)) == expected(range(4, 5))


@pytest.mark.parametrize(
    ("access", "rows", "columns"),
    [
        pytest.param(by_entry(1, 3), range(3), (0, 1, 2), id="the first three"),
        pytest.param(by_entry(95), range(94, 96), (0, 1, 2), id="to the end"),
        pytest.param(by_entry(90, 500), range(89, 96), (0, 1, 2), id="past the end"),
        pytest.param(by_entry(97), range(0), (0, 1, 2), id="after the end"),
        pytest.param(by_entry(1, 1, 2, 3), range(1), (1, 2), id="columns 2 and 3"),
        pytest.param(by_entry(1, 1, 3), range(1), (2,), id="the last column"),
    ],
)
def test_entries(access: SelectiveAccess, rows: range, columns: tuple[int, ...]) -> None:
    # Blue Book 4.3.6.2.2: entries and columns count from 1; 0 is the highest there is.
    assert read(access) == expected(rows, columns)


@pytest.mark.parametrize(
    "access",
    [
        pytest.param(SelectiveAccess(1, NULL), id="no range"),
        pytest.param(SelectiveAccess(2, structure(unsigned(1))), id="no entries"),
        pytest.param(
            by_range(CaptureObject(3, PROFILE, 2), date_time(0), date_time(1)),
            id="an object that is not captured",
        ),
        pytest.param(by_range(CLOCK_COLUMN, NULL, date_time(1)), id="a bound without order"),
        pytest.param(
            by_range(CLOCK_COLUMN, octet_string(b"\xff" * 12), date_time(1)), id="wildcards"
        ),
        pytest.param(by_entry(1, 2, 3, 2), id="columns backwards"),
        pytest.param(by_entry(1, 2, 4, 5), id="columns that are not there"),
    ],
)
def test_parameters_that_do_not_fit_are_type_unmatched(access: SelectiveAccess) -> None:
    assert read(access) is DataAccessResult.TYPE_UNMATCHED


def test_an_unknown_selector_is_out_of_scope() -> None:
    assert read(SelectiveAccess(3, NULL)) is DataAccessResult.SCOPE_OF_ACCESS_VIOLATED


def test_a_buffer_that_is_encoded_already_is_passed_on() -> None:
    asked: list[Selection] = []

    def rows(selection: Selection, /) -> Encoded:
        asked.append(selection)
        return Encoded(b"\x01\x00")

    item = profile_generic(
        PROFILE,
        capture_objects=COLUMNS,
        rows=rows,
        entries_in_use=lambda: 0,
        profile_entries=10,
        capture_period_s=STEP_S,
    )
    assert item.read(2, by_range(CLOCK_COLUMN, date_time(0), date_time(1)), Level.LOW) == Encoded(
        b"\x01\x00"
    )
    (selection,) = asked
    assert isinstance(selection, RangeSelection)
    assert selection.column == 1
    assert selection.bounds() == (FIRST_S, FIRST_S + STEP_S)


def test_a_source_may_refuse() -> None:
    item = profile_generic(
        PROFILE,
        capture_objects=COLUMNS,
        rows=lambda _selection: DataAccessResult.TEMPORARY_FAILURE,
        entries_in_use=lambda: 0,
        profile_entries=10,
        capture_period_s=STEP_S,
    )
    assert item.read(2, None, Level.LOW) is DataAccessResult.TEMPORARY_FAILURE


def test_what_the_profile_says_about_itself() -> None:
    done: list[str] = []

    def reset(_caller: Caller) -> ActionResult:
        done.append("reset")
        return ActionResult.SUCCESS

    item = profile_generic(
        PROFILE,
        capture_objects=COLUMNS,
        rows=lambda _selection: [],
        entries_in_use=lambda: 7,
        profile_entries=10,
        capture_period_s=STEP_S,
        sort_method=SortMethod.LIFO,
        sort_object=CLOCK_COLUMN,
        reset=reset,
    )
    assert item.read(3, None, Level.LOW) == array(column.to_data() for column in COLUMNS)
    assert item.read(4, None, Level.LOW) == double_long_unsigned(900)
    assert item.read(5, None, Level.LOW) == Data(DataType.ENUM, SortMethod.LIFO)
    assert item.read(6, None, Level.LOW) == CLOCK_COLUMN.to_data()
    assert item.read(7, None, Level.LOW) == double_long_unsigned(7)
    assert item.read(8, None, Level.LOW) == double_long_unsigned(10)
    caller = Caller(1, Level.HIGH, 0.0)
    assert item.invoke(1, NULL, caller).result is ActionResult.SUCCESS
    assert done == ["reset"]
    assert item.invoke(2, NULL, caller).result is ActionResult.READ_WRITE_DENIED


@given(first=st.integers(0, 110), last=st.integers(0, 110))
def test_entries_are_a_slice(first: int, last: int) -> None:
    rows = captured_rows(96)
    selection = parse_selection(by_entry(first, last), COLUMNS)
    assert isinstance(selection, EntrySelection)
    numbered = range(1, 97)
    wanted = [n for n in numbered if max(first, 1) <= n <= (last or 96)]
    assert select(rows, selection) == [rows[n - 1] for n in wanted]


@given(low=st.integers(-5, 100), high=st.integers(-5, 100))
def test_ranges_are_a_filter(low: int, high: int) -> None:
    rows = captured_rows(96)
    selection = parse_selection(by_range(CLOCK_COLUMN, date_time(low), date_time(high)), COLUMNS)
    assert select(rows, selection) == [rows[i] for i in range(96) if low <= i <= high]


def test_a_capture_object_comes_back_and_nothing_else_does() -> None:
    assert CaptureObject.from_data(STATUS.to_data()) == STATUS
    with pytest.raises(CodecError):
        CaptureObject.from_data(NULL)
