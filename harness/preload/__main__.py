"""The process that fills a store before a run: ``python -m harness.preload CONFIG``.

It prints one line, ``ready READINGS``, to standard output when it begins, and ends when the store
is full, on SIGTERM or SIGINT, or when standard input, if it is a pipe, ends. Nothing it has written
then is lost, and nothing has to be undone: the next one fills the rest.

Exit status: 0 filled; 4 the store cannot be filled, the last line of the log says why; 130 told to
end; anything else is our mistake.
"""

from __future__ import annotations

import os
import signal
import stat
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import NoReturn

from structlog import get_logger

from emulator.grid import generate_grid
from emulator.logs import log_to_stderr
from emulator.plan import Plan
from emulator.readings import Truth
from emulator.run_folder import RunFolder
from harness.errors import ExitCode
from harness.preload.config import PreloadConfig
from harness.preload.filling import History, fill
from harness.preload.written import Written
from harness.store.errors import StoreError
from harness.store.opening import open_store

log = get_logger(__name__)


def history_of(config: PreloadConfig) -> History:
    """Return what the store is to be given. Raises `OSError` or `ValueError`."""
    fleet = RunFolder(config.run).fleet()
    grid = generate_grid(fleet.grid, fleet.behaviour, fleet.seed)
    shared = (grid, fleet.behaviour, fleet.first_s, fleet.seed)
    truth = Truth(*shared, folder=fleet.pattern_folder)
    return History.of(Plan(*shared), truth, config.meters(grid))


def _end_without_parent(ending: threading.Event) -> None:
    """Let standard input, where it is a pipe, tell when whoever holds its other end is gone."""
    if sys.stdin is None or not stat.S_ISFIFO(os.fstat(sys.stdin.fileno()).st_mode):
        return

    def wait(descriptor: int) -> None:
        while os.read(descriptor, 1):
            pass
        ending.set()

    # A descriptor of its own: at exit the interpreter must not wait for a reader of sys.stdin.
    threading.Thread(target=wait, args=[os.dup(sys.stdin.fileno())], daemon=True).start()


def main() -> None:
    """Fill the store that the configuration file on the command line names."""
    log_to_stderr()
    try:
        config = PreloadConfig.model_validate_json(Path(sys.argv[1]).read_bytes())
        history = history_of(config)
        progress = Written(history.readings, config.progress)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: progress.ending.set())
        _end_without_parent(progress.ending)
        sys.stdout.write(f"ready {history.readings}\n")
        sys.stdout.flush()
        for part in history.parts():
            with closing(
                open_store(config.store_url, history.truth.profile.names, create=True)
            ) as store:
                fill(store, part, time.time_ns() // 1_000, progress=progress)
            progress.before += part.readings
    except (StoreError, OSError, ValueError) as error:
        _give_up(error)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)


def _give_up(error: Exception) -> NoReturn:
    log.critical("preloading ends", error=str(error), kind=type(error).__name__)
    sys.exit(ExitCode.ENVIRONMENT)


if __name__ == "__main__":
    main()
