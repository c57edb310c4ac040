"""Columns of readings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness.store.rows import Alarms, Rows
from tests.support.stores import alarms_of, push, registered, registrations_of


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
    with pytest.raises(ValueError, match="values has shape"):
        replace(rows, values=np.zeros(2, np.uint32))


def test_big_endian_columns_are_refused_because_a_back_end_would_be() -> None:
    rows = push([1, 2], 900)
    with pytest.raises(TypeError, match="values must be uint32"):
        replace(rows, values=rows.values.astype(">u4"))


def test_alarms_and_registrations_are_checked_alike() -> None:
    alarms = alarms_of([(1, 0, 5, 1, 900, 0)])
    with pytest.raises(TypeError, match="code must be uint16"):
        replace(alarms, code=alarms.code.astype(np.uint32))
    with pytest.raises(ValueError, match="argument has shape"):
        replace(alarms, argument=np.zeros(2, np.uint32))
    with pytest.raises(TypeError, match="at_us must be int64"):
        replace(registrations_of([registered(1, 10)]), at_us=np.zeros(1, np.uint64))


def test_keys_of_alarms_tell_apart_and_sort_by_meter_and_sequence() -> None:
    alarms = [(2, 0, 0, 0, 0, 0), (1, 1, 0, 256, 0, 0), (1, 0, 256, 1, 0, 0), (1, 0, 1, 1, 0, 0)]
    keys = alarms_of(alarms).keys()
    assert np.argsort(keys).tolist() == [3, 2, 1, 0]
    assert len(np.unique(keys)) == 4
    assert len(Alarms.empty().keys()) == 0


def test_no_rows_have_their_registers() -> None:
    assert Rows.empty(4).values.shape == (0, 4)
    assert len(Rows.empty(4)) == 0
