"""Probes: what the links of a lab really do to packets, seen from outside.

A process of its own (``python -m netem.probe``) sends small datagrams both ways over probe links,
links of every class that no concentrator uses, and notes when they arrive. Both ends are on one
machine, so one clock tells one-way delays. It says nothing about right or wrong: what was set is
not known here, and who judges has both.

`packets` builds datagrams with scapy (GPL-2.0-or-later), which is why this package is the only one
to import it, and only in that process.
"""

from netem.probe.config import ProbeConfig, ProbeLink
from netem.probe.measurement import Bucket, Train, read_record

__all__ = ["Bucket", "ProbeConfig", "ProbeLink", "Train", "read_record"]
