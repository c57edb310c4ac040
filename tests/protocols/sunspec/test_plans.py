"""As few requests as Modbus allows."""

import pytest

from protocols.errors import CodecError, LocalProtocolError
from protocols.sunspec.image import RegisterMap
from protocols.sunspec.pdu import ReadRegisters, WriteRegisters
from protocols.sunspec.plans import read_plan, write_plan
from protocols.sunspec.storage import STORAGE_MODELS, status_points

LAYOUT = RegisterMap.of(STORAGE_MODELS)
AT = LAYOUT.place((704, "WSetEna")).address


def test_a_whole_status_is_one_read_and_so_one_moment() -> None:
    plan = read_plan(LAYOUT, status_points(LAYOUT))
    # From AHRtg of model 802 to Pct_SF of model 713.
    assert plan == [ReadRegisters(40_072, 40_143 - 40_072)]


def test_what_lies_too_far_apart_is_read_apart() -> None:
    names = [(1, "Mn"), (802, "V"), (704, "WSet_SF")]
    first, second = read_plan(LAYOUT, names)
    assert first.address == 40_004
    assert first.count <= 125
    assert second == ReadRegisters(LAYOUT.place((704, "WSet_SF")).address, 1)
    assert read_plan(LAYOUT, []) == []


def test_points_beside_each_other_are_written_whole() -> None:
    values = {(704, "WSet"): -2, (704, "WSetEna"): 1, (704, "WSetMod"): 1}
    assert write_plan(LAYOUT, values) == [WriteRegisters(AT, (1, 1, 0xFFFF, 0xFFFE))]


def test_points_with_others_between_are_not() -> None:
    values = {(704, "WSet"): 1, (704, "WSetEna"): 1}
    assert write_plan(LAYOUT, values) == [
        WriteRegisters(AT, (1,)),
        WriteRegisters(AT + 2, (0, 1)),
    ]


def test_errors_name_the_point() -> None:
    with pytest.raises(LocalProtocolError, match="no point X"):
        read_plan(LAYOUT, [(802, "X")])
    with pytest.raises(CodecError, match="WSet"):
        write_plan(LAYOUT, {(704, "WSet"): 2**31})
