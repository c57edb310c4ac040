"""HTB classes that count packets.

A class whose ``mpu`` is a whole packet charges every packet as much, so that a rate of octets is
a rate of packets. Kernels from 5.17 on do so.
"""

from __future__ import annotations

from typing import Any, Final

from netem.model.delay import NANOSECONDS
from netem.profiles import PacketRate

ETHERNET_OCTETS: Final = 14
_TICK_NS: Final = 64
_DEAREST: Final = 65_535
_UNLIMITED: Final = 1_250_000_000
"""Octets per second (10 Gbit/s) of classes that are there to be counted only."""
_LINKLAYER_ETHERNET: Final = 1
_SLACK: Final = 0.25
"""Of a packet, so that a timer that wakes late costs no rate; what follows a burst comes that much
sooner. Below one, or one more would pass."""


def unlimited_class() -> dict[str, Any]:
    """Return the options of a class that limits nothing."""
    return _class_options(_UNLIMITED, _UNLIMITED / 100, mpu=0, quantum=60_000)


def packet_class(limit: PacketRate, burst: int, mtu: int) -> dict[str, Any]:
    """Return the options of a class that passes so many packets per second.

    Args:
        limit: the rate.
        burst: packets that pass at once after a pause.
        mtu: no packet is larger.
    """
    cost = min(mtu + ETHERNET_OCTETS, _DEAREST)
    # HTB sends while its bucket is not below zero, so the last of a burst goes on credit.
    bucket = (burst - 1 + _SLACK) * cost
    return _class_options(limit.per_second * cost, bucket, mpu=cost, quantum=cost)


def _class_options(rate: int, bucket: float, *, mpu: int, quantum: int) -> dict[str, Any]:
    ticks = max(1, round(bucket / rate * NANOSECONDS / _TICK_NS))
    parameters = {
        "rate": rate,
        "ceil": rate,
        "rate_mpu": mpu,
        "ceil_mpu": mpu,
        "rate___reserved": _LINKLAYER_ETHERNET,
        "ceil___reserved": _LINKLAYER_ETHERNET,
        "buffer": ticks,
        "cbuffer": ticks,
        "quantum": quantum,
    }
    return {"attrs": [["TCA_HTB_PARMS", parameters]]}
