"""Asks gurux-dlms, in a process of its own (`gurux_push_judge`), what it makes of our octets."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

PROGRAM: Final = Path(__file__).with_name("gurux_push_judge.py")
TIMEOUT_S: Final = 60


def gurux_is_installed() -> bool:
    """Say whether the judge is there, without importing it."""
    return importlib.util.find_spec("gurux_dlms") is not None


def ask(operation: str, apdu: bytes, **more: object) -> dict[str, Any]:
    """Return gurux's answer; octets in ``more`` go as hexadecimal."""
    request = {"operation": operation, "apdu": apdu.hex()} | {
        name: value.hex() if isinstance(value, bytes) else value for name, value in more.items()
    }
    done = subprocess.run(
        [sys.executable, str(PROGRAM)],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
