"""Conducting a run in a child process: bounded in time, drained when interrupted, never left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import BinaryIO, Final

from harness.pytest_plugin.orders import Order
from harness.pytest_plugin.run import MeterstormRun, RunNotMadeError

INCONCLUSIVE: Final = 2
DRAINS_WITHIN_S: Final = 120.0
"""Wall seconds that a run gets to drain and to report once it is told to."""
STOPS_WITHIN_S: Final = 30.0
OUTPUT: Final = "output.txt"
LATEST: Final = "latest"
EXPORTED: Final = "provisioning/head-end.json"
"""Written last of what is exported before anything is started."""
POLL_S: Final = 0.05


def conduct(order: Order, *, test: str) -> MeterstormRun:
    """Make a run, again while it proves nothing and there are tries left; return the last one.

    Args:
        order: what to run.
        test: the node of the test, for whoever wants to repeat it.

    Raises:
        RunNotMadeError: there is no verdict: a wrong scenario, an unfit machine, our mistake.

    Whatever interrupts it (Ctrl-C, the timeout of another plugin) is raised on once the run has
    drained; the second Ctrl-C stops the run at once.
    """
    for left in reversed(range(order.tries)):
        out = _new_folder(order.out)
        status, late = _run(order, out)
        if left and status == INCONCLUSIVE:
            continue
        return _result(order, out, status, late=late, test=test)
    raise AssertionError("a run is tried once at least")


def _new_folder(wanted: Path) -> Path:
    """Make a folder of our own: others may run the same test into the same place."""
    wanted.parent.mkdir(parents=True, exist_ok=True)
    for number in range(1, 100_000):
        folder = wanted if number == 1 else wanted.with_name(f"{wanted.name}.{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise RunNotMadeError(f"{wanted}: too many runs of one name")


def _run(order: Order, out: Path) -> tuple[int, bool]:
    """Return the exit status, and whether the run took too long."""
    with (out / OUTPUT).open("wb") as output:
        process = _start("harness.with_parent", *order.words(out), output=output)
        try:
            deadline = time.monotonic() + order.timeout_s
            if order.provision is not None and _is_provisioned(process, out, deadline):
                order.provision((out / LATEST).resolve())
            return process.wait(max(0.0, deadline - time.monotonic())), False
        except subprocess.TimeoutExpired:
            return _wind_down(process), True
        except BaseException:
            _wind_down(process)
            raise


def _is_provisioned(process: subprocess.Popen[bytes], out: Path, deadline: float) -> bool:
    """Wait until a run has exported its devices; false when it ended or took too long before."""
    while not _is_whole(out / LATEST / EXPORTED):
        if process.poll() is not None or time.monotonic() >= deadline:
            return False
        time.sleep(POLL_S)
    return True


def _is_whole(exported: Path) -> bool:
    return exported.is_file() and exported.read_bytes().endswith(b"}\n")


def _start(module: str, *words: str, output: BinaryIO) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", module, *words],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        # Ctrl-C is for the process that runs the tests, which then lets the run drain.
        start_new_session=True,
        env=os.environ | {"NO_COLOR": "1", "COLUMNS": "120"},
    )


def _wind_down(process: subprocess.Popen[bytes]) -> int:
    """Let a run drain; at the next interrupt, or when that takes too long, stop it."""
    for patience_s in (DRAINS_WITHIN_S, STOPS_WITHIN_S):
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            return process.wait(patience_s)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            continue
    # Its own children end when it does.
    process.kill()
    return process.wait()


def _result(order: Order, out: Path, status: int, *, late: bool, test: str) -> MeterstormRun:
    latest = out / LATEST
    if not latest.exists() or not (latest / "verdict.json").is_file():
        said = (out / OUTPUT).read_text(errors="replace").strip()
        words = " ".join(order.words(out))
        late_words = f" after {order.timeout_s:g} s" if late else ""
        raise RunNotMadeError(f"meterstorm {words}\nexit status {status}{late_words}\n{said}")
    return MeterstormRun(
        path=latest.resolve(),
        exit_status=status,
        command=("meterstorm", *order.words(out.parent)),
        test=test,
        timed_out_s=order.timeout_s if late else None,
        replay=order.replay,
        skip_inconclusive=order.skip_inconclusive,
    )
