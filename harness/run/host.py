"""What the machine of a run is, for its record."""

from __future__ import annotations

import os
import platform
import resource

import psutil


def host_facts() -> dict[str, str]:
    """Return what decides what a run on this machine can measure."""
    _, descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{psutil.virtual_memory().total / 2**30:.1f} GiB",
        "descriptors": f"{descriptors} a process",
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if "model name" in line]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
