"""Which runs make a calibration, and doing them two at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from typing import Final

from tests.calibration import running
from tests.calibration.job import Job, Order, Outcome, Tier

AT_ONCE: Final = 2
"""Processors that a calibration asks for."""
MODEL_CLIENTS: Final = 3_000
"""The model's own chance is to be nothing beside the kernel's."""
ORDERS: Final[tuple[Order, ...]] = ("netem", "link")


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured: two runs of the kernel, and the tiers to be compared with them."""

    kernel: tuple[Outcome, Outcome]
    others: Mapping[tuple[Tier, Order], Outcome]


def measure(job: Job, tell: Callable[[str], None]) -> Measured:
    """Do all runs that ``job``, whose tier and order do not count, asks for.

    Args:
        job: profiles, clients and so on of every run but the model's, which has more clients.
        tell: called with a line whenever something is done.

    Raises:
        running.TierError: a tier cannot be had.
    """
    model = replace(job, tier="model", clients=max(job.clients, MODEL_CLIENTS))
    modelled = [replace(model, order=order) for order in ORDERS]
    # A machine of its own for each profile and run: one processor is all that it has.
    kernel = [
        replace(job, tier="kernel", order="netem", profiles=(name,), seed=job.seed + run)
        for name in job.profiles
        for run in (0, 1)
    ]
    packet = [replace(job, tier="packet", order=order) for order in ORDERS]
    done = dict(_do(kernel, tell))
    done |= dict(_do(packet, tell))
    done |= dict(_do(modelled, tell))
    return Measured(
        kernel=(
            _together(done[one] for one in kernel[::2]),
            _together(done[one] for one in kernel[1::2]),
        ),
        others={(one.tier, one.order): done[one] for one in (*modelled, *packet)},
    )


def _do(jobs: Iterable[Job], tell: Callable[[str], None]) -> Iterable[tuple[Job, Outcome]]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        waiting = {pool.submit(running.run, job): job for job in jobs}
        try:
            for one in as_completed(waiting):
                job = waiting[one]
                yield job, one.result()
                tell(f"{job.tier}, {job.order} order: {', '.join(job.profiles)}")
        finally:
            pool.shutdown(cancel_futures=True)


def _together(outcomes: Iterable[Outcome]) -> Outcome:
    made = Outcome({})
    for outcome in outcomes:
        made.samples |= outcome.samples
        made.notes += outcome.notes
    return made
