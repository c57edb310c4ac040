"""What this machine can do for a run, told in a table or as JSON."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from importlib import metadata
from typing import Final

import psutil

from emulator.descriptors import raise_descriptor_limit, shards_needed
from emulator.fleet_config import LAB_TIERS
from harness import probes
from harness.errors import EnvironmentUnfitError
from harness.facts import part_versions
from netem.kernel import clean, leftovers
from netem.namespaces import is_capable

MEBIBYTE: Final = 2**20
NEEDED_MEMORY_MIB: Final = 1024
NEEDED_DESCRIPTORS: Final = 1024
OLDEST_PYTHON: Final = (3, 11)
WORKS: Final = {
    "packet": "works: real IP packets through an emulator of ours",
    "netem": "works: real IP packets through this kernel's netem",
}


class Grade(Enum):
    """How good a finding is."""

    GOOD = "ok"
    """As wanted."""
    LIMITED = "limited"
    """Something optional does not work here; the finding says what."""
    MISSING = "MISSING"
    """No run works without it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found out about this machine; ``advice`` says what follows from it."""

    name: str
    grade: Grade
    value: str
    advice: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return the finding as JSON-able data."""
        grade = self.grade.name.lower()
        return {"name": self.name, "grade": grade, "value": self.value, "advice": self.advice}


def examine(concentrators: int) -> Sequence[Finding]:
    """Return what was found, for a fleet of ``concentrators``; takes a second or two."""
    if platform.system() != "Linux":
        return [_system()]
    examinations: Sequence[Callable[[], Finding]] = (
        _system,
        _processors,
        lambda: _memory(concentrators),
        lambda: _descriptors(concentrators, raise_descriptor_limit()),
        lambda: _ports(concentrators),
        _loopback,
        _clock,
        _parts,
        _namespaces,
        *(lambda tier=tier: _links(tier) for tier in ("model", *LAB_TIERS)),
        _leftovers,
        lambda: _conntrack(concentrators),
        _postgresql,
        _chromium,
    )
    return [examination() for examination in examinations]


def table(findings: Sequence[Finding]) -> str:
    """Return ``findings`` as a table for people, the outcome last."""
    width = max(len(finding.name) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{finding.grade.value:<8} {finding.name:<{width}}  {finding.value}")
        if finding.advice:
            lines.append(f"{'':<8} {'':<{width}}  {finding.advice}")
    missing = [finding.name for finding in findings if finding.grade is Grade.MISSING]
    outcome = f"cannot run here: {', '.join(missing)}" if missing else "runs work on this machine"
    return "\n".join([*lines, "", outcome])


def _graded(name: str, good: bool, value: str, advice: str, otherwise: Grade) -> Finding:
    return Finding(name, Grade.GOOD if good else otherwise, value, "" if good else advice)


def _system() -> Finding:
    system = platform.system()
    advice = "Linux is needed: every concentrator has a loopback address of its own"
    return _graded("system", system == "Linux", platform.platform(), advice, Grade.MISSING)


def _processors() -> Finding:
    usable = len(os.sched_getaffinity(0))
    idle = max(0.0, usable - os.getloadavg()[0])
    value = f"{usable} usable, {idle:.1f} idle over the last minute"
    advice = "other work may make runs inconclusive"
    return _graded("processors", idle >= min(1, usable / 2), value, advice, Grade.LIMITED)


def _memory(concentrators: int) -> Finding:
    available_mib = psutil.virtual_memory().available // MEBIBYTE
    # Measured: 3.5 KiB a connection in the fleet, 5 in the head-end, 10 in the kernel.
    needed_mib = NEEDED_MEMORY_MIB + concentrators * 19 // 1024
    value = f"{available_mib:,} MiB available, about {needed_mib:,} MiB needed"
    advice = "a smaller fleet needs less: grid.transformer_stations"
    return _graded("memory", available_mib >= needed_mib, value, advice, Grade.LIMITED)


def _descriptors(concentrators: int, limit: int) -> Finding:
    name = "file descriptors"
    if limit < NEEDED_DESCRIPTORS:
        advice = f"raise the hard limit to {NEEDED_DESCRIPTORS:,} or more: ulimit -Hn"
        return Finding(name, Grade.MISSING, f"{limit:,} a process", advice)
    shards = shards_needed(concentrators, limit)
    value = f"{limit:,} a process: {concentrators:,} concentrators need {shards} in the fleet"
    return Finding(name, Grade.GOOD, value)


def _ports(concentrators: int) -> Finding:
    text = probes.read_text("/proc/sys/net/ipv4/ip_local_port_range") or "32768 60999"
    low, high = map(int, text.split())
    count = high - low + 1
    addresses = -(-concentrators // count)
    value = f"{count:,} a source address: {concentrators:,} connections need {addresses} of them"
    return Finding("ephemeral ports", Grade.GOOD, value)


def _loopback() -> Finding:
    reason = probes.any_loopback_address()
    advice = "a fleet shard listens on one socket for all addresses of its concentrators"
    value = reason or "one listener accepts for all of 127.0.0.0/8"
    return _graded("loopback addresses", reason is None, value, advice, Grade.MISSING)


def _clock() -> Finding:
    folder = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
    source = probes.read_text(folder) or "unknown"
    resolution_ns = time.get_clock_info("monotonic").resolution * 1e9
    slow = source in {"hpet", "acpi_pm", "jiffies"}
    value = f"{source}, resolution {resolution_ns:g} ns"
    return _graded("clock", not slow, value, "reading this clock is slow", Grade.LIMITED)


def _parts() -> Finding:
    try:
        found = part_versions()
    except metadata.PackageNotFoundError as error:
        return Finding("parts", Grade.MISSING, f"{error.name} is not installed", "make setup")
    value = ", ".join(f"{part} {number}" for part, number in found.items())
    new_enough = tuple(map(int, platform.python_version_tuple()[:2])) >= OLDEST_PYTHON
    wanted = f"Python {'.'.join(map(str, OLDEST_PYTHON))} or newer is needed"
    return _graded("parts", new_enough, value, wanted, Grade.MISSING)


def _namespaces() -> Finding:
    reason = probes.network_namespace()
    value = reason or "can be made without root"
    advice = "needed only for links that carry real packets, by those who are not root"
    return _graded("network namespaces", reason is None, value, advice, Grade.LIMITED)


def _links(tier: str) -> Finding:
    name = f'link = "{tier}"'
    if tier == "model":
        return Finding(name, Grade.GOOD, "works everywhere: a model in the fleet's processes")
    refused = probes.links(tier)
    if refused is None:
        return Finding(name, Grade.GOOD, WORKS[tier])
    reason, mend = refused
    return Finding(name, Grade.LIMITED, f"does not work: {reason}", mend)


def _leftovers() -> Finding:
    found = ", ".join(leftovers())
    advice = "meterstorm doctor --clean removes what runs that were killed have left"
    return _graded("left behind", not found, found or "nothing", advice, Grade.LIMITED)


def remove_leftovers() -> Sequence[str]:
    """Remove what runs that were killed have left here, and return what that was, a line each.

    Raises:
        EnvironmentUnfitError: this process may not.
    """
    found = leftovers()
    if found and not is_capable():
        raise EnvironmentUnfitError(f"{', '.join(found)}: only root may remove that")
    return clean() if found else ()


def _conntrack(concentrators: int) -> Finding:
    largest = probes.read_text("/proc/sys/net/netfilter/nf_conntrack_max")
    if largest is None:
        return Finding("connection tracking", Grade.GOOD, "off")
    count = int(probes.read_text("/proc/sys/net/netfilter/nf_conntrack_count") or 0)
    value = f"{count:,} of {int(largest):,} entries used"
    # A concentrator has a connection of its own and at most one to its listener.
    fits = int(largest) - count >= 2 * concentrators
    advice = "connections beyond that are dropped, and the run is inconclusive"
    return _graded("connection tracking", fits, value, advice, Grade.LIMITED)


def _postgresql() -> Finding:
    found = probes.program("postgres", places="usr/lib/postgresql/*/bin/postgres")
    advice = "needed only for tests with a PostgreSQL store (package postgresql)"
    return _graded("PostgreSQL server", found is not None, found or "none", advice, Grade.LIMITED)


def _chromium() -> Finding:
    found = probes.program("chromium", "chromium-browser", "google-chrome")
    advice = "needed only for tests of the report (package chromium)"
    return _graded("Chromium", found is not None, found or "none", advice, Grade.LIMITED)
