"""What the machine of a run is, for its record."""

from __future__ import annotations

import os
import platform
import resource
from pathlib import Path
from typing import Final

import psutil

CONNTRACK: Final = Path("/proc/net/stat/nf_conntrack")
DROPS: Final = ("drop", "early_drop", "insert_failed")


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


def conntrack_drops(path: Path = CONNTRACK) -> int:
    """Return how many packets the kernel's connection tracking has dropped since it booted.

    0 where it does not track. It drops silently when its table is full, which looks like a network
    that lost them.
    """
    try:
        head, *lines = path.read_text().splitlines()
    except (OSError, ValueError):
        return 0
    names = head.split()
    columns = [names.index(name) for name in DROPS if name in names]
    return sum(int(line.split()[column], 16) for line in lines for column in columns)


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if "model name" in line]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
