"""Commands of ours run by somebody who is nobody: uid 65534, no capability, no home."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from tests.support.command_line import ROOT

NOBODY: Final = 65_534
BECOME: Final = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--")
PYTHON: Final = "python" + ".".join(map(str, sys.version_info[:2]))


@dataclass(frozen=True, slots=True)
class OrdinaryUser:
    """How to run Python as an ordinary user, with what the project needs."""

    command: tuple[str, ...]
    environment: dict[str, str]
    uid: int


@cache
def ordinary_user() -> OrdinaryUser | str:
    """Return how to run Python as an ordinary user, or why that does not work here.

    Root becomes nobody; an interpreter in root's home is none that nobody may start, so the
    system's own of the same version does then.
    """
    if os.geteuid() != 0:
        return OrdinaryUser((sys.executable,), {}, os.geteuid())
    if shutil.which("setpriv") is None:
        return "the setpriv command is missing (package util-linux)"
    packages = dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib"))
    environment = {
        "PYTHONPATH": os.pathsep.join([str(ROOT), *packages]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": "/",
    }
    for python in (sys.executable, f"/usr/bin/{PYTHON}"):
        # Through env: what setpriv itself executes is found with root's rights.
        command = (*BECOME, "env", python)
        if _runs(command, environment):
            return OrdinaryUser(command, environment, NOBODY)
    return f"nobody may start {sys.executable}, and there is no /usr/bin/{PYTHON} that would do"


@contextmanager
def folder_of(uid: int) -> Iterator[Path]:
    """Give a folder that ``uid`` owns, below folders it may pass through."""
    folder = Path(tempfile.mkdtemp(prefix="meterstorm-test-"))
    try:
        if os.geteuid() == 0:
            os.chown(folder, uid, uid)
        yield folder
    finally:
        shutil.rmtree(folder)


def _runs(command: tuple[str, ...], environment: dict[str, str]) -> bool:
    tried = subprocess.run(
        [*command, "-c", "import harness.cli, numpy, psutil, pyroute2"],
        env=os.environ | environment,
        cwd="/",
        capture_output=True,
        check=False,
    )
    return tried.returncode == 0
