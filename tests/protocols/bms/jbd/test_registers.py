"""The table of registers: units, signs, and what is no value."""

from typing import Any

import pytest

from protocols.bms.jbd.registers import (
    CELL_VOLTAGES,
    DEVICE_NAME,
    MAX_CHARGE_CURRENT,
    MAX_DISCHARGE_CURRENT,
    MOSFET_CONTROL,
    REGISTERS,
    REGULATOR,
    Disabled,
    Register,
)
from protocols.errors import CodecError


@pytest.mark.parametrize(
    ("register", "value", "octets"),
    [
        pytest.param(CELL_VOLTAGES, (3_301, 3_299), "0ce5 0ce3", id="cells"),
        pytest.param(CELL_VOLTAGES, (), "", id="no-cells"),
        pytest.param(DEVICE_NAME, "SP04S020", "53503034 53303230", id="name"),
        pytest.param(MOSFET_CONTROL, Disabled.CHARGE, "0001", id="discharge-only"),
        pytest.param(MOSFET_CONTROL, Disabled.DISCHARGE, "0002", id="charge-only"),
        pytest.param(MOSFET_CONTROL, Disabled.BOTH, "0003", id="both-off"),
        pytest.param(MAX_CHARGE_CURRENT, 327_670, "7fff", id="largest-charge-limit"),
        pytest.param(MAX_DISCHARGE_CURRENT, 327_680, "8000", id="largest-discharge-limit"),
        pytest.param(REGULATOR, 2**31, "80000000", id="largest-discharge"),
        pytest.param(REGULATOR, 1 - 2**31, "7fffffff", id="largest-charge"),
        # A limit of charge is positive on the wire, one of discharge negative: signs of currents.
        pytest.param(MAX_CHARGE_CURRENT, 60_000, "1770", id="charge-limit"),
        pytest.param(MAX_DISCHARGE_CURRENT, 60_000, "e890", id="discharge-limit"),
        pytest.param(REGULATOR, 36_667, "ffff70c5", id="discharge"),
        pytest.param(REGULATOR, -1, "00000001", id="charge"),
        pytest.param(REGULATOR, 0, "00000000", id="idle"),
    ],
)
def test_values_and_octets(register: Register[Any], value: object, octets: str) -> None:
    assert register.encode(value) == bytes.fromhex(octets)
    assert register.decode(bytes.fromhex(octets)) == value


def test_limits_are_cut_towards_zero() -> None:
    assert MAX_CHARGE_CURRENT.decode(MAX_CHARGE_CURRENT.encode(60_009)) == 60_000
    assert MAX_DISCHARGE_CURRENT.decode(MAX_DISCHARGE_CURRENT.encode(60_009)) == 60_000


@pytest.mark.parametrize(
    ("register", "value"),
    [
        (CELL_VOLTAGES, (0,) * 33),
        (CELL_VOLTAGES, (65_536,)),
        (DEVICE_NAME, "x" * 256),
        (MAX_CHARGE_CURRENT, 327_680),
        (MAX_DISCHARGE_CURRENT, 327_690),
        (REGULATOR, 2**31 + 1),
        (REGULATOR, -(2**31)),
    ],
)
def test_what_does_not_fit_is_our_error(register: Register[Any], value: object) -> None:
    with pytest.raises(CodecError):
        register.encode(value)


@pytest.mark.parametrize(
    ("register", "octets"),
    [
        (CELL_VOLTAGES, "0c"),
        (MOSFET_CONTROL, "01"),
        (MOSFET_CONTROL, "0004"),
        (MOSFET_CONTROL, "0100"),
        (MAX_CHARGE_CURRENT, "00"),
        (REGULATOR, "0000"),
    ],
)
def test_what_is_no_value_is_refused(register: Register[Any], octets: str) -> None:
    with pytest.raises(CodecError):
        register.decode(bytes.fromhex(octets))


def test_the_table_is_keyed_by_its_own_numbers() -> None:
    assert all(register.number == number for number, register in REGISTERS.items())
    assert str(REGISTERS[0xE1]) == "register E1 (transistor control)"
