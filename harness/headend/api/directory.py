"""Which meters there are and which shard has them, read from the exported devices without keys."""

from __future__ import annotations

import csv
import json
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from emulator.fleet_config import part_holding, part_of
from emulator.identity import METER_PREFIX, NAME_DIGITS, meter_name
from harness.api.problems import NotThereError

METER_PATTERN: Final = rf"^({METER_PREFIX.decode()}[0-9]{{{NAME_DIGITS}}}|[0-9]{{1,10}})$"
"""A meter: its logical device name, or its number."""


class UnknownMeterError(NotThereError):
    """There is no such meter."""

    field = "meter"


@dataclass(frozen=True, slots=True)
class Directory:
    """The meters of a head-end.

    ``first_meters`` has an entry per concentrator and one more: the number of all meters. The
    rhythm of their captures is ``first_s``, ``step_s`` (seconds) and ``steps``.
    """

    first_meters: tuple[int, ...]
    shards: int
    registers: tuple[str, ...]
    first_s: int
    step_s: int
    steps: int

    @classmethod
    def load(cls, folder: Path, shards: int) -> Directory:
        """Read what `harness.provisioning` wrote to ``folder``, for ``shards`` head-end shards.

        Raises `OSError`, `KeyError`, `TypeError` or `ValueError`.
        """
        shared = json.loads((folder / "head-end.json").read_bytes())
        with (folder / "concentrators.csv").open(newline="") as file:
            spans = [(int(row["first_meter"]), int(row["meters"])) for row in csv.DictReader(file)]
        if not 0 < shards <= len(spans):
            raise ValueError(f"{folder}: {len(spans)} concentrators for {shards} shards")
        return cls(
            first_meters=(*(first for first, _ in spans), sum(spans[-1])),
            shards=shards,
            registers=tuple(shared["registers"]),
            first_s=int(shared["first_s"]),
            step_s=int(shared["step_s"]),
            steps=int(shared["steps"]),
        )

    @property
    def concentrators(self) -> int:
        """How many concentrators there are."""
        return len(self.first_meters) - 1

    def meter(self, text: str) -> int:
        """Return the number of the meter called ``text`` (`METER_PATTERN`).

        Raises:
            UnknownMeterError: there is none.
        """
        prefix = METER_PREFIX.decode()
        number = int(text.removeprefix(prefix)) - text.startswith(prefix)
        if not 0 <= number < self.first_meters[-1]:
            raise UnknownMeterError(f"there is no meter {text}")
        return number

    def name(self, meter: int) -> str:
        """Return the logical device name of a meter."""
        return meter_name(meter).decode()

    def shard_of(self, meter: int) -> int:
        """Return the shard that has a meter."""
        concentrator = bisect_right(self.first_meters, meter) - 1
        return part_holding(self.concentrators, self.shards, concentrator)

    def concentrators_of(self, shard: int) -> range:
        """Return the concentrators of a shard."""
        return part_of(self.concentrators, self.shards, shard)
