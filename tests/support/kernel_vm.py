"""Tests that run under a kernel of their own, and are reported as if they had run here.

One virtual machine (`kernel_vm.sh`) is started for all tests marked ``in_kernel``; a second pytest
in it runs them and writes its reports down, and the pytest outside passes them on test by test.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[2]
SCRIPT: Final = Path(__file__).with_name("kernel_vm.sh")
RESULTS: Final = "KERNEL_VM_RESULTS"
"""Environment variable: where the pytest inside writes reports; set means that we are inside."""
TIMEOUT_S: Final = 400
WRONG: Final = pytest.StashKey[str]()
"""Why a test could not run inside."""


def is_inside() -> bool:
    """Return whether this is the pytest in the virtual machine."""
    return RESULTS in os.environ


def is_available() -> bool:
    """Return whether virtual machines can be started here."""
    return shutil.which("linux.uml") is not None and shutil.which("busybox") is not None


def write_down(config: pytest.Config, report: pytest.TestReport) -> None:
    """Inside: add ``report`` to the results."""
    data = config.hook.pytest_report_to_serializable(config=config, report=report)
    with Path(os.environ[RESULTS]).open("a", encoding="utf-8") as results:
        results.write(json.dumps({"id": report.nodeid, "report": data}) + "\n")


def results(folder: Path, nodeids: Iterable[str]) -> Mapping[str, Any]:
    """Outside: return what the machine has to tell; the first caller on ``folder`` starts it.

    Returns:
        ``reports`` by test, and ``said``, what the pytest inside printed.
    """
    stored = folder / "kernel-vm.json"
    with (folder / "kernel-vm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stored.exists():
            stored.write_text(json.dumps(_run(folder / "kernel-vm", nodeids)), encoding="utf-8")
    answer: Mapping[str, Any] = json.loads(stored.read_text(encoding="utf-8"))
    return answer


def _run(folder: Path, nodeids: Iterable[str]) -> Mapping[str, Any]:
    folder.mkdir(exist_ok=True)
    written = folder / "results"
    command = [str(SCRIPT), "--rw", str(folder), "--timeout", str(TIMEOUT_S), "--"]
    command += [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "-q"]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")
    }
    child = subprocess.run(
        [*command, *nodeids],
        cwd=ROOT,
        env=environment | {RESULTS: str(written)},
        capture_output=True,
        text=True,
        check=False,
    )
    reports: dict[str, list[Any]] = {}
    if written.exists():
        for line in written.read_text(encoding="utf-8").splitlines():
            one = json.loads(line)
            reports.setdefault(one["id"], []).append(one["report"])
    said = f"exit code {child.returncode}\n{child.stdout[-4000:]}\n{child.stderr[-4000:]}"
    return {"reports": reports, "said": said}


def replay(item: pytest.Item, folder: Path) -> bool:
    """Outside: report how ``item`` fared inside; False, with the reason kept, if it did not run."""
    nodeids = [one.nodeid for one in item.session.items if one.get_closest_marker("in_kernel")]
    answer = results(folder, nodeids)
    reports = answer["reports"].get(item.nodeid, [])
    if not any(report.get("when") == "teardown" for report in reports):
        item.stash[WRONG] = f"the virtual machine did not finish this test: {answer['said']}"
        return False
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for data in reports:
        report = item.config.hook.pytest_report_from_serializable(config=item.config, data=data)
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
