"""``locust -f`` on its own: the run is started from here and attached to this load."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import gevent

START_S: Final = 60.0
POLL_S: Final = 0.05


class AttachedRun:
    """A ``meterstorm run`` that waits for this Locust instead of starting one."""

    def __init__(self, scenario: Path) -> None:
        self._scenario = scenario
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="meterstorm-")

    def start(self) -> str:
        """Start the run and return the path of its control socket once it is there.

        Raises:
            RuntimeError: the run ended, or did not begin to listen within a minute.
        """
        path = Path(self._folder.name) / "control.sock"
        command = [sys.executable, "-m", "harness.cli", "run", str(self._scenario)]
        self._process = subprocess.Popen([*command, "--load-socket", str(path)])
        with gevent.Timeout(START_S, RuntimeError("the run did not begin to listen")):
            while not path.exists():
                if self._process.poll() is not None:
                    raise RuntimeError(f"the run ended with {self._process.returncode}")
                gevent.sleep(POLL_S)
        return str(path)

    def wait(self) -> int | None:
        """Return the run's exit code, waiting for its verdict; ``None`` if it never started."""
        code = self._process.wait() if self._process else None
        self._folder.cleanup()
        return code
