"""A battery in SunSpec's words: which points say what, and which command it.

What is read comes from model 802 (battery base) and 713 (storage capacity); 713 is the newer and
knows energy only. What commands it is model 704: an active power to hold (``WSet``, in watts, or
``WSetPct``, of the largest power). SunSpec sets no current, and says nowhere which way ``A`` and
``W`` count: here all are positive when the battery *discharges*, as ``WSet`` is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from protocols.sunspec.image import Change, Image, Name, Place, RegisterMap
from protocols.sunspec.models import KINDS, Value
from protocols.sunspec.quantities import (
    MAX_SCALE,
    MIN_SCALE,
    finest_scale,
    from_points,
    to_points,
)

STORAGE_MODELS: Final = (1, 802, 713, 704)
PERCENT_IN_PPM: Final = 10_000


@dataclass(frozen=True, slots=True)
class StorageStatus:
    """What a battery says of itself; ``None``: its models do not say it.

    ``charge_ppm`` is the state of charge in millionths of the capacity.
    """

    voltage_mv: int | None = None
    current_ma: int | None = None
    power_mw: int | None = None
    max_charge_current_ma: int | None = None
    max_discharge_current_ma: int | None = None
    max_charge_power_mw: int | None = None
    max_discharge_power_mw: int | None = None
    capacity_mah: int | None = None
    energy_capacity_mwh: int | None = None
    energy_mwh: int | None = None
    charge_ppm: int | None = None

    @property
    def charge_mah(self) -> int | None:
        """The charge left, as state of charge times capacity."""
        if self.capacity_mah is None or self.charge_ppm is None:
            return None
        return self.capacity_mah * self.charge_ppm // 1_000_000


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a point says: the field of `StorageStatus`, and ten to which power its unit is."""

    name: Name
    field: str
    exponent: int = -3


# The first that is there counts.
MEANINGS: Final = (
    Meaning((802, "V"), "voltage_mv"),
    Meaning((802, "A"), "current_ma"),
    Meaning((802, "W"), "power_mw"),
    Meaning((802, "AChaMax"), "max_charge_current_ma"),
    Meaning((802, "ADisChaMax"), "max_discharge_current_ma"),
    Meaning((802, "WChaRteMax"), "max_charge_power_mw"),
    Meaning((802, "WDisChaRteMax"), "max_discharge_power_mw"),
    Meaning((802, "AHRtg"), "capacity_mah"),
    Meaning((713, "WHRtg"), "energy_capacity_mwh"),
    Meaning((802, "WHRtg"), "energy_capacity_mwh"),
    Meaning((713, "WHAvail"), "energy_mwh"),
    Meaning((802, "SoC"), "charge_ppm", -4),
    Meaning((713, "SoC"), "charge_ppm", -4),
)

# Points that a battery must or should have and that say nothing here, as it comes up.
FIXED: Final[Mapping[Name, Value]] = MappingProxyType(
    {
        (802, "ChaSt"): 6,  # holding
        (802, "LocRemCtl"): 0,  # remote
        (802, "AlmRst"): 0,
        (802, "Typ"): 4,  # lithium-ion
        (802, "State"): 3,  # connected
        (802, "Evt1"): 0,
        (802, "Evt2"): 0,
        (802, "EvtVnd1"): 0,
        (802, "EvtVnd2"): 0,
        (802, "CellV_SF"): -3,  # mandatory, though no cell is told of
        (802, "SetOp"): 1,  # connect
        (802, "SetInvState"): 3,  # started
        (713, "Sta"): 0,  # OK
        (704, "WSetEna"): 0,
        (704, "WSetMod"): 1,  # watts
        (704, "WSet"): 0,
        (704, "WSetPct"): 0,
        (704, "WSetPct_SF"): -2,
    }
)

SET_POWER: Final[Name] = (704, "WSet")
SET_PERCENT: Final[Name] = (704, "WSetPct")
SET_ENABLED: Final[Name] = (704, "WSetEna")
SET_MODE: Final[Name] = (704, "WSetMod")
IN_PERCENT: Final = 0
IN_WATTS: Final = 1
COMMANDS: Final = frozenset((SET_POWER, SET_PERCENT, SET_ENABLED, SET_MODE))
"""The points whose change may change the power."""
UNHEEDED: Final = frozenset(((802, "SetOp"), (802, "SetInvState")))
"""Mandatory points that could ask a battery to disconnect or stop, which none here does."""


def storage_image(layout: RegisterMap, rating: StorageStatus, common: Mapping[str, str]) -> Image:
    """Return the registers of a new battery.

    ``rating`` holds the largest amount of each quantity that it has; scale factors are as fine as
    they allow. ``common`` are points of model 1: ``Mn``, ``Md``, ``SN``, ``Vr``, ``Opt``.
    """
    values: dict[Name, Value] = {(1, name): text for name, text in common.items()}
    values |= FIXED
    image = Image(layout, {name: value for name, value in values.items() if name in layout.places})
    scales: dict[Name, int] = {}
    for meaning in MEANINGS:
        limit = getattr(rating, meaning.field)
        if limit is not None and meaning.name in layout.places:
            scale = _finest(layout, meaning.name, limit, meaning.exponent)
            for name in _scale_point(layout, meaning.name):
                scales[name] = max(scale, scales.get(name, scale))
    power = max(_largest_power(rating), 1)
    if SET_POWER in layout.places:
        for name in _scale_point(layout, SET_POWER):
            scales[name] = _finest(layout, SET_POWER, power, -3)
    for name, scale in scales.items():
        image.set(name, scale)
    write_storage(image, rating)
    return image


def write_storage(image: Image, status: StorageStatus) -> None:
    """Let the registers say ``status``; raises `CodecError` for what goes beyond the rating."""
    scales = _scales(image)
    for meaning, place in _meanings(image.map):
        quantity = getattr(status, meaning.field)
        scale = scales[place.address]
        if quantity is not None and scale is not None:
            image.put(place, to_points(quantity, meaning.exponent, scale))
    if status.current_ma is not None and (802, "ChaSt") in image.map.places:
        image.set((802, "ChaSt"), _charge_status(status.current_ma, status.charge_ppm))


def read_storage(image: Image) -> StorageStatus:
    """Return what registers that were read from a battery say."""
    found: dict[str, int] = {}
    scales = _scales(image)
    for meaning, place in _meanings(image.map):
        number, scale = image.at(place), scales[place.address]
        if isinstance(number, int) and scale is not None and meaning.field not in found:
            found[meaning.field] = from_points(number, meaning.exponent, scale)
    return StorageStatus(**found)


def status_points(layout: RegisterMap) -> list[Name]:
    """Return the points that a status is read from, with their scale factors."""
    names = [meaning.name for meaning, _ in _meanings(layout)]
    return names + [scale for name in names for scale in _scale_point(layout, name)]


def command_points(layout: RegisterMap) -> list[Name]:
    """Return the points that a host must have read before it can command a power."""
    return [*_scale_point(layout, SET_POWER)] if SET_POWER in layout.places else []


def told_points(layout: RegisterMap) -> list[Name]:
    """Return the points that say which power was commanded; raises `LocalProtocolError`."""
    names = [SET_ENABLED, SET_MODE, SET_POWER]
    for name in names:
        layout.place(name)
    return names + _scale_point(layout, SET_POWER)


def can_do(image: Image, changes: Iterable[Change]) -> bool:
    """Say whether a battery here does what ``changes`` ask; what it cannot is not confirmed."""
    return all(
        change.name not in UNHEEDED or change.value == image.get(change.name) for change in changes
    )


def power_command(image: Image, changes: Iterable[Change] = ()) -> int | None:
    """Return the power (mW, positive: discharge) that the registers command after ``changes``.

    ``None``: none is commanded, which leaves a battery idle.
    """
    after = image.copy()
    after.apply(changes)
    if SET_ENABLED not in after.map.places or after.get(SET_ENABLED) != 1:
        return None
    in_percent = after.get(SET_MODE) == IN_PERCENT
    name = SET_PERCENT if in_percent else SET_POWER
    number, scale = after.number(name), _scale(after, name)
    if number is None or scale is None:
        return None
    if not in_percent:
        return from_points(number, -3, scale)
    limits = read_storage(after)
    limit = limits.max_charge_power_mw if number < 0 else limits.max_discharge_power_mw
    share = from_points(number, -4, scale)
    return abs(share) * (limit or 0) // 1_000_000 * (-1 if share < 0 else 1)


def power_values(image: Image, power_mw: int) -> dict[Name, Value]:
    """Return what a host writes to have ``power_mw`` (positive: discharge) held.

    ``image`` holds the scale factor that was read (`command_points`).
    """
    scale = _scale(image, SET_POWER) or 0
    return {SET_ENABLED: 1, SET_MODE: IN_WATTS, SET_POWER: to_points(power_mw, -3, scale)}


def power_of_current(current_ma: int, voltage_mv: int) -> int:
    """Return the power (mW) of a current, to the nearest."""
    return _nearest(current_ma * voltage_mv, 1_000)


def current_of_power(power_mw: int, voltage_mv: int) -> int:
    """Return the current (mA) of a power, to the nearest; 0 where there is no voltage.

    From 1,000 mV up it undoes `power_of_current` at the same voltage.
    """
    return _nearest(power_mw * 1_000, voltage_mv) if voltage_mv > 0 else 0


def _nearest(value: int, divisor: int) -> int:
    return (2 * abs(value) + divisor) // (2 * divisor) * (-1 if value < 0 else 1)


def _largest_power(rating: StorageStatus) -> int:
    powers = (rating.max_charge_power_mw, rating.max_discharge_power_mw, rating.power_mw)
    return max(abs(power or 0) for power in powers)


def _finest(layout: RegisterMap, name: Name, limit: int, exponent: int) -> int:
    kind = KINDS[layout.places[name].point.kind]
    bits = 8 * kind.layout.size
    # One less than the type holds: the largest unsigned number says "not implemented".
    largest = (1 << bits - 1) - 1 if kind.absent < 0 else (1 << bits) - 2
    return finest_scale(abs(limit), exponent, largest)


def _scale_point(layout: RegisterMap, name: Name) -> list[Name]:
    """Return the scale factor of the point ``name``, where a device's model is long enough."""
    scale = (name[0], str(layout.places[name].point.scale))
    return [scale] if scale in layout.places else []


def _scale(image: Image, name: Name) -> int | None:
    """Return the scale factor that holds for ``name``; ``None``: there is none."""
    places = (image.map.place(scale) for scale in _scale_point(image.map, name))
    return next((_scale_at(image, place) for place in places), None)


def _scale_at(image: Image, place: Place) -> int | None:
    """Return a scale factor; what the specification does not allow is as good as none."""
    scale = image.at(place)
    return scale if isinstance(scale, int) and MIN_SCALE <= scale <= MAX_SCALE else None


@lru_cache(maxsize=64)
def _meanings(layout: RegisterMap) -> tuple[tuple[Meaning, Place], ...]:
    """Return what is there of `MEANINGS`, with its scale factor."""
    return tuple(
        (meaning, layout.places[meaning.name])
        for meaning in MEANINGS
        if meaning.name in layout.places and _scale_point(layout, meaning.name)
    )


@lru_cache(maxsize=64)
def _scale_places(layout: RegisterMap) -> tuple[tuple[Place, tuple[int, ...]], ...]:
    """Return the points with scale factors, each with the addresses of what it scales."""
    scaled: dict[Name, list[int]] = {}
    for meaning, place in _meanings(layout):
        for name in _scale_point(layout, meaning.name):
            scaled.setdefault(name, []).append(place.address)
    return tuple((layout.place(name), tuple(addresses)) for name, addresses in scaled.items())


def _scales(image: Image) -> dict[int, int | None]:
    """Return the scale factors of all meanings by their addresses; ``None``: not implemented."""
    scales: dict[int, int | None] = {}
    for place, addresses in _scale_places(image.map):
        scales.update(dict.fromkeys(addresses, _scale_at(image, place)))
    return scales


def _charge_status(current_ma: int, charge_ppm: int | None) -> int:
    if current_ma:
        return 3 if current_ma > 0 else 4
    return {0: 2, 1_000_000: 5}.get(charge_ppm if charge_ppm is not None else -1, 6)
