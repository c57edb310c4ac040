"""Where the parts of a run directory lie that the fleet reads and writes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from emulator.fleet_config import FLEET_FILE, FleetConfig


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A run directory."""

    path: Path

    @property
    def fleet_file(self) -> Path:
        """The fleet's configuration."""
        return self.path / FLEET_FILE

    @property
    def logs(self) -> Path:
        """Logs of the processes."""
        return self.path / "logs"

    @property
    def ledger(self) -> Path:
        """Delivery records, a folder a shard."""
        return self.path / "ledger"

    def shard(self, number: int) -> Path:
        """The delivery record and the summary of one shard."""
        return self.ledger / f"shard-{number}"

    def fleet(self) -> FleetConfig:
        """Read the fleet's configuration. Raises `OSError` or pydantic's ValidationError."""
        return FleetConfig.model_validate_json(self.fleet_file.read_text())
