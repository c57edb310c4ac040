"""The kernel tier: links made of the kernel's own netem and HTB, through pyroute2.

Real IP packets, real TCP, and the kernel's own losses, delays and queues. Needs the right to have
network namespaces (root, or a user namespace: `netem.namespaces.become_capable`) and a kernel with
``sch_netem``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import trio

from netem import cables
from netem.kernel.lab import KernelLab
from netem.lab import Lab, LabPlan
from netem.namespaces import Namespace

__all__ = ["KernelLab", "clean", "leftovers", "open_kernel_lab"]


@asynccontextmanager
async def open_kernel_lab(plan: LabPlan) -> AsyncIterator[Lab]:
    """Give an open lab, and take it down at the end of the block, however that comes.

    Cancellation: nothing is left, also when it comes while the lab is being built.

    Raises:
        LabError: this process may not, or this kernel cannot.
    """
    lab = KernelLab(plan)
    try:
        # A thread is not interrupted by a cancellation: it comes at the next await.
        await trio.to_thread.run_sync(lab.build)
        yield lab
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(lab.destroy)


def leftovers() -> Sequence[str]:
    """Return what runs that were killed have left in this namespace, a line each.

    There should be nothing: a lab ends with the processes in it. Only a fleet shard that has
    outlived its run keeps a cable here.
    """
    with Namespace.current() as here:
        return [f"interface {name}" for name in cables.abandoned(here)]


def clean() -> Sequence[str]:
    """Remove what `leftovers` finds, and return what was removed.

    Raises:
        pyroute2.NetlinkError: this process may not.
    """
    with Namespace.current() as here:
        found = cables.abandoned(here)
        for name in found:
            with suppress(LookupError):
                cables.remove_cable(cables.End(here, name, ""))
    return [f"interface {name}" for name in found]
