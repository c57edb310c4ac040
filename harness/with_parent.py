"""A verb of the command line that ends when whoever started it does.

``python -m harness.with_parent run SCENARIO ...``: Linux sends the process SIGTERM when the thread
that started it ends (prctl(2), PR_SET_PDEATHSIG), however that happens; a run then drains and
reports, as after an interrupt. Arguments and exit status are those of ``meterstorm``.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Final

from harness.cli import main

PR_SET_PDEATHSIG: Final = 1
ORPHANED: Final = 1
"""Process id of the parent of orphans, where no subreaper takes them."""


def end_with_parent() -> None:
    """Have the kernel tell this process when its parent is gone; where it cannot, do nothing."""
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    except (OSError, AttributeError):
        return
    if os.getppid() == ORPHANED:
        # It was gone before we asked.
        os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    end_with_parent()
    sys.exit(main())
