"""Who speaks what: the plug-in of every concentrator, and how its sessions protect themselves."""

from __future__ import annotations

from typing import Final

from emulator.fleet_config import FleetConfig
from emulator.grid import PROTOCOLS, Grid
from protocols.plugin import ProtocolPlugin, SessionOptions, load_protocol

MIX: Final = "mix"
"""What a fleet speaks where each concentrator has the protocol that the grid gives it."""


def spoken(protocol: str) -> tuple[str, ...]:
    """Return the plug-ins of a fleet that speaks ``protocol``."""
    return PROTOCOLS if protocol == MIX else (protocol,)


class Dialects:
    """The protocols of a fleet.

    Args:
        config: the fleet.
        grid: its grid.

    Raises:
        LookupError: there is no such protocol.
    """

    def __init__(self, config: FleetConfig, grid: Grid) -> None:
        self.plugins: dict[str, ProtocolPlugin] = {
            name: load_protocol(name) for name in spoken(config.protocol)
        }
        self._only = None if config.protocol == MIX else config.protocol
        self._protocol = grid.protocol
        self.options = SessionOptions(
            authentication=config.authentication,
            protection=config.protection,
            confirmed=config.confirmed,
            particular=config.c12.model_dump(),
        )

    def name(self, number: int) -> str:
        """Return the name of the protocol that a concentrator speaks."""
        return self._only or PROTOCOLS[self._protocol[number]]

    def plugin(self, number: int) -> ProtocolPlugin:
        """Return the plug-in of a concentrator."""
        return self.plugins[self.name(number)]
