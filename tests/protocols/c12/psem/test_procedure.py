"""Procedures: tables 7 and 8 in both byte orders."""

from __future__ import annotations

import pytest

from protocols.c12.psem import Procedure, ProcedureResponse
from protocols.c12.psem.procedure import ByteOrder
from protocols.errors import CodecError


@pytest.mark.parametrize(
    ("procedure", "octets"),
    [
        # The published frame of procedure 3 writes 03 00 00.
        (Procedure(3, 0), "0300 00"),
        (Procedure(0x123, 9, b"\xab"), "2301 09 ab"),
        (Procedure(0x123, 9, b"\xab", byte_order="big"), "0123 09 ab"),
        (Procedure(1, 2, manufacturer=True), "0108 02"),
        (Procedure(2047, 255, manufacturer=True, byte_order="big"), "0fff ff"),
    ],
)
def test_octets_of_table_7(procedure: Procedure, octets: str) -> None:
    assert procedure.initiate() == bytes.fromhex(octets)


@pytest.mark.parametrize(
    ("byte_order", "table"), [("little", "2301 09 06 ab"), ("big", "0123 09 06 ab")]
)
def test_table_8_is_read_when_it_is_about_this_call(byte_order: ByteOrder, table: str) -> None:
    octets = bytes.fromhex(table)
    call = Procedure(0x123, 9, byte_order=byte_order)
    assert call.read_response(octets) == ProcedureResponse(6, b"\xab")
    for other in (
        Procedure(0x124, 9, byte_order=byte_order),
        Procedure(0x123, 8, byte_order=byte_order),
        Procedure(0x123, 9, manufacturer=True, byte_order=byte_order),
    ):
        assert other.read_response(octets) is None


def test_a_selector_in_table_8_does_not_matter() -> None:
    assert Procedure(1, 1).read_response(bytes.fromhex("0130 01 00")) == ProcedureResponse(0, b"")


def test_a_cut_table_8() -> None:
    with pytest.raises(CodecError):
        Procedure(1, 1).read_response(b"\x01\x00\x01")


@pytest.mark.parametrize("procedure", [Procedure(2048, 0), Procedure(-1, 0), Procedure(1, 256)])
def test_what_does_not_fit_is_our_error(procedure: Procedure) -> None:
    with pytest.raises(CodecError):
        procedure.initiate()
