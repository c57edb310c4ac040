"""What a battery's points mean, and what commands it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sunspec2.device import get_model_def

from protocols.errors import CodecError
from protocols.sunspec.image import Change, Image, Name, RegisterMap
from protocols.sunspec.storage import (
    MEANINGS,
    STORAGE_MODELS,
    StorageStatus,
    current_of_power,
    power_command,
    power_of_current,
    read_storage,
    storage_image,
    write_storage,
)

LAYOUT = RegisterMap.of(STORAGE_MODELS)
RATING = StorageStatus(
    voltage_mv=58_400,
    current_ma=30_000,
    power_mw=1_752_000,
    max_charge_current_ma=20_000,
    max_discharge_current_ma=30_000,
    max_charge_power_mw=1_168_000,
    max_discharge_power_mw=1_752_000,
    capacity_mah=110_000,
    energy_capacity_mwh=5_632_000,
    energy_mwh=5_632_000,
    charge_ppm=1_000_000,
)
STATUS = replace(
    RATING,
    voltage_mv=51_234,
    current_ma=-12_345,
    power_mw=-632_000,
    energy_mwh=1_408_000,
    charge_ppm=250_000,
)


def image(rating: StorageStatus = RATING) -> Image:
    return storage_image(LAYOUT, rating, {"Mn": "Meterstorm"})


def test_every_quantity_has_a_point() -> None:
    assert {meaning.field for meaning in MEANINGS} == set(StorageStatus.__slots__)


def test_a_status_is_written_and_read() -> None:
    registers = image()
    write_storage(registers, STATUS)
    assert read_storage(registers) == STATUS
    assert registers.get((802, "V")) == 51_234
    assert registers.get((802, "V_SF")) == -3
    assert registers.get((802, "A")) == -12_345
    assert registers.get((802, "ChaSt")) == 4
    assert STATUS.charge_mah == 27_500
    assert registers.get((1, "Mn")) == "Meterstorm"


def test_scale_factors_are_as_fine_as_the_rating_allows() -> None:
    registers = image(replace(RATING, current_ma=40_000, max_discharge_current_ma=700_000))
    assert registers.get((802, "A_SF")) == -2
    assert registers.get((802, "AMax_SF")) == -1
    assert registers.get((802, "AChaMax")) == 200
    with pytest.raises(CodecError, match="A"):
        write_storage(registers, replace(STATUS, current_ma=330_000))


@pytest.mark.parametrize(
    ("current_ma", "charge_ppm", "expected"),
    [(1, 5, 3), (-1, 5, 4), (0, 0, 2), (0, 1_000_000, 5), (0, 500_000, 6), (0, None, 6)],
)
def test_the_charge_status_follows(current_ma: int, charge_ppm: int | None, expected: int) -> None:
    registers = image()
    write_storage(registers, StorageStatus(current_ma=current_ma, charge_ppm=charge_ppm))
    assert registers.get((802, "ChaSt")) == expected


def test_energy_alone_is_a_status_too() -> None:
    registers = storage_image(RegisterMap.of((1, 713, 704)), RATING, {})
    write_storage(registers, STATUS)
    assert read_storage(registers) == StorageStatus(
        energy_capacity_mwh=5_632_000, energy_mwh=1_408_000, charge_ppm=250_000
    )
    assert StorageStatus(charge_ppm=1).charge_mah is None


def test_no_power_is_commanded_until_it_is_enabled() -> None:
    registers = image()
    assert power_command(registers) is None
    assert power_command(registers, [Change((704, "WSet"), 5_000)]) is None
    enabled = [Change((704, "WSet"), 5_000), Change((704, "WSetEna"), 1)]
    assert power_command(registers, enabled) == 5_000
    assert power_command(registers) is None
    registers.apply(enabled)
    assert power_command(registers) == 5_000
    assert power_command(Image(RegisterMap.of((1, 713)), {})) is None


@pytest.mark.parametrize(("percent", "power_mw"), [(5_000, 876_000), (-2_500, -292_000)])
def test_a_share_is_of_the_largest_power_of_its_direction(percent: int, power_mw: int) -> None:
    registers = image()
    registers.set((704, "WSetEna"), 1)
    registers.set((704, "WSetMod"), 0)
    registers.set((704, "WSetPct"), percent)
    assert power_command(registers) == power_mw


@given(st.integers(-(10**6), 10**6), st.integers(1_000, 1_000_000))
def test_a_current_survives_being_a_power(current_ma: int, voltage_mv: int) -> None:
    assert current_of_power(power_of_current(current_ma, voltage_mv), voltage_mv) == current_ma


def test_power_is_rounded_to_the_nearest_and_no_voltage_means_no_current() -> None:
    assert power_of_current(36_667, 51_234) == 1_878_597
    assert power_of_current(-36_667, 51_234) == -1_878_597
    assert current_of_power(1_000, 0) == 0


@pytest.mark.parametrize(("scale", "voltage_mv"), [(10, 10**15), (-10, 0), (11, None), (-11, None)])
def test_a_scale_factor_that_is_none_makes_no_quantity(scale: int, voltage_mv: int | None) -> None:
    registers = image()
    registers.set((802, "V"), 100)
    registers.set((802, "V_SF"), scale)
    assert read_storage(registers).voltage_mv == voltage_mv


def test_what_a_battery_must_have_is_there_from_the_beginning() -> None:
    registers = image()
    for number in STORAGE_MODELS:
        definition = get_model_def(number)["group"]
        mandatory = [p["name"] for p in definition["points"] if p.get("mandatory") == "M"]
        texts = {(1, name) for name in ("Md", "SN")}
        missing = {(number, name) for name in mandatory if registers.get((number, name)) is None}
        assert missing <= texts


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ((802, "ChaSt"), "HOLDING"),
        ((802, "LocRemCtl"), "REMOTE"),
        ((802, "Typ"), "LITHIUM_ION"),
        ((802, "State"), "CONNECTED"),
        ((802, "SetOp"), "CONNECT"),
        ((802, "SetInvState"), "INVERTER_STARTED"),
        ((713, "Sta"), "OK"),
        ((704, "WSetEna"), "DISABLED"),
        ((704, "WSetMod"), "WATTS"),
    ],
)
def test_a_new_battery_is_connected_and_idle(name: Name, symbol: str) -> None:
    fresh = storage_image(LAYOUT, StorageStatus(), {})
    assert fresh.get(name) == LAYOUT.place(name).point.symbols[symbol]


def test_a_new_battery_has_no_events_and_no_alarm_to_reset() -> None:
    for point in ("AlmRst", "Evt1", "Evt2", "EvtVnd1", "EvtVnd2"):
        assert image().get((802, point)) == 0


@pytest.mark.parametrize(
    ("rating", "point", "scale"),
    [
        (StorageStatus(current_ma=32_767), "A_SF", -3),
        (StorageStatus(current_ma=32_768), "A_SF", -2),
        (StorageStatus(voltage_mv=65_534), "V_SF", -3),
        (StorageStatus(voltage_mv=65_535), "V_SF", -2),
    ],
)
def test_the_largest_number_of_a_type_is_used_and_no_more(
    rating: StorageStatus, point: str, scale: int
) -> None:
    registers = storage_image(LAYOUT, rating, {})
    assert registers.get((802, point)) == scale
    found = read_storage(registers)
    assert (found.current_ma, found.voltage_mv) != (None, None)
