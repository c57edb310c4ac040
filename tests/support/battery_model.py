"""Batteries for tests of the battery layer: ampere-hours in, milliamperes out."""

from __future__ import annotations

from harness.bal.model.batteries import Batteries
from harness.bal.model.values import MA_MS_PER_MAH, Kind, Nameplate, Reading, SourceOrder, Values

HOUR_MS = 3_600_000
AH = 1_000 * MA_MS_PER_MAH


def plate(ah: int, charge_a: int, discharge_a: int) -> Nameplate:
    return Nameplate.of(
        voltage_mv=48_000,
        max_charge_ma=charge_a * 1_000,
        max_discharge_ma=discharge_a * 1_000,
        capacity_mah=ah * 1_000,
    )


def read(
    batteries: Batteries,
    name: str,
    charge_ah: float,
    at_ms: int | None = None,
    *,
    current_ma: int = 0,
    capacity_ah: int | None = None,
) -> None:
    """Let a source report its charge, with the limits of its nameplate."""
    expected = batteries.status(name).expected
    at_ms = batteries.now_ms if at_ms is None else at_ms
    values = Values(
        voltage_mv=48_000,
        current_ma=current_ma,
        max_charge_ma=expected.max_charge_ma,
        max_discharge_ma=expected.max_discharge_ma,
        charge_ma_ms=round(charge_ah * 1_000) * MA_MS_PER_MAH,
        capacity_ma_ms=expected.capacity_ma_ms if capacity_ah is None else capacity_ah * AH,
    )
    batteries.source_read(name, Reading.at(at_ms, values), at_ms)


def add(
    batteries: Batteries,
    name: str,
    *,
    ah: int,
    discharge_a: int,
    charge_a: int | None = None,
    holds_ah: float | None = None,
    point: str | None = None,
) -> None:
    """Make a physical battery and read it: full, unless told what it holds."""
    nameplate = plate(ah, discharge_a if charge_a is None else charge_a, discharge_a)
    batteries.make_battery(name, Kind.PHYSICAL, f"test:{name}", nameplate, point)
    read(batteries, name, ah if holds_ah is None else holds_ah)


def told(orders: list[SourceOrder]) -> dict[str, int]:
    return {order.source: order.current_ma for order in orders}
