"""A battery behind a JBD battery management system: registers answered, commands carried out.

Transistors are switched by register E1, the current is set at the regulator beside it (see
`protocols.bms.jbd.registers`). A current over the limits is answered with status 80.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from emulator.batteries.battery import Battery, OverLimitError, UnrecordedError
from emulator.batteries.device import BatterySession, NowMs
from emulator.batteries.physics import Snapshot
from protocols.bms.jbd import (
    CELL_VOLTAGES,
    DEVICE_NAME,
    MAX_CHARGE_CURRENT,
    MAX_DISCHARGE_CURRENT,
    MOSFET_CONTROL,
    REGULATOR,
    STATUS,
    Disabled,
    JbdDevice,
    Mosfets,
    PackStatus,
    Protection,
    ReadRequested,
    WriteRequested,
)

TEMPERATURE_DK: Final = 2_981
"""25 degrees Celsius: nothing here gets warm."""
MANUFACTURED: Final = (2025, 1, 1)
"""A date that there is, as hosts make one of it."""
PPM_PER_PERCENT: Final = 10_000
MAH_MA_MS: Final = 3_600_000
LINE_SILENCE_S: Final = 0.5
"""On a serial line."""
LINK_SILENCE_S: Final = 30.0
"""Over a network, where the rest of a frame may have been lost and come again."""

READ: Final[Mapping[int, Callable[[Battery, Snapshot], Any]]] = {
    STATUS.number: lambda battery, now: pack_status(battery, now),
    CELL_VOLTAGES.number: lambda battery, now: (now.cell_mv,) * battery.ratings.cells,
    DEVICE_NAME.number: lambda battery, now: battery.name,
    MAX_CHARGE_CURRENT.number: lambda battery, now: battery.ratings.charge_ma_max,
    MAX_DISCHARGE_CURRENT.number: lambda battery, now: battery.ratings.discharge_ma_max,
    REGULATOR.number: lambda battery, now: battery.set_ma,
}
"""What each register holds."""
WRITE: Final[Mapping[int, Callable[[Battery, Any, int], None]]] = {
    MOSFET_CONTROL.number: lambda battery, disabled, at_ms: battery.disable(int(disabled), at_ms),
    REGULATOR.number: lambda battery, current_ma, at_ms: battery.set_current(current_ma, at_ms),
}
"""What writing each register does."""


def pack_status(battery: Battery, now: Snapshot) -> PackStatus:
    """Return register 03 of a battery at a moment."""
    return PackStatus(
        voltage_mv=now.voltage_mv,
        current_ma=now.current_ma,
        remaining_mah=now.charge_ma_ms // MAH_MA_MS,
        full_mah=battery.ratings.capacity_mah,
        charge_percent=now.charge_ppm // PPM_PER_PERCENT,
        mosfets=_conducting(battery, now),
        cells=battery.ratings.cells,
        manufactured=MANUFACTURED,
        protection=_protection(battery, now),
        temperatures_dk=(TEMPERATURE_DK, TEMPERATURE_DK),
    )


def _conducting(battery: Battery, now: Snapshot) -> Mosfets:
    """Return which transistors conduct: not disabled, and not protecting a full or empty cell."""
    conducting = Mosfets.NONE
    if now.charge_ma_max and not battery.disabled & Disabled.CHARGE:
        conducting |= Mosfets.CHARGE
    if now.discharge_ma_max and not battery.disabled & Disabled.DISCHARGE:
        conducting |= Mosfets.DISCHARGE
    return conducting


def _protection(battery: Battery, now: Snapshot) -> Protection:
    protection = Protection.LOCKED if battery.disabled else Protection.NONE
    if not now.charge_ma_max:
        protection |= Protection.CELL_OVERVOLTAGE
    if not now.discharge_ma_max:
        protection |= Protection.CELL_UNDERVOLTAGE
    return protection


class JbdSession(BatterySession[JbdDevice]):
    """One line of a battery that speaks JBD; arguments as `BatterySession`.

    ``silence_s``: how long a frame may pause.
    """

    def __init__(
        self, battery: Battery, now_ms: NowMs, now: float, silence_s: float = LINK_SILENCE_S
    ) -> None:
        super().__init__("jbd", JbdDevice(silence_s=silence_s), battery, now_ms, now)

    def _next_deadline(self) -> float:
        frame_at = self._device.deadline
        return self._idle_at if frame_at is None else min(self._idle_at, frame_at)

    def _give_up(self, now: float) -> None:
        self._device.handle_deadline(now)
        self._answer_all()

    def _take(self, data: bytes, now: float) -> None:
        self._device.receive_data(data, now=now)
        self._answer_all()

    def _answer_all(self) -> None:
        while (event := self._device.next_event()) is not None:
            match event:
                case ReadRequested(register):
                    now = self.battery.status(self._now_ms())
                    self._device.answer(READ[register.number](self.battery, now))
                case WriteRequested():
                    self._write(event)

    def _write(self, request: WriteRequested) -> None:
        try:
            WRITE[request.register.number](self.battery, request.value, self._now_ms())
        except (OverLimitError, UnrecordedError) as error:
            self._refusals.append(type(error).__name__)
            self._device.refuse()
        else:
            self._device.accept()
