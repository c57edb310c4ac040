"""Where a fleet lives whose links are real: what the run tells its shards about the lab.

A lab is two network namespaces with links between them (`netem.lab`). The head-end's side is that
of the run and of all it starts; a shard moves to the fleet's side before it opens a socket. The
file lies in the run directory while the lab stands; nothing in it outlives the run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from netem.namespaces import enter

LAB_FILE: Final = "lab.json"


class FleetSide(BaseModel):
    """The fleet's side of a lab."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    namespace: str
    """Path of the network namespace, for `netem.namespaces.enter`."""

    def write(self, run: Path) -> None:
        """Tell the shards and the processes of batteries of the run in ``run``."""
        (run / LAB_FILE).write_text(self.model_dump_json() + "\n")

    @classmethod
    def load(cls, run: Path) -> FleetSide:
        """Read what `write` wrote. Raises `OSError` or pydantic's ValidationError."""
        return cls.model_validate_json((run / LAB_FILE).read_bytes())


def move_to_fleet_side(run: Path) -> None:
    """Let this process live on the fleet's side of the run's lab, as do the threads it starts.

    Raises:
        OSError: there is no lab, or it is gone.
    """
    enter(FleetSide.load(run).namespace)


def leave_no_trace(run: Path) -> None:
    """Remove what `FleetSide.write` wrote: the lab is gone."""
    (run / LAB_FILE).unlink(missing_ok=True)
