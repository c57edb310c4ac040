"""Drivers: how batteries of each kind are read and commanded over a stream."""

from collections.abc import Mapping
from typing import Final

from harness.bal.drivers.driver import (
    Driver,
    DriverError,
    DriverRefusedError,
    Make,
    NowMs,
    open_driver,
)
from harness.bal.drivers.jbd import JbdDriver
from harness.bal.drivers.sunspec import SunSpecDriver

DRIVERS: Final[Mapping[str, Make]] = {"jbd": JbdDriver, "sunspec": SunSpecDriver}
"""By what `Endpoint.driver` says."""

__all__ = [
    "DRIVERS",
    "Driver",
    "DriverError",
    "DriverRefusedError",
    "Make",
    "NowMs",
    "open_driver",
]
