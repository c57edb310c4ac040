"""TCP congestion control, socket by socket (tcp(7), TCP_CONGESTION).

The kernel's default differs from machine to machine, so a run that is to be compared with another
names one, and every run records what its connections really used.
"""

from __future__ import annotations

import errno
import socket
from pathlib import Path
from typing import Final, Protocol

AVAILABLE: Final = Path("/proc/sys/net/ipv4/tcp_available_congestion_control")
NAME_OCTETS: Final = 16
"""TCP_CA_NAME_MAX."""
COUNTED: Final = "connections under "
"""Begins the names of the counters that say what connections used."""


class CongestionError(OSError):
    """The kernel refuses a congestion control; says which it has."""


class _Socket(Protocol):
    def setsockopt(self, level: int, option: int, value: bytes, /) -> None: ...
    def getsockopt(self, level: int, option: int, size: int, /) -> bytes: ...


def use(connection: _Socket, name: str | None) -> None:
    """Let a TCP socket use the congestion control ``name``; ``None`` leaves the kernel's choice.

    What a listening socket uses, the connections it accepts inherit.

    Raises:
        CongestionError: the kernel does not have it, or not for this process.
    """
    if name is None:
        return
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, name.encode())
    except OSError as error:
        why = "is for privileged processes" if error.errno == errno.EPERM else "is not there"
        raise CongestionError(
            error.errno,
            f"TCP congestion control {name!r} {why}; this kernel has {', '.join(available())}",
        ) from error


def used(connection: _Socket) -> str:
    """Return the congestion control that a TCP socket uses."""
    name = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, NAME_OCTETS)
    return name.split(b"\0", 1)[0].decode("ascii")


def available() -> list[str]:
    """Return the names of those that are loaded; empty where the kernel does not say."""
    try:
        return AVAILABLE.read_text(encoding="ascii").split()
    except OSError:
        return []


def refusal(name: str | None) -> str | None:
    """Return why connections of this process cannot use ``name``; ``None`` where they can."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            use(probe, name)
        except CongestionError as error:
            return error.strerror
    return None
