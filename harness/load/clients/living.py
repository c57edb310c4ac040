"""One client in a Locust process: begun with the clock, its counts told each second."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import gevent
from gevent.event import Event

from emulator.tally import Tally
from harness.load.clients.client import Client
from harness.load.clients.config import CONFIG_NAME, ClientsConfig
from harness.load.clients.summary import LOAD_FOLDER, CommandNotes, write_summary

EVERY_S: Final = 1.0
END_S: Final = 60.0
"""Real seconds that requests under way have once nothing more is sent."""


def read_config(run: Path) -> ClientsConfig | None:
    """Return what the clients of a run are to do; None where there are none."""
    path = run / LOAD_FOLDER / CONFIG_NAME
    return ClientsConfig.model_validate_json(path.read_text()) if path.is_file() else None


class LivingClient:
    """A client and its life.

    Args:
        run: folder of the run.
        config: what all clients are to do.
        number: which of them it is.
        enter: given batches of counts for Locust's statistics.
    """

    def __init__(
        self,
        run: Path,
        config: ClientsConfig,
        number: int,
        enter: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self._run = run
        self._number = number
        self._enter = enter
        self._tally = Tally()
        self._notes = CommandNotes(run, number)
        self._client = Client(config, number, self._tally, self._notes)
        self._begun = Event()
        self._start_s = 0.0
        self._ended = Event()

    def begin(self, start_s: float) -> None:
        """Let it begin: requests are due from ``start_s`` (CLOCK_MONOTONIC) on."""
        self._start_s = start_s
        self._begun.set()

    def live(self) -> None:
        """Make every request in its time; returns after the last."""
        self._begun.wait()
        telling = gevent.spawn(self._tell)
        try:
            self._client.run(self._start_s)
        finally:
            telling.kill()
            self._tell_once()
            self._notes.close()
            self._ended.set()

    def stop(self) -> None:
        """Send nothing more."""
        self._client.stop()

    def end(self) -> None:
        """Send nothing more and wait for what is under way."""
        self.stop()
        if self._begun.is_set():
            self._ended.wait(END_S)

    def _tell(self) -> None:
        while True:
            gevent.sleep(EVERY_S)
            self._tell_once()

    def _tell_once(self) -> None:
        for batch in self._tally.take_batches():
            self._enter(batch)
        write_summary(self._run, self._number, self._tally)
