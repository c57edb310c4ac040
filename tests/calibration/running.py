"""Runs a job where its tier can be had: here, in a network namespace, in a virtual machine."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from netem import namespaces
from netem.namespaces import NotCapableError, check_user_namespaces
from tests.calibration.exchanging import EXCHANGE_S
from tests.calibration.job import Job, Outcome
from tests.calibration.modelled import model_exchanges
from tests.support import kernel_vm

MEND_KERNEL: Final = "install the packages user-mode-linux and busybox-static"
_OVERHEAD_S: Final = 120.0
"""What booting, importing and building a lab may take beside the exchanges, on a busy machine."""


class TierError(Exception):
    """A tier cannot be had here, or a run of it failed; says why and what mends it."""


def run(job: Job) -> Outcome:
    """Do ``job`` and return what it measured; takes about `Job.length_s` of real time.

    Raises:
        TierError: see there.
    """
    outcome = model_exchanges(job) if job.tier == "model" else _run_elsewhere(job)
    for name, sample in outcome.samples.items():
        if not all(sample.times_s.values()):
            raise TierError(f"the {job.tier} tier finished no exchange of a size over {name}")
    return outcome


def _run_elsewhere(job: Job) -> Outcome:
    if job.tier == "packet":
        try:
            check_user_namespaces()
        except NotCapableError as error:
            raise TierError(str(error)) from error
    elif not kernel_vm.is_available():
        raise TierError(f"no kernel with netem; {MEND_KERNEL}")
    with tempfile.TemporaryDirectory(prefix="meterstorm-calibration-") as folder:
        return _run_child(job, Path(folder))


def _run_child(job: Job, folder: Path) -> Outcome:
    job_path, outcome_path = folder / "job", folder / "outcome"
    job.write(job_path)
    child = [sys.executable, "-m", "tests.calibration.exchanging", str(job_path), str(outcome_path)]
    limit_s = job.length_s + EXCHANGE_S + _OVERHEAD_S
    if job.tier == "packet":
        # A namespace of its own also where this is root: labs do not share one.
        command = [sys.executable, "-I", str(namespaces.__file__), *child]
    else:
        command = [str(kernel_vm.SCRIPT), "--rw", str(folder), "--timeout", f"{limit_s:.0f}"]
        command += ["--", *child]
    try:
        done = subprocess.run(
            command,
            cwd=kernel_vm.ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=limit_s + 30,
        )
    except subprocess.TimeoutExpired:
        raise TierError(f"the {job.tier} tier was not done within {limit_s:.0f} s") from None
    if done.returncode or not outcome_path.exists():
        said = (done.stderr or done.stdout)[-2_000:]
        raise TierError(f"the {job.tier} tier failed (exit code {done.returncode}): {said}")
    return Outcome.read(outcome_path)
