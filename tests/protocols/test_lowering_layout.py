"""Fixed layouts: equal to construct's interpreter row by row, and exact about what is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from construct import (
    Array,
    Bytes,
    BytesInteger,
    Const,
    ConstructError,
    Flag,
    Int8ub,
    Int16sl,
    Int32ub,
    Padding,
    Rebuild,
    Sequence,
    Struct,
    len_,
    this,
)
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import CodecError
from protocols.lowering import FixedLayout, NotLowerable, lower_to_dtype
from protocols.lowering.codec import plain
from tests.support.declarations import Case, structs

ROW = Struct(
    Const(b"\x02\x04"),
    "id" / Bytes(3),
    "sign" / Const(0x11, Int8ub),
    "temperature" / Int16sl,
    Padding(1, b"\xaa"),
    "registers" / Array(2, Struct(Const(6, Int8ub), "value" / Int32ub)),
)
LAYOUT = lower_to_dtype(ROW, "row")
COLUMNS: dict[str, Any] = {
    "id": np.array([b"abc", b"de\x00"], "S3"),
    "temperature": [-1, 2],
    "registers": {"value": [[5, 6], [7, 8]]},
}
WIRE = bytes.fromhex(
    # structure id sign temperature padding registers
    "0204 616263 11 ffff aa 06 00000005 06 000000060204 646500 11 0200 aa 06 00000007 06 00000008"
)


def test_columns_become_rows() -> None:
    rows = LAYOUT.encode(COLUMNS, 2)
    assert rows.shape == (2, LAYOUT.size)
    assert rows.tobytes() == WIRE


def test_rows_become_columns() -> None:
    rows = LAYOUT.decode(b"\x00" + WIRE, 2, 1)
    assert rows["id"].tobytes() == b"abcde\x00"
    assert rows["temperature"].tolist() == [-1, 2]
    assert rows["registers"]["value"].tolist() == [[5, 6], [7, 8]]
    assert not rows.flags.writeable


def test_a_scalar_fills_every_row() -> None:
    columns = {**COLUMNS, "temperature": 7, "id": b"xyz"}
    rows = LAYOUT.decode(LAYOUT.encode(columns, 2).tobytes(), 2)
    assert rows["temperature"].tolist() == [7, 7]
    assert rows["id"].tobytes() == b"xyzxyz"


@pytest.mark.parametrize(
    ("position", "path"), [(0, ""), (5, "sign"), (9, "registers[0]"), (14, "registers[1]")]
)
def test_a_wrong_constant_names_row_and_field(position: int, path: str) -> None:
    wrong = bytearray(WIRE)
    wrong[LAYOUT.size + position] ^= 0x80
    assert not LAYOUT.matches(bytes(wrong), 2)
    with pytest.raises(CodecError, match=f"row 1, octet {position}") as caught:
        LAYOUT.decode(bytes(wrong), 2)
    assert caught.value.path == path


def test_padding_may_be_anything() -> None:
    wrong = bytearray(WIRE)
    wrong[8] = 0
    assert LAYOUT.matches(bytes(wrong), 2)
    assert LAYOUT.decode(bytes(wrong), 2)["temperature"].tolist() == [-1, 2]


def test_a_short_buffer_is_refused() -> None:
    assert not LAYOUT.matches(WIRE[:-1], 2)
    with pytest.raises(CodecError, match="2 rows need 38 octets, found 37"):
        LAYOUT.decode(WIRE[:-1], 2)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"temperature": 32768}, "temperature"),
        ({"temperature": [0, -32769]}, "temperature"),
        ({"temperature": [0.5, 1.0]}, "temperature"),
        ({"temperature": [1, 2, 3]}, "temperature"),
        ({"id": b"toolong"}, "id"),
        ({"id": [1, 2]}, "id"),
        ({"sign": 0x12}, "sign"),
        ({"registers": {"value": [[1, 2], [3, 1 << 32]]}}, "registers.value"),
        ({"registers": {}}, "registers.value"),
    ],
)
def test_a_column_that_does_not_fit_is_refused_by_name(change: dict[str, Any], path: str) -> None:
    with pytest.raises(CodecError) as caught:
        LAYOUT.encode({**COLUMNS, **change}, 2)
    assert caught.value.path == path


@pytest.mark.parametrize(
    "declaration",
    [
        Int8ub,
        Struct(Const(b"\x01")),
        Struct("a" / Flag),
        Struct("a" / BytesInteger(3)),
        Struct("a" / Int8ub, "b" / Bytes(this.a)),
        Struct("n" / Rebuild(Int8ub, len_(this.b)), "b" / Bytes(2)),
    ],
)
def test_what_is_not_fixed_is_not_lowered(declaration: Any) -> None:
    with pytest.raises(NotLowerable):
        lower_to_dtype(declaration)


def test_a_sequence_numbers_its_columns() -> None:
    layout = lower_to_dtype(Sequence(Int8ub, Const(b"-"), Int8ub))
    assert layout.dtype.names == ("0", "1", "2")
    assert layout.encode({"0": [1, 3], "2": [2, 4]}, 2).tobytes() == b"\x01-\x02\x03-\x04"


def columns_of(dtype: np.dtype[Any], values: list[Any], shape: tuple[int, ...]) -> Any:
    """Turn construct's values, one per row, into columns of ``dtype``."""
    base = dtype
    while base.subdtype is not None:
        base, inner = base.subdtype
        values = [item for value in values for item in value]
        shape = (*shape, *inner)
    if base.names is None:
        column = np.empty(len(values), f"S{base.itemsize}" if base.kind == "V" else base)
        column[:] = values
        return column.reshape(shape)
    return {
        name: columns_of(base[name], [_member(value, name) for value in values], shape)
        for name in base.names
    }


def _member(value: Any, name: str) -> Any:
    return value[int(name)] if isinstance(value, list) else value[name]


def same(found: Any, expected: Any) -> bool:
    """Compare a numpy row with construct's value, columns only."""
    if isinstance(found, np.void) and found.dtype.names is not None:
        return all(same(found[name], _member(expected, name)) for name in found.dtype.names)
    if isinstance(found, np.ndarray):
        return all(same(one, other) for one, other in zip(found, expected, strict=True))
    return repr(found.tobytes() if isinstance(found, np.void) else found.item()) == repr(expected)


def fixed(case: Case) -> FixedLayout | None:
    try:
        return lower_to_dtype(case.declaration)
    except NotLowerable as exc:
        # The only reason left: nothing but constants without a name, or padding.
        assert "columns" in str(exc)  # noqa: PT017
        return None


@given(st.data(), structs(columnar=True), st.integers(1, 3))
def test_numpy_and_interpreter_agree(data: st.DataObject, case: Case, count: int) -> None:
    layout = fixed(case)
    if layout is None:
        return
    values = [data.draw(case.values) for _ in range(count)]
    wire = b"".join(case.declaration.build(value) for value in values)
    rows = layout.decode(wire, count)
    assert layout.matches(wire, count)
    starts = range(0, len(wire), layout.size)
    parsed = [plain(case.declaration.parse(wire[start:])) for start in starts]
    assert all(same(row, value) for row, value in zip(rows, parsed, strict=True))
    columns = columns_of(layout.dtype, parsed, (count,))
    assert layout.encode(columns, count).tobytes() == wire


@given(st.data(), structs(columnar=True))
def test_numpy_refuses_what_the_interpreter_refuses(data: st.DataObject, case: Case) -> None:
    layout = fixed(case)
    if layout is None:
        return
    wire = bytearray(case.declaration.build(data.draw(case.values)))
    wire[data.draw(st.integers(0, len(wire) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(wire[: data.draw(st.integers(0, len(wire) - 1))])
    with pytest.raises(CodecError):
        layout.decode(cut, 1)
    try:
        case.declaration.parse(bytes(wire))
    except ConstructError:
        assert not layout.matches(bytes(wire), 1)
        with pytest.raises(CodecError, match="expected 0x"):
            layout.decode(bytes(wire), 1)
    else:
        assert layout.decode(bytes(wire), 1).shape == (1,)
