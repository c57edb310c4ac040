"""Who speaks what: the plug-in of every concentrator, and how its sessions protect themselves."""

from __future__ import annotations

from typing import Any, Final

from emulator.behaviour_parameters import BehaviourParameters
from emulator.capture import capture_profile
from emulator.device import BUFFER_INTERVALS
from emulator.fleet_config import FleetConfig, part_holding
from emulator.grid import PROTOCOLS, Grid
from emulator.identity import head_end_name
from protocols.plugin import ProtocolPlugin, SessionOptions, load_protocol

MIX: Final = "mix"
"""What a fleet speaks where each concentrator has the protocol that the grid gives it."""


def spoken(protocol: str) -> tuple[str, ...]:
    """Return the plug-ins of a fleet that speaks ``protocol``."""
    return PROTOCOLS if protocol == MIX else (protocol,)


def particular(config: FleetConfig) -> dict[str, Any]:
    """Return what only single protocols need to know of a fleet, for both ends of its sessions."""
    registers = capture_profile(config.grid).registers
    return (
        config.c12.model_dump()
        | {
            "capture_period_s": config.behaviour.step_s,
            "logical_names": " ".join(register.logical_name for register in registers),
        }
        | _load_profile(config.behaviour)
    )


def _load_profile(behaviour: BehaviourParameters) -> dict[str, int]:
    """Return how many captures an ANSI meter keeps, where it has a history to keep.

    Others have the list of the emulated model, which is shorter than a concentrator's buffer.
    """
    if not behaviour.preloaded:
        return {}
    return {"load_profile_blocks": min(behaviour.preloaded + behaviour.steps, BUFFER_INTERVALS)}


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
        self._concentrators = grid.concentrators
        self._options = [
            SessionOptions(
                authentication=config.authentication,
                protection=config.protection,
                confirmed=config.confirmed,
                particular=particular(config) | {"head_end": head_end_name(shard).decode()},
            )
            for shard in range(max(1, len(config.head_ends)))
        ]

    def name(self, number: int) -> str:
        """Return the name of the protocol that a concentrator speaks."""
        return self._only or PROTOCOLS[self._protocol[number]]

    def options(self, number: int) -> SessionOptions:
        """Return the options of a concentrator's sessions; they name the head-end it reports to."""
        return self._options[part_holding(self._concentrators, len(self._options), number)]

    def plugin(self, number: int) -> ProtocolPlugin:
        """Return the plug-in of a concentrator."""
        return self.plugins[self.name(number)]
