"""Drivers: how batteries of each kind are read and commanded over a stream."""

from collections.abc import Mapping
from typing import Final

from harness.bal.drivers.driver import (
    Driver,
    DriverError,
    DriverRefusedError,
    Line,
    Make,
    Memory,
    NowMs,
    open_driver,
)
from harness.bal.drivers.jbd import JbdDriver
from harness.bal.drivers.networked import NetworkedDriver
from harness.bal.drivers.sunspec import SunSpecDriver
from protocols.batteries import DIALECTS

DRIVERS: Final[Mapping[str, Make]] = {
    "jbd": JbdDriver,
    "sunspec": SunSpecDriver,
    **dict.fromkeys(DIALECTS, NetworkedDriver),
}
"""By what `Endpoint.driver` says."""

__all__ = [
    "DRIVERS",
    "Driver",
    "DriverError",
    "DriverRefusedError",
    "Line",
    "Make",
    "Memory",
    "NowMs",
    "open_driver",
]
