"""Procedures: names, parameters and responses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from protocols.c12.tables.defaults import CONFIGURATION
from protocols.c12.tables.formats import ByteOrder
from protocols.c12.tables.procedures import (
    PROCEDURES,
    decode_parameters,
    decode_response,
    encode_parameters,
    encode_response,
    procedure_name,
)
from protocols.errors import CodecError, LocalProtocolError


def test_numbers_and_names() -> None:
    assert set(PROCEDURES) == set(range(33)) - {23, 24, 25, 26}
    assert procedure_name(9) == "Remote reset"
    assert procedure_name(24) == "Standard procedure 24"
    assert procedure_name(2050) == "Manufacturer procedure 2"


def test_remote_reset_as_termineter_asks_for_it() -> None:
    # termineter's remote_reset: bit 0 demand reset, bit 1 self-read.
    actions = decode_parameters(9, b"\x03", CONFIGURATION)["actions"]
    assert actions == {
        "demand_reset": True,
        "self_read": True,
        "season_change": False,
        "new_season": 0,
    }
    assert encode_response(9, {"actions": actions}, CONFIGURATION) == b"\x03"


def test_setting_the_clock() -> None:
    configuration = replace(CONFIGURATION, byte_order=ByteOrder.BIG)
    values = {
        "mask": {"set_time": True, "set_date": True},
        "clock": 1_700_000_000,
        "qualifier": {"day_of_week": 2, "universal_time": True},
    }
    octets = encode_parameters(10, values, configuration)
    assert octets.hex() == "036553f10012"
    assert decode_parameters(10, octets, configuration)["clock"] == 1_700_000_000
    times = {"before": 1_700_000_000, "after": 1_700_000_001}
    octets = encode_response(10, times, configuration)
    assert octets.hex() == "6553f1006553f101"
    assert decode_response(10, octets, configuration) == times


def test_list_pointers_and_modes() -> None:
    octets = encode_parameters(5, {"list": 1, "entries": 300}, CONFIGURATION)
    assert octets.hex() == "012c01"
    assert decode_parameters(4, b"\x02", CONFIGURATION) == {"list": 2}
    # termineter's set_meter_mode sends one octet of mode bits.
    assert decode_parameters(6, b"\x02", CONFIGURATION) == {"mode": 2}


@pytest.mark.parametrize(("number", "octets"), [(9, b""), (9, b"\0\0"), (0, b"\0"), (10, b"\1")])
def test_parameters_that_do_not_fit(number: int, octets: bytes) -> None:
    with pytest.raises(CodecError):
        decode_parameters(number, octets, CONFIGURATION)


@pytest.mark.parametrize("number", [11, 24])
def test_what_is_not_declared_stays_octets(number: int) -> None:
    assert decode_parameters(number, b"abc", CONFIGURATION) == {"octets": b"abc"}
    assert encode_parameters(number, {"octets": b"abc"}, CONFIGURATION) == b"abc"


def test_procedures_of_the_manufacturer_are_not_standard() -> None:
    with pytest.raises(LocalProtocolError):
        decode_parameters(2048, b"", CONFIGURATION)
