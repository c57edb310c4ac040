"""Columns of readings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness.store.rows import Rows
from tests.support.stores import push


def test_rows_of_many_pushes_join_in_order() -> None:
    joined = Rows.concatenate([push([3, 1], 900), push([], 900), push([2], 1800)])
    assert joined.meter.tolist() == [3, 1, 2]
    assert joined.captured_at_s.tolist() == [900, 900, 1800]
    assert joined.values.shape == (3, 2)


def test_columns_of_other_length_type_or_shape_are_refused() -> None:
    rows = push([1, 2], 900)
    with pytest.raises(ValueError, match="status has shape"):
        replace(rows, status=np.zeros(3, np.uint8))
    with pytest.raises(TypeError, match="meter must be uint32"):
        replace(rows, meter=rows.meter.astype(np.int64))
    with pytest.raises(ValueError, match="two dimensions"):
        replace(rows, values=np.zeros(2, np.uint32))


def test_big_endian_columns_are_refused_because_a_back_end_would_be() -> None:
    rows = push([1, 2], 900)
    with pytest.raises(TypeError, match="values must be uint32"):
        replace(rows, values=rows.values.astype(">u4"))


def test_no_rows_have_their_registers() -> None:
    assert Rows.empty(4).values.shape == (0, 4)
    assert len(Rows.empty(4)) == 0
