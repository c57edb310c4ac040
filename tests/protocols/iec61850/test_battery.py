"""The mapping to ZBAT and ZBTC: classes as the standard has them, values in its units."""

from dataclasses import replace
from decimal import Decimal

import pytest

from protocols.errors import LocalProtocolError
from protocols.iec61850.battery import BatteryPicture, attributes, values

DISCHARGING = BatteryPicture(
    voltage_mv=51_234,
    current_ma=36_667,
    capacity_mah=110_000,
    max_discharge_current_ma=60_000,
    nominal_voltage_mv=51_200,
    voltage_high_mv=58_400,
    voltage_low_mv=44_800,
)
# Common data classes, attributes and functional constraints of IEC 61850-7-3.
CLASSES = {
    "SPS": ("stVal", "ST"),
    "ENS": ("stVal", "ST"),
    "ENG": ("setVal", "SP"),
    "ASG": ("setMag.f", "SP"),
    "MV": ("mag.f", "MX"),
}


def test_a_discharging_battery() -> None:
    assert values(DISCHARGING, device="shed") == {
        "shed/ZBAT.BatSt.stVal": True,
        "shed/ZBAT.BatTyp.setVal": 99,
        "shed/ZBAT.Vol.mag.f": Decimal("51.234"),
        "shed/ZBAT.BatVHi.stVal": False,
        "shed/ZBAT.BatVLo.stVal": False,
        "shed/ZBAT.AhrRtg.setMag.f": Decimal("110"),
        "shed/ZBAT.MinAhrRtg.setMag.f": 0,
        "shed/ZBAT.BatVNom.setMag.f": Decimal("51.2"),
        "shed/ZBAT.MaxBatA.setMag.f": Decimal("60"),
        "shed/ZBAT.Amp.mag.f": Decimal("36.667"),
        "shed/ZBTC.BatChaSt.stVal": 1,
        "shed/ZBTC.BatChaTyp.setVal": 1,
        "shed/ZBTC.BatChaMod.setVal": 1,
        "shed/ZBTC.ChaV.mag.f": Decimal("0"),
        "shed/ZBTC.ChaA.mag.f": Decimal("0"),
    }


def test_a_charging_battery() -> None:
    held = values(replace(DISCHARGING, current_ma=-3_077), device="shed")
    assert held["shed/ZBAT.Amp.mag.f"] == Decimal("-3.077")
    assert held["shed/ZBTC.BatChaSt.stVal"] == 2
    assert held["shed/ZBTC.BatChaMod.setVal"] == 2
    assert held["shed/ZBTC.ChaA.mag.f"] == Decimal("3.077")
    assert held["shed/ZBTC.ChaV.mag.f"] == Decimal("51.234")


@pytest.mark.parametrize(
    ("voltage_mv", "high", "low"),
    [(58_401, True, False), (58_400, False, False), (44_800, False, False), (44_799, False, True)],
)
def test_alarms_of_the_voltage(voltage_mv: int, high: bool, low: bool) -> None:
    held = values(replace(DISCHARGING, voltage_mv=voltage_mv), device="d")
    assert (held["d/ZBAT.BatVHi.stVal"], held["d/ZBAT.BatVLo.stVal"]) == (high, low)


def test_a_battery_that_is_off_line_says_so() -> None:
    assert values(replace(DISCHARGING, on_line=False), device="d")["d/ZBAT.BatSt.stVal"] is False


def test_edition_2_calls_the_battery_dbat() -> None:
    first, second = values(DISCHARGING, device="d"), values(DISCHARGING, device="d", edition=2)
    assert {name.replace("ZBAT", "DBAT"): value for name, value in first.items()} == second
    with pytest.raises(LocalProtocolError, match="edition 3"):
        attributes(3)


@pytest.mark.parametrize("edition", [1, 2])
def test_every_attribute_is_one_of_its_common_data_class(edition: int) -> None:
    for attribute in attributes(edition):
        assert CLASSES[attribute.cdc] == (attribute.attribute, attribute.constraint)
        assert (attribute.source is None) is (attribute.constant is not None)
