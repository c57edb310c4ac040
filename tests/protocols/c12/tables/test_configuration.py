"""ST0: its octets, its sets, and what is not in it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.c12.tables.configuration import (
    Configuration,
    DataAccess,
    IdentifierForm,
    general_configuration,
)
from protocols.c12.tables.formats import (
    ByteOrder,
    CharacterFormat,
    IntegerForm,
    NumberFormat,
    TimeFormat,
)
from protocols.c12.tables.options import TableOptions
from protocols.errors import CodecError

CONFIGURATION = Configuration(
    byte_order=ByteOrder.BIG,
    character_format=CharacterFormat.UTF_8,
    model_select=5,
    time_format=TimeFormat.UINT8_FIELDS,
    data_access=DataAccess.INDEX,
    identifier_form=IdentifierForm.PACKED_DECIMAL,
    integer_form=IntegerForm.SIGN_AND_MAGNITUDE,
    number_format_1=NumberFormat.CHAR21,
    number_format_2=NumberFormat.BCD4,
    device_class=b"ABCD",
    nameplate_type=1,
    default_set_used=9,
    max_procedure_parameter_length=10,
    max_response_data_length=11,
    standard_version=2,
    standard_revision=12,
    manufacturer_status_size=13,
    pending_tables=14,
    standard_tables_used=frozenset({0, 7, 8}),
    manufacturer_tables_used=frozenset({3}),
    standard_procedures_used=frozenset({10}),
    standard_tables_writable=frozenset({7}),
    set_sizes=(2, 1, 2, 0),
)
# FC1 FC2 FC3 class nameplate .. revision, sizes of the sets, status, pending, then the sets:
# FC1 = 1 | 3 << 1 | 5 << 4, FC2 = 2 | 2 << 3 | 1 << 5 | 2 << 6, FC3 = 13 | 6 << 4
OCTETS = bytes.fromhex(
    "57 b2 6d 41424344 01 09 0a 0b 02 0c 02 01 02 00 0d 0e"
    " 8101 08 0004  8000 00"
)  # fmt: skip


def test_the_octets_field_by_field() -> None:
    assert CONFIGURATION.encode() == OCTETS
    assert Configuration.decode(OCTETS) == CONFIGURATION


def test_sets_are_as_small_as_their_members_allow() -> None:
    smallest = replace(CONFIGURATION, set_sizes=None)
    assert smallest.encode() == OCTETS
    assert replace(smallest, standard_tables_used=frozenset({76})).dimensions_of_sets[0] == 10
    assert Configuration(standard_tables_used=frozenset()).dimensions_of_sets == (0, 0, 0, 0)


def test_numbers_of_the_manufacturer_start_at_2048() -> None:
    assert CONFIGURATION.uses_table(8)
    assert not CONFIGURATION.uses_table(3)
    assert CONFIGURATION.uses_table(2051)
    assert CONFIGURATION.may_write_table(7)
    assert not CONFIGURATION.may_write_table(2051)


def test_the_declaration_agrees() -> None:
    parsed = general_configuration(CONFIGURATION).parse(OCTETS)
    assert parsed["standard_tables_used"] == CONFIGURATION.standard_tables_used
    assert general_configuration(CONFIGURATION).sizeof() == len(OCTETS)


def test_the_options_travel_with_what_is_read() -> None:
    options = TableOptions(bcd_follows_data_order=True)
    assert Configuration.decode(OCTETS, options).options == options


@pytest.mark.parametrize("data", [b"", OCTETS[:-1], OCTETS + b"\0", OCTETS[:19]])
def test_a_table_of_another_length(data: bytes) -> None:
    with pytest.raises(CodecError):
        Configuration.decode(data)


@pytest.mark.parametrize(
    ("position", "octet", "field"),
    [(0, 0x0E, "character_format"), (1, 0x05, "time_format"), (2, 0x0E, "number_format_1")],
)
def test_formats_that_do_not_exist(position: int, octet: int, field: str) -> None:
    data = bytearray(OCTETS)
    data[position] = octet
    with pytest.raises(CodecError) as caught:
        Configuration.decode(bytes(data))
    assert caught.value.path == field


def test_a_member_that_the_set_has_no_room_for() -> None:
    with pytest.raises(CodecError) as caught:
        replace(CONFIGURATION, standard_tables_used=frozenset({16})).encode()
    assert caught.value.path == "standard_tables_used"


@given(st.binary(max_size=60))
def test_garbage_raises_codec_errors_only(data: bytes) -> None:
    try:
        configuration = Configuration.decode(data)
    except CodecError:
        return
    # Bit 7 of the first octet is a filler.
    assert configuration.encode() == bytes([data[0] & 0x7F]) + data[1:]
