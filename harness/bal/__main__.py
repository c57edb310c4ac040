"""The process of a battery layer: ``python -m harness.bal CONFIG``.

It prints one line, ``ready``, to standard output once its control socket answers, lives once it is
given the scenario clock, and ends when told to ``stop`` over that socket, on SIGTERM or SIGINT, or
when standard input, if it is a pipe, ends.

Exit status: 0 stopped; 4 cannot start, the last line of the log says why; anything else is our
mistake.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import trio
from structlog import get_logger

from emulator.clock import ScenarioClock
from emulator.descriptors import raise_descriptor_limit
from emulator.logs import log_to_stderr
from harness.bal.config import BalConfig
from harness.bal.control import Control
from harness.bal.errors import BatteryError
from harness.bal.faces.serving import OpenFace, open_faces
from harness.bal.journal import JournalError
from harness.bal.service import BatteryLayer
from harness.errors import ExitCode, ScenarioError
from harness.stopping import stop_on_signal, stop_without_parent

log = get_logger(__name__)


async def serve(config: BalConfig) -> None:
    """Run a battery layer until it is told to stop.

    Raises:
        JournalError, BatteryError, ScenarioError: journal or topology cannot be used.
        OSError: the control socket or a face cannot be made.
    """
    clock, started, stopping = ScenarioClock(), trio.Event(), trio.Event()
    layer = BatteryLayer(config, clock)
    faces = await open_faces(config.faces)

    def start_clock(triple: tuple[float, float, float]) -> None:
        clock.start(*triple)
        started.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(stop_on_signal, stopping)
        nursery.start_soon(stop_without_parent, stopping)
        await nursery.start(Control(layer, start_clock, stopping.set).socket().run)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        nursery.start_soon(_live, layer, faces, started)
        await stopping.wait()
        nursery.cancel_scope.cancel()


async def _live(layer: BatteryLayer, faces: Sequence[OpenFace], started: trio.Event) -> None:
    """Live once there is a clock; those who call before are heard then."""
    await started.wait()
    async with trio.open_nursery() as nursery:
        await nursery.start(layer.run)
        for face in faces:
            nursery.start_soon(face.run, layer)


def main() -> None:
    """Run the layer whose configuration file is named on the command line."""
    log_to_stderr()
    raise_descriptor_limit()
    try:
        config = BalConfig.model_validate_json(Path(sys.argv[1]).read_bytes())
        trio.run(serve, config)
    except (OSError, ValueError, JournalError, BatteryError, ScenarioError) as error:
        log.critical("battery layer ends", error=str(error), kind=type(error).__name__)
        sys.exit(ExitCode.ENVIRONMENT)


if __name__ == "__main__":
    main()
