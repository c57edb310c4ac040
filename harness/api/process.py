"""Starting the process of an HTTP API: ``python -m PACKAGE CONFIG``. It lives as `serving` says.

Exit status: 0 stopped; 4 cannot start, the last line of the log says why; anything else is our
mistake.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TypeVar

from structlog import get_logger

from emulator.logs import log_to_stderr
from harness.api.config import ListeningConfig, read_token
from harness.api.serving import bound
from harness.errors import ExitCode

ConfigT = TypeVar("ConfigT", bound=ListeningConfig)
Serve = Callable[[ConfigT, str, socket.socket], Coroutine[None, None, None]]
log = get_logger(__name__)


def run(name: str, kind: type[ConfigT], serve: Serve[ConfigT], *refusals: type[Exception]) -> None:
    """Run the process whose configuration file is named on the command line.

    Args:
        name: what ends, in the log.
        kind: of the configuration.
        serve: told the configuration, the token and what it listens with; ends when told to.
        refusals: what else than `OSError` and `ValueError` ``serve`` raises when it cannot start.
    """
    log_to_stderr()
    expected: tuple[type[Exception], ...] = (OSError, ValueError, *refusals)
    try:
        config = kind.model_validate_json(Path(sys.argv[1]).read_bytes())
        token = read_token(config.token_file)
        with bound(config.host, config.port) as listener:
            asyncio.run(serve(config, token, listener))
    except expected as error:
        ended = f"{name} ends"
        log.critical(ended, error=str(error), kind=type(error).__name__)
        sys.exit(ExitCode.ENVIRONMENT)
    log.info("stopped")
