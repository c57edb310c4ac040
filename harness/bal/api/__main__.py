"""The process of the HTTP API of a battery layer: ``python -m harness.bal.api CONFIG``.

It lives as `harness.api.serving` says.

Exit status: 0 stopped; 4 cannot start, the last line of the log says why; anything else is our
mistake.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Final

from structlog import get_logger

from emulator.descriptors import raise_descriptor_limit
from emulator.logs import log_to_stderr
from harness.api import serving
from harness.api.asking import ControlClient
from harness.bal.api.app import application
from harness.bal.api.config import BalApiConfig
from harness.errors import ExitCode
from harness.headend.api.config import read_token

QUESTIONS_MAX: Final = 8_000
"""Questions that wait for batteries do not keep the layer from others."""
log = get_logger(__name__)


def main() -> None:
    """Run the API whose configuration file is named on the command line."""
    log_to_stderr()
    raise_descriptor_limit()
    try:
        config = BalApiConfig.model_validate_json(Path(sys.argv[1]).read_bytes())
        token = read_token(config.token_file)
        layer = ControlClient("battery layer", config.control_socket, QUESTIONS_MAX)
        with serving.bound(config.host, config.port) as listener:
            asyncio.run(serving.serve(application(layer, token), listener, QUESTIONS_MAX))
    except (OSError, ValueError) as error:
        log.critical("API ends", error=str(error), kind=type(error).__name__)
        sys.exit(ExitCode.ENVIRONMENT)
    log.info("stopped")


if __name__ == "__main__":
    main()
