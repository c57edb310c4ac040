"""What a session of tests leaves on the machine: processes, interfaces, disciplines, tables.

Every process that a test starts inherits a mark in its environment, however deep down it is
started, so those that outlive the session are found in /proc. The network is compared with what
it was before: a shared machine may have interfaces of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import psutil
from pyroute2 import IPRoute

MARK: Final = "METERSTORM_TEST_SESSION"
NAMED_NAMESPACES: Final = Path("/run/netns")
PATIENCE_S: Final = 5.0
"""Real seconds that processes have to end: a child notices the end of its parent by itself."""


def mark_session() -> str:
    """Mark this process and all it will start; return the mark."""
    mark = f"{os.getpid()}-{time.time_ns()}"
    os.environ[MARK] = mark
    return mark


def processes(mark: str, but: int) -> list[str]:
    """Return the processes that bear ``mark``, in words, but for ``but`` and those above it."""
    wanted = f"{MARK}={mark}".encode()
    spared = {but, *(parent.pid for parent in psutil.Process(but).parents())}
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if int(folder.name) in spared or wanted not in _words(folder / "environ"):
                continue
            command = b" ".join(_words(folder / "cmdline")).decode(errors="replace")
        except OSError:
            continue  # it has ended, or it is somebody else's
        found.append(f"process {folder.name}: {command.strip()[:200]}")
    return sorted(found)


def _words(path: Path) -> list[bytes]:
    return path.read_bytes().split(b"\0")


def network() -> set[str]:
    """Return what of the network a test could leave behind, in words."""
    found = set()
    if NAMED_NAMESPACES.is_dir():
        found |= {f"namespace {path.name}" for path in NAMED_NAMESPACES.iterdir()}
    with IPRoute() as route:
        names = {link["index"]: link.get_attr("IFLA_IFNAME") for link in route.get_links()}
        found |= {f"interface {name}" for name in names.values()}
        for rule in route.get_qdiscs():
            where = names.get(rule["index"], rule["index"])
            found.add(f"queueing discipline {rule.get_attr('TCA_KIND')} on {where}")
    nft = shutil.which("nft", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if nft is not None:
        listed = subprocess.run([nft, "list", "tables"], capture_output=True, check=False)
        found |= {f"nft {line}" for line in listed.stdout.decode().splitlines()}
    return found


def left_behind(
    mark: str,
    before: set[str],
    *,
    but: int,
    patience_s: float = PATIENCE_S,
    wait: Callable[[float], None] = time.sleep,
) -> list[str]:
    """Return what bears ``mark`` or was not there ``before``; empty where all is as it was.

    Args:
        mark: of `mark_session`.
        before: what `network` said when the session began.
        but: a process that may live on, and those above it: the session itself.
        patience_s: how long processes that are about to end may take.
        wait: passes a while.
    """
    deadline_s = time.monotonic() + patience_s
    while (found := [*processes(mark, but), *sorted(network() - before)]) and (
        time.monotonic() < deadline_s
    ):
        wait(0.1)
    return found
