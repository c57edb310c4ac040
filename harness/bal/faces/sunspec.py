"""Batteries of the layer as SunSpec devices: models 1, 802, 713 and 704, a Modbus unit each.

They are commanded by power: a power becomes the current that it takes at the voltage of that
moment, which the battery then holds. A power within the limits that the registers told is cut to
the current that is possible now, as the voltage may have moved since they were read; beyond them
it is refused.

The registers remember what was commanded through them, for as long as the layer lives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from structlog import get_logger

from harness.bal.errors import BatteryError, CurrentOutOfRangeError, UnknownBatteryError
from harness.bal.faces.conversation import command_name
from harness.bal.happenings import SET_CURRENT
from harness.bal.model.values import NJ_PER_MWH, Values, mah
from harness.bal.service import BatteryLayer
from protocols.errors import CodecError
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
    read_storage,
    storage_image,
    write_storage,
)
from protocols.sunspec.device import DEVICE_FAILURE, ILLEGAL_VALUE, NO_TARGET

SPEAKS: Final = "sunspec"
SERIAL_MAX: Final = 32
"""Octets of a serial number in model 1."""
HEADER_REGISTERS: Final = 2
"""Who asks for no more walks along the models, and needs no fresh readings for that."""
MARGIN: Final = 2
"""Scale factors leave room for so many times what is expected of a battery now."""
LAYOUT: Final = RegisterMap.of(STORAGE_MODELS)
log = get_logger(__name__)


class Registers:
    """The registers of all units of a face, which its connections share."""

    def __init__(self, layer: BatteryLayer, units: Mapping[int, str]) -> None:
        self.layer = layer
        self.units = units
        self.images: dict[int, Image] = {}

    def look_for_new(self) -> None:
        """Give registers to batteries that are there and have none."""
        for unit, name in self.units.items():
            if unit not in self.images:
                try:
                    self.images[unit] = self._made(name)
                except UnknownBatteryError:
                    continue

    async def bring_up_to_date(self, unit: int) -> Values:
        """Let the registers say how the battery is, and return that. Raises `BatteryError`."""
        name = self.units[unit]
        try:
            values = (await self.layer.status(name, of_node=True)).current
        except UnknownBatteryError:
            self.images.pop(unit, None)
            raise
        told = storage_status(values)
        try:
            write_storage(self.images[unit], told)
        except (CodecError, KeyError):
            # It has become larger than its scale factors allow.
            self.images[unit] = self._made(name)
            write_storage(self.images[unit], told)
        return values

    def _made(self, name: str) -> Image:
        status = self.layer.batteries.status(name)
        common = {"Mn": "Meterstorm", "Md": status.kind.value, "SN": _serial(name)}
        largest = {
            field: MARGIN * max(getattr(status.expected, field), getattr(status.current, field))
            for field in ("voltage_mv", "max_charge_ma", "max_discharge_ma", "capacity_ma_ms")
        }
        most = replace(status.expected, **largest, charge_ma_ms=largest["capacity_ma_ms"])
        most = replace(most, current_ma=max(most.max_charge_ma, most.max_discharge_ma))
        return storage_image(LAYOUT, storage_status(most), common)


class SunSpecConversation:
    """One connection to the units of a face."""

    def __init__(self, registers: Registers) -> None:
        self._registers = registers
        self._layer = registers.layer
        self._device = SunSpecDevice(registers.images)

    @property
    def closed(self) -> bool:
        """Whether the peer has lost its framing."""
        return self._device.closed

    def receive_data(self, data: bytes) -> None:
        """Take octets of the peer."""
        self._device.receive_data(data)

    def receive_eof(self) -> None:
        """Take the end of the peer's stream."""
        self._device.receive_eof()

    async def next_answer(self) -> bytes:
        """Answer the next request; see `Conversation`."""
        self._registers.look_for_new()
        event = self._device.next_event()
        if event is not None:
            refusal = await self._outcome(event)
            self._layer.counts[f"{SPEAKS}: {'done' if refusal is None else 'refusal'}"] += 1
            if refusal is not None:
                self._device.refuse(refusal)
            elif isinstance(event, ReadRequested):
                self._device.answer()
            else:
                self._device.accept()
        return self._device.data_to_send()

    async def _outcome(self, event: ReadRequested | WriteRequested) -> int | None:
        """Do what was asked; return the exception to answer with, None: it was done."""
        try:
            if isinstance(event, WriteRequested):
                if not can_do(self._registers.images[event.unit], event.changes):
                    return ILLEGAL_VALUE
                await self._command(event)
            elif event.count > HEADER_REGISTERS:
                await self._registers.bring_up_to_date(event.unit)
        except CurrentOutOfRangeError:
            return ILLEGAL_VALUE
        except UnknownBatteryError:
            return NO_TARGET
        except BatteryError as refusal:
            log.info("refused", unit=event.unit, why=str(refusal))
            return DEVICE_FAILURE
        except Exception:
            # A bug of ours must not leave the peer waiting.
            log.exception("request failed", unit=event.unit)
            return DEVICE_FAILURE
        return None

    async def _command(self, event: WriteRequested) -> None:
        """Carry out what changes the power; what does not is only kept in the registers."""
        image = self._registers.images[event.unit]
        if COMMANDS.isdisjoint(change.name for change in event.changes):
            return
        power_mw = power_command(image, event.changes)
        if power_mw is None and power_command(image) is None:
            return
        told = read_storage(image)
        values = await self._registers.bring_up_to_date(event.unit)
        name = self._registers.units[event.unit]
        current_ma = _current(name, power_mw or 0, told, values)
        details = {"name": name, "current_ma": current_ma}
        await self._layer.command(SET_CURRENT, details, command_name(SPEAKS), of_node=True)


def storage_status(values: Values) -> StorageStatus:
    """Return values in SunSpec's words."""
    return StorageStatus(
        voltage_mv=values.voltage_mv,
        current_ma=values.current_ma,
        power_mw=_power(values.current_ma, values),
        max_charge_current_ma=values.max_charge_ma,
        max_discharge_current_ma=values.max_discharge_ma,
        max_charge_power_mw=_power(values.max_charge_ma, values),
        max_discharge_power_mw=_power(values.max_discharge_ma, values),
        capacity_mah=mah(values.capacity_ma_ms),
        energy_capacity_mwh=values.capacity_ma_ms * values.voltage_mv // NJ_PER_MWH,
        energy_mwh=values.charge_ma_ms * values.voltage_mv // NJ_PER_MWH,
        charge_ppm=values.charged_ppm,
    )


def _power(current_ma: int, values: Values) -> int:
    """Return a power in mW, towards zero."""
    return abs(current_ma) * values.voltage_mv // 1_000 * (-1 if current_ma < 0 else 1)


def _current(name: str, power_mw: int, told: StorageStatus, values: Values) -> int:
    if power_mw and not values.voltage_mv:
        raise CurrentOutOfRangeError(name, power_mw, 0, 0)
    current_ma = current_of_power(power_mw, values.voltage_mv)
    if -(told.max_charge_power_mw or 0) <= power_mw <= (told.max_discharge_power_mw or 0):
        return min(values.max_discharge_ma, max(-values.max_charge_ma, current_ma))
    return current_ma


def _serial(name: str) -> str:
    return name.encode()[:SERIAL_MAX].decode(errors="ignore")
