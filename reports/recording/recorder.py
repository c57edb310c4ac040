"""Writing a run's record while it happens."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import zstandard
from pydantic_core import to_json

from reports.recording.events import Event, dump_event
from reports.recording.files import RunFiles
from reports.recording.latency import LatencyInterval, format_interval, log_header
from reports.recording.series import Sample, SampleBuffer
from reports.recording.verdict import Verdict, dump_verdict

__all__ = ["RunRecorder", "write_atomically", "write_verdict"]

_FLUSH_EVENTS: Final = 64
_FLUSH_S: Final = 1.0


def write_atomically(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path`` so that a reader sees all of it or none."""
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.write_bytes(data)
    unfinished.replace(path)


def write_verdict(run_dir: Path, verdict: Verdict) -> None:
    """Write or replace ``verdict.json`` of a recorded run."""
    write_atomically(RunFiles(run_dir).verdict, dump_verdict(verdict))


class RunRecorder:
    """Appends to the record of one run; a context manager that closes it.

    A crash loses the events of the last wall second at most, and the samples since the last
    `write_samples`. Not safe for several threads or processes: one owner writes.
    """

    def __init__(self, run_dir: Path) -> None:
        """Open the record in ``run_dir``, which is created; an existing record is replaced."""
        run_dir.mkdir(parents=True, exist_ok=True)
        self.files = RunFiles(run_dir)
        self._samples = SampleBuffer()
        self._events = zstandard.ZstdCompressor(level=6).stream_writer(
            self.files.events.open("wb"), closefd=True
        )
        self._latency = self.files.latency.open("w", encoding="ascii")
        self._latency.write(log_header())
        self._unflushed = 0
        self._flushed_s = 0.0

    def event(self, event: Event) -> None:
        """Append one event.

        Raises:
            pydantic_core.PydanticSerializationError: a text in it is no Unicode (lone surrogates).
        """
        self._events.write(dump_event(event))
        self._unflushed += 1
        if self._unflushed >= _FLUSH_EVENTS or event.at.wall_s - self._flushed_s >= _FLUSH_S:
            self._flush_events(event.at.wall_s)

    def _flush_events(self, wall_s: float) -> None:
        # Ending a block costs compression, so not at every event; the file must follow, or a
        # crash would lose what only the buffer holds.
        self._events.flush(zstandard.FLUSH_BLOCK)
        self._unflushed = 0
        self._flushed_s = wall_s

    def sample(self, sample: Sample) -> None:
        """Keep one measurement until `write_samples` or `close`."""
        self._samples.append(sample)

    def latency(self, interval: LatencyInterval) -> None:
        """Append the histogram of one series over one interval."""
        self._latency.write(format_interval(interval))
        self._latency.flush()

    def write_samples(self) -> None:
        """Write all samples so far; call it now and then in long runs."""
        self._samples.write(self.files.metrics)

    def resolved(self, resolved: Mapping[str, Any]) -> None:
        """Write ``resolved.json``: the scenario with its defaults filled in, as JSON values."""
        write_atomically(self.files.resolved, to_json(resolved, indent=2) + b"\n")

    def verdict(self, verdict: Verdict) -> None:
        """Write or replace ``verdict.json``."""
        write_verdict(self.files.directory, verdict)

    def close(self) -> None:
        """Finish all files. Closing twice is allowed."""
        if self._latency.closed:
            return
        self._events.close()  # type: ignore[no-untyped-call]
        self._latency.close()
        self.write_samples()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
