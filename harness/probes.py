"""Small experiments that tell what this machine lets an ordinary process do.

Nothing outlives its probe, and nothing outside a throw-away namespace is changed.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Final

PROBE_TIMEOUT_S: Final = 20.0
LINKS_TIMEOUT_S: Final = 60.0
ANY_LOOPBACK: Final = "127.9.8.7"


def read_text(path: str) -> str | None:
    """Return the stripped text of a file of the kernel, or None where there is none."""
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return None


def any_loopback_address() -> str | None:
    """Return why one listener cannot serve all of 127.0.0.0/8, or None when it can."""
    try:
        with socket.socket() as listener, socket.socket() as caller:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
            listener.bind(("0.0.0.0", 0))
            listener.listen(1)
            caller.settimeout(5)
            caller.connect((ANY_LOOPBACK, listener.getsockname()[1]))
            accepted, _ = listener.accept()
            with accepted:
                named = accepted.getsockname()[0]
    except OSError as error:
        return str(error)
    return None if named == ANY_LOOPBACK else f"{ANY_LOOPBACK} was accepted as {named}"


def network_namespace() -> str | None:
    """Return why no network namespace can be made, or None when one can."""
    return _in_namespaces(["true"])


def links(tier: str) -> tuple[str, str] | None:
    """Return why links of ``tier`` do not work here, and what mends it; None: they do."""
    command = [sys.executable, "-m", "harness.lab_probe", tier]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=LINKS_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {LINKS_TIMEOUT_S:g} s", "look at the kernel's log"
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        return last, "this is a mistake in Meterstorm; please report it"
    told = json.loads(done.stdout or "null")
    return None if told is None else (told["reason"], told["mend"])


def _in_namespaces(command: list[str]) -> str | None:
    unshare = shutil.which("unshare")
    if unshare is None:
        return "the unshare command is missing (package util-linux)"
    try:
        done = subprocess.run(
            [unshare, "--user", "--map-root-user", "--net", *command],
            capture_output=True,
            text=True,
            timeout=PROBE_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {PROBE_TIMEOUT_S:g} s"
    if done.returncode == 0:
        return None
    return (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]


def program(*names: str, places: str = "") -> str | None:
    """Return the first of the programs found on the path, or by the pattern ``places``."""
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None and places:
        found = next((str(path) for path in sorted(Path("/").glob(places))[::-1]), None)
    return found
