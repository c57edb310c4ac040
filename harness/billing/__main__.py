"""The process of the billing back end: ``python -m harness.billing CONFIG``.

It is an `harness.api.process`. Killed at any time, it goes on where it was.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import closing, suppress

from harness.api import process, serving
from harness.api.exports import make_room
from harness.billing.api.app import application
from harness.billing.config import BillingConfig
from harness.billing.errors import BillingError
from harness.billing.service import BillingService
from harness.store.errors import StoreError


async def serve(config: BillingConfig, token: str, listener: socket.socket) -> None:
    """Serve until a signal comes or standard input ends.

    Raises what `BillingService` raises when it cannot start.
    """
    make_room(config.folder)
    with closing(BillingService(config)) as service:
        keeping = asyncio.create_task(service.keep())
        serving_api = asyncio.create_task(serving.serve(application(service, token), listener))
        # Whichever ends first ends the process; that keeping ends is our mistake, and is loud.
        await asyncio.wait((keeping, serving_api), return_when=asyncio.FIRST_COMPLETED)
        for task in (keeping, serving_api):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


if __name__ == "__main__":
    process.run("billing", BillingConfig, serve, BillingError, StoreError, LookupError, TypeError)
