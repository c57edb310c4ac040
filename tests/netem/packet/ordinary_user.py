"""Starts Python as an ordinary user, as far as the machine lets it.

Tests that run as root (in containers) go on as user 65534, if that user can read an interpreter of
this version; else they stay who they are. Either way the child is root only of its own namespaces.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any, Final

from netem import namespaces

ROOT: Final = Path(__file__).parents[3]
NOBODY: Final = 65_534
_NEEDED: Final = "import numpy, psutil, pydantic, pyroute2, trio"


def start_in_user_namespace(*arguments: str) -> subprocess.Popen[str]:
    """Start Python with ``arguments`` as root of a user namespace; its output is a pipe."""
    python, environment, user = _python()
    return subprocess.Popen(
        [python, "-I", str(namespaces.__file__), python, *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        **user,
    )


@cache
def _python() -> tuple[str, dict[str, str], dict[str, Any]]:
    """Return interpreter, environment and user."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    if os.geteuid() == 0:
        as_nobody = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        system = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
        for python in (sys.executable, system):
            if _can_run(python, environment, as_nobody):
                return python, environment, as_nobody
    return sys.executable, environment, {}


def _can_run(python: str, environment: dict[str, str], user: dict[str, Any]) -> bool:
    try:
        tried = subprocess.run(
            [python, "-c", _NEEDED],
            cwd=ROOT,
            env=environment,
            stderr=subprocess.DEVNULL,
            check=False,
            **user,
        )
    except PermissionError:
        return False
    return tried.returncode == 0
