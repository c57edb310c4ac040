"""A battery with a SunSpec face over Modbus TCP: models 1, 802, 713 and 704.

It is commanded by power (model 704). Here the converter turns a power into the current that it
takes at the voltage of that moment, and holds that current: so the state stays a closed form, at
the price that the power drifts with the voltage until the next command. A host that computed its
power from a voltage it read a while ago may ask for a little more current than the battery is built
for; it gets what the battery is built for. Beyond the power ratings it gets an exception.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from emulator.batteries.battery import Battery, OverLimitError, UnrecordedError
from emulator.batteries.device import BatterySession, NowMs
from emulator.batteries.physics import MA_MS_PER_MAH, Ratings, Snapshot
from protocols.sunspec import (
    COMMANDS,
    STORAGE_MODELS,
    Image,
    ReadRequested,
    RegisterMap,
    StorageStatus,
    SunSpecDevice,
    WriteRequested,
    can_do,
    current_of_power,
    power_command,
    storage_image,
    write_storage,
)
from protocols.sunspec.device import DEVICE_FAILURE, ILLEGAL_VALUE

MANUFACTURER: Final = "Meterstorm"
DEVICE_MODEL: Final = "emulated battery"
WHOLE_PPM: Final = 1_000_000


@cache
def register_map() -> RegisterMap:
    """Return where the points of every SunSpec battery are."""
    return RegisterMap.of(STORAGE_MODELS)


def battery_image(battery: Battery) -> Image:
    """Return the registers of a battery; its lines share them."""
    common = {"Mn": MANUFACTURER, "Md": DEVICE_MODEL, "SN": battery.name}
    return storage_image(register_map(), _rating(battery.ratings), common)


def storage_status(ratings: Ratings, now: Snapshot) -> StorageStatus:
    """Return what a battery says of itself at a moment."""
    return StorageStatus(
        voltage_mv=now.voltage_mv,
        current_ma=now.current_ma,
        power_mw=now.power_mw,
        max_charge_current_ma=now.charge_ma_max,
        max_discharge_current_ma=now.discharge_ma_max,
        max_charge_power_mw=ratings.charge_mw_max,
        max_discharge_power_mw=ratings.discharge_mw_max,
        capacity_mah=ratings.capacity_mah,
        energy_capacity_mwh=_energy_mwh(ratings, ratings.capacity_ma_ms),
        energy_mwh=_energy_mwh(ratings, now.charge_ma_ms),
        charge_ppm=now.charge_ppm,
    )


def _rating(ratings: Ratings) -> StorageStatus:
    """Return the largest amount of everything that a battery ever says."""
    return StorageStatus(
        voltage_mv=ratings.highest_mv,
        current_ma=max(ratings.charge_ma_max, ratings.discharge_ma_max),
        power_mw=max(ratings.charge_mw_max, ratings.discharge_mw_max),
        max_charge_current_ma=ratings.charge_ma_max,
        max_discharge_current_ma=ratings.discharge_ma_max,
        max_charge_power_mw=ratings.charge_mw_max,
        max_discharge_power_mw=ratings.discharge_mw_max,
        capacity_mah=ratings.capacity_mah,
        energy_capacity_mwh=_energy_mwh(ratings, ratings.capacity_ma_ms),
        energy_mwh=_energy_mwh(ratings, ratings.capacity_ma_ms),
        charge_ppm=WHOLE_PPM,
    )


def _energy_mwh(ratings: Ratings, charge_ma_ms: int) -> int:
    return charge_ma_ms * ratings.nominal_mv // MA_MS_PER_MAH // 1_000


class SunSpecSession(BatterySession[SunSpecDevice]):
    """One connection to a battery that speaks SunSpec; arguments as `BatterySession`.

    ``image``: the registers of this battery.
    """

    def __init__(self, battery: Battery, now_ms: NowMs, now: float, image: Image) -> None:
        super().__init__("sunspec", SunSpecDevice(image), battery, now_ms, now)

    def _give_up(self, now: float) -> None:
        """Wait on: a frame that stopped holds nothing up but its own connection."""

    def _take(self, data: bytes, now: float) -> None:
        self._device.receive_data(data)
        while (event := self._device.next_event()) is not None:
            match event:
                case ReadRequested():
                    at = self.battery.status(self._now_ms())
                    write_storage(self._device.image, storage_status(self.battery.ratings, at))
                    self._device.answer()
                case WriteRequested():
                    self._write(event)
        if self._device.closed:
            # What was answered before is still to be sent.
            self._idle_at = now

    def _write(self, request: WriteRequested) -> None:
        if not can_do(self._device.image, request.changes):
            self._device.refuse(ILLEGAL_VALUE)
            return
        try:
            self._command(request)
        except OverLimitError:
            self._device.refuse(ILLEGAL_VALUE)
            self._refusals.append(OverLimitError.__name__)
        except UnrecordedError:
            self._device.refuse(DEVICE_FAILURE)
            self._refusals.append(UnrecordedError.__name__)
        else:
            self._device.accept()

    def _command(self, request: WriteRequested) -> None:
        """Carry out what changes the power; what does not is only kept in the registers."""
        if COMMANDS.isdisjoint(change.name for change in request.changes):
            return
        image = self._device.image
        power_mw = power_command(image, request.changes)
        if power_mw is None and power_command(image) is None:
            return
        at_ms = self._now_ms()
        current_ma = self._current(power_mw or 0, at_ms)
        self.battery.set_current(current_ma, at_ms, for_power_mw=power_mw or 0)

    def _current(self, power_mw: int, at_ms: int) -> int:
        """Return the current for a power: within the limits where the power is."""
        ratings = self.battery.ratings
        current_ma = current_of_power(power_mw, self.battery.status(at_ms).voltage_mv)
        if -ratings.charge_mw_max <= power_mw <= ratings.discharge_mw_max:
            return min(ratings.discharge_ma_max, max(-ratings.charge_ma_max, current_ma))
        return current_ma
