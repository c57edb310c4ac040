"""Where the parts of a run directory lie that the fleet reads and writes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write ``content`` so that a reader sees the old file or the new one, never half of it."""
    beside = path.with_name(path.name + ".new")
    beside.write_text(json.dumps(content))
    os.replace(beside, path)
