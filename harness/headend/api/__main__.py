"""The process of the HTTP API: ``python -m harness.headend.api CONFIG``.

It lives as `harness.api.serving` says.

Exit status: 0 stopped; 4 cannot start, the last line of the log says why; anything else is our
mistake.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

from structlog import get_logger

from emulator.logs import log_to_stderr
from harness.api import serving
from harness.errors import ExitCode
from harness.headend.api.app import application
from harness.headend.api.config import ApiConfig, read_token
from harness.headend.api.directory import Directory
from harness.headend.api.exporting import make_room
from harness.headend.api.shards import HeadEnd

log = get_logger(__name__)


async def serve(config: ApiConfig, token: str, listener: socket.socket) -> None:
    """Serve the API on ``listener`` until a signal comes or standard input ends.

    Raises `OSError`, `KeyError`, `TypeError` or `ValueError` when provisioning cannot be read.
    """
    directory = Directory.load(config.provisioning, len(config.control_sockets))
    await serving.serve(application(HeadEnd(config, directory), token), listener)
    log.info("stopped")


def main() -> None:
    """Run the API whose configuration file is named on the command line."""
    log_to_stderr()
    try:
        config = ApiConfig.model_validate_json(Path(sys.argv[1]).read_bytes())
        token = read_token(config.token_file)
        make_room(config.exports)
        with serving.bound(config.host, config.port) as listener:
            asyncio.run(serve(config, token, listener))
    except (OSError, KeyError, TypeError, ValueError) as error:
        log.critical("API ends", error=str(error), kind=type(error).__name__)
        sys.exit(ExitCode.ENVIRONMENT)


if __name__ == "__main__":
    main()
