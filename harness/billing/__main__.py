"""The process of the billing back end: ``python -m harness.billing CONFIG``.

It lives as `harness.api.serving` says. Killed at any time, it goes on where it was.

Exit status: 0 stopped; 4 cannot start, the last line of the log says why; anything else is our
mistake.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from contextlib import closing, suppress
from pathlib import Path

from structlog import get_logger

from emulator.logs import log_to_stderr
from harness.api import serving
from harness.billing.api.app import application
from harness.billing.config import BillingConfig
from harness.billing.errors import BillingError
from harness.billing.service import BillingService
from harness.errors import ExitCode
from harness.headend.api.config import read_token
from harness.headend.api.exporting import make_room
from harness.store.errors import StoreError

log = get_logger(__name__)


async def serve(config: BillingConfig, token: str, listener: socket.socket) -> None:
    """Serve until a signal comes or standard input ends.

    Raises what `BillingService` raises when it cannot start.
    """
    with closing(BillingService(config)) as service:
        keeping = asyncio.create_task(service.keep())
        serving_api = asyncio.create_task(serving.serve(application(service, token), listener))
        # Whichever ends first ends the process; that keeping ends is our mistake, and is loud.
        await asyncio.wait((keeping, serving_api), return_when=asyncio.FIRST_COMPLETED)
        for task in (keeping, serving_api):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    log.info("stopped")


def main() -> None:
    """Run billing whose configuration file is named on the command line."""
    log_to_stderr()
    try:
        config = BillingConfig.model_validate_json(Path(sys.argv[1]).read_bytes())
        token = read_token(config.token_file)
        make_room(config.folder)
        with serving.bound(config.host, config.port) as listener:
            asyncio.run(serve(config, token, listener))
    except (BillingError, StoreError, OSError, LookupError, TypeError, ValueError) as error:
        log.critical("billing ends", error=str(error), kind=type(error).__name__)
        sys.exit(ExitCode.ENVIRONMENT)


if __name__ == "__main__":
    main()
