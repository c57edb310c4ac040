"""Sampling of every process of a run, once a second: CPU, memory, descriptors, network, store."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import psutil

from reports.recording import Metric, RunRecorder, RunTime, Sample


class Monitor:
    """Samples processes into the record and keeps their peaks.

    Args:
        recorder: the record.
        now: the moment of a sample.
    """

    def __init__(self, recorder: RunRecorder, now: Callable[[], RunTime]) -> None:
        self._recorder = recorder
        self._now = now
        self._known: dict[int, psutil.Process] = {}
        self._spent_s: dict[str, float] = {}
        self._current: dict[int, tuple[str, float]] = {}
        self.rss_bytes_max: dict[str, int] = {}
        self.rss_bytes = 0

    def sample(self, pids: Mapping[str, int]) -> None:
        """Sample the processes ``pids``, by component; those that are gone are left out."""
        self.rss_bytes = 0
        for name, pid in pids.items():
            self._sample_process(name, pid)
        octets = psutil.net_io_counters(pernic=True).get("lo")
        if octets is not None:
            self.carried("host", octets.bytes_recv, octets.bytes_sent)

    def carried(self, source: str, received: int, sent: int) -> None:
        """Record how many octets a component has received and sent so far.

        Of a process of ours these are octets of data over its links; of the host, everything on
        the loopback device, headers included.
        """
        self.put(source, Metric.RECEIVED_BYTES, received)
        self.put(source, Metric.TRANSMITTED_BYTES, sent)

    def put(self, source: str, metric: Metric | str, value: float, label: str = "") -> None:
        """Record one measurement."""
        self._recorder.sample(Sample(self._now(), source, metric, value, label))

    def cpu_s(self) -> dict[str, float]:
        """Return the CPU seconds each component has spent, over all its lives."""
        totals = dict(self._spent_s)
        for name, spent_s in self._current.values():
            totals[name] = totals.get(name, 0.0) + spent_s
        return totals

    def _sample_process(self, name: str, pid: int) -> None:
        try:
            process = self._known.setdefault(pid, psutil.Process(pid))
            with process.oneshot():
                times, rss = process.cpu_times(), process.memory_info().rss
                descriptors = process.num_fds()
        except psutil.Error:
            return
        spent_s = times.user + times.system
        self._current[pid] = (name, spent_s)
        self.rss_bytes += rss
        self.rss_bytes_max[name] = max(rss, self.rss_bytes_max.get(name, 0))
        self.put(name, Metric.CPU_S, spent_s)
        self.put(name, Metric.RSS_BYTES, rss)
        self.put(name, Metric.DESCRIPTORS, descriptors)
