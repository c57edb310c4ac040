"""What the kernel counts beside the queues: connection tracking and full accept queues.

All figures are those of the namespace that the calling thread is in.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pyroute2 import Conntrack

from netem.lab import ConnectionTracking, ListenDrops

_NETSTAT: Final = Path("/proc/thread-self/net/netstat")
_TRACKING: Final = Path("/proc/sys/net/netfilter")


def connection_tracking() -> ConnectionTracking | None:
    """Return the state of connection tracking, or None where the kernel does none."""
    try:
        most = int((_TRACKING / "nf_conntrack_max").read_text(encoding="ascii"))
        with Conntrack() as conntrack:
            count = conntrack.count()
            processors = conntrack.stat()
    except (OSError, ValueError):
        return None
    return ConnectionTracking(
        count=int(count),
        max=most,
        drop=sum(int(one["drop"]) for one in processors),
        early_drop=sum(int(one["early_drop"]) for one in processors),
        insert_failed=sum(int(one["insert_failed"]) for one in processors),
    )


def listen_drops() -> ListenDrops:
    """Return what full accept queues have cost so far."""
    found = tcp_extensions(_NETSTAT.read_text(encoding="ascii"))
    return ListenDrops(
        overflows=found.get("ListenOverflows", 0),
        drops=found.get("ListenDrops", 0),
        request_queue_full=found.get("TCPReqQFullDrop", 0),
    )


def tcp_extensions(netstat: str) -> Mapping[str, int]:
    """Return the figures of the group ``TcpExt`` of ``/proc/net/netstat``."""
    lines = [line.split() for line in netstat.splitlines() if line.startswith("TcpExt:")]
    if len(lines) != 2:
        return {}
    names, figures = lines
    return {name: int(figure) for name, figure in zip(names[1:], figures[1:], strict=False)}
