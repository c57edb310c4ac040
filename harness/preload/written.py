"""How far a process that fills a store is: one number in a file, for whoever started it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from structlog import get_logger

from reports.recording import write_atomically

TELL_EVERY_S: Final = 0.5
LOG_EVERY_S: Final = 5.0
log = get_logger(__name__)


class Written:
    """Says now and then how far a filling is, and ends it when somebody wants it to end.

    What is said at last is always said, in the file and in the log.

    Args:
        readings: how many there will be.
        file: where the number is written.
        now_s: seconds of a clock that never goes back.

    Attributes:
        before: readings of the parts before the one that is being filled.
        ending: somebody wants it to end.
    """

    def __init__(
        self, readings: int, file: Path, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._readings = readings
        self._file = file
        self._now_s = now_s
        self._began_s = now_s()
        self._log_s = self._began_s + LOG_EVERY_S
        self._tell_s = self._began_s
        self.before = 0
        self.ending = threading.Event()

    def __call__(self, written_of_part: int) -> None:
        """Take note of the readings written of this part.

        Raises:
            KeyboardInterrupt: it is to end.
            OSError: the file cannot be written.
        """
        written, now_s = self.before + written_of_part, self._now_s()
        whole = written == self._readings
        if whole or now_s >= self._tell_s:
            self._tell_s = now_s + TELL_EVERY_S
            write_atomically(self._file, f"{written}\n".encode())
        if whole or now_s >= self._log_s:
            self._log_s = now_s + LOG_EVERY_S
            per_s = written / max(now_s - self._began_s, 1e-9)
            log.info("preloaded", readings=written, of=self._readings, per_s=round(per_s))
        if self.ending.is_set():
            raise KeyboardInterrupt


def read_written(file: Path) -> int:
    """Return what was last said; 0 before anything was. Raises `OSError`."""
    try:
        return int(file.read_text())
    except FileNotFoundError:
        return 0
