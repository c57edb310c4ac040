"""Hypothesis strategies for COSEM data: every type, nested."""

from __future__ import annotations

from hypothesis import strategies as st

from protocols.dlms.axdr import compact_array
from protocols.dlms.data import NULL, BitString, Data, DataType, array, structure

_INTEGERS = {
    DataType.DOUBLE_LONG: (-(2**31), 2**31 - 1),
    DataType.DOUBLE_LONG_UNSIGNED: (0, 2**32 - 1),
    DataType.BCD: (0, 255),
    DataType.INTEGER: (-128, 127),
    DataType.LONG: (-(2**15), 2**15 - 1),
    DataType.UNSIGNED: (0, 255),
    DataType.LONG_UNSIGNED: (0, 2**16 - 1),
    DataType.LONG64: (-(2**63), 2**63 - 1),
    DataType.LONG64_UNSIGNED: (0, 2**64 - 1),
    DataType.ENUM: (0, 255),
    DataType.DELTA_INTEGER: (-128, 127),
    DataType.DELTA_LONG: (-(2**15), 2**15 - 1),
    DataType.DELTA_DOUBLE_LONG: (-(2**31), 2**31 - 1),
    DataType.DELTA_UNSIGNED: (0, 255),
    DataType.DELTA_LONG_UNSIGNED: (0, 2**16 - 1),
    DataType.DELTA_DOUBLE_LONG_UNSIGNED: (0, 2**32 - 1),
}
_LATIN_1 = st.characters(max_codepoint=0xFF)


def _of(kind: DataType, values: st.SearchStrategy[object]) -> st.SearchStrategy[Data]:
    return st.builds(Data, st.just(kind), values)


def numbers() -> st.SearchStrategy[Data]:
    """Every integer type, over its whole range."""
    return st.one_of([_of(kind, st.integers(low, high)) for kind, (low, high) in _INTEGERS.items()])


@st.composite
def bit_strings(draw: st.DrawFn) -> BitString:
    size = draw(st.integers(0, 40))
    octets = draw(st.binary(min_size=(size + 7) // 8, max_size=(size + 7) // 8))
    return BitString(size, octets)


def leaves() -> st.SearchStrategy[Data]:
    """Every type that is not made of others."""
    return st.one_of(
        st.just(NULL),
        st.just(Data(DataType.DONT_CARE)),
        numbers(),
        _of(DataType.BOOLEAN, st.booleans()),
        _of(DataType.BIT_STRING, bit_strings()),
        _of(DataType.OCTET_STRING, st.binary(max_size=140)),
        _of(DataType.VISIBLE_STRING, st.text(_LATIN_1, max_size=20)),
        _of(DataType.UTF8_STRING, st.text(max_size=20)),
        _of(DataType.FLOAT32, st.floats(width=32, allow_nan=False)),
        _of(DataType.FLOAT64, st.floats(allow_nan=False)),
        _of(DataType.DATE_TIME, st.binary(min_size=12, max_size=12)),
        _of(DataType.DATE, st.binary(min_size=5, max_size=5)),
        _of(DataType.TIME, st.binary(min_size=4, max_size=4)),
        _of(DataType.COMPACT_ARRAY, compact_arrays()),
    )


def compact_arrays() -> st.SearchStrategy[object]:
    """Compact forms of arrays of one small structure, repeated."""
    rows = st.lists(numbers(), min_size=1, max_size=4).map(lambda items: structure(*items))
    return st.builds(lambda row, n: compact_array(array([row] * n)), rows, st.integers(0, 5))


def data_values() -> st.SearchStrategy[Data]:
    """Any `Data`, arrays and structures nested."""
    return st.recursive(
        leaves(),
        lambda inner: st.one_of(
            st.lists(inner, max_size=4).map(array),
            st.lists(inner, max_size=4).map(lambda items: structure(*items)),
        ),
        max_leaves=12,
    )
