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
    """A ``meterstorm run`` that waits for this Locust instead of starting one.

    Args:
        scenario: the scenario file.
        decides_users: whether the run says how many users there are, as nobody else has.
    """

    def __init__(self, scenario: Path, *, decides_users: bool) -> None:
        self.decides_users = decides_users
        self._scenario = scenario
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="meterstorm-")

    def start(self, workers: int) -> str:
        """Start the run for ``workers`` Locust workers (0: none) and return its control socket.

        Raises:
            RuntimeError: the run ended, or did not begin to listen within a minute.
        """
        path = Path(self._folder.name) / "control.sock"
        command = [sys.executable, "-m", "harness.cli", "run", str(self._scenario)]
        command += ["--set", f"load.workers={workers}", "--load-socket", str(path)]
        # Ctrl-C is for Locust; the run follows when Locust leaves.
        self._process = subprocess.Popen(command, start_new_session=True)
        with gevent.Timeout(START_S, RuntimeError("the run did not begin to listen")):
            while not path.exists():
                if self._process.poll() is not None:
                    raise RuntimeError(f"it ended with {self._process.returncode}")
                gevent.sleep(POLL_S)
        return str(path)

    def wait(self) -> int | None:
        """Return the run's exit code, waiting for its verdict; ``None`` if it never started."""
        code = self._process.wait() if self._process else None
        self._folder.cleanup()
        return code
