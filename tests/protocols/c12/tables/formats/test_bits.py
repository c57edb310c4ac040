"""Bit fields and sets."""

from __future__ import annotations

import pytest
from construct import ConstructError
from hypothesis import given
from hypothesis import strategies as st

from protocols.c12.tables.formats import BitField, BitSet, ByteOrder
from protocols.c12.tables.formats.bits import Bits

NAMES: dict[str, Bits] = {"number": (0, 10), "manufacturer": 11, "selector": (12, 14)}


def test_bits_count_from_the_least_significant() -> None:
    field = BitField(2, ByteOrder.LITTLE, NAMES)
    values = {"number": 10, "manufacturer": True, "selector": 3}
    assert field.build(values).hex() == "0a38"
    assert BitField(2, ByteOrder.BIG, NAMES).build(values).hex() == "380a"
    assert field.parse(bytes.fromhex("0a38")) == values


@pytest.mark.parametrize("order", ByteOrder)
@given(octets=st.binary(min_size=2, max_size=2))
def test_bits_without_a_name_survive(order: ByteOrder, octets: bytes) -> None:
    field = BitField(2, order, NAMES)
    assert field.build(field.parse(octets)) == octets


def test_what_is_left_out_is_zero() -> None:
    assert BitField(1, ByteOrder.BIG, {"flag": 7}).build({}) == b"\0"


@pytest.mark.parametrize("values", [{"nmber": 1}, {"number": 2048}, {"selector": -1}])
def test_unknown_names_and_numbers_too_large(values: dict[str, int]) -> None:
    with pytest.raises(ConstructError):
        BitField(2, ByteOrder.BIG, NAMES).build(values)


def test_a_set_names_its_members() -> None:
    assert BitSet(2).parse(b"\x05\x80") == {0, 2, 15}
    assert BitSet(2).build([15, 0, 2, 2]) == b"\x05\x80"


@given(st.binary(max_size=12))
def test_sets_round_trip(octets: bytes) -> None:
    declared = BitSet(len(octets))
    assert declared.build(declared.parse(octets)) == octets


@pytest.mark.parametrize("member", [16, -1])
def test_a_set_has_room_for_so_many(member: int) -> None:
    with pytest.raises(ConstructError):
        BitSet(2).build({member})
