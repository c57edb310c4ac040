"""``python -m netem.packet CONTROL FLEET HEAD_END``: descriptors of inherited sockets."""

from __future__ import annotations

import os
import sys

from netem.packet.loop import run_emulator


def _low(descriptor: int) -> int:
    """Return a duplicate with a low number, which `select.select` needs; the old one is closed."""
    duplicate = os.dup(descriptor)
    os.close(descriptor)
    return duplicate


if __name__ == "__main__":
    control, fleet, head_end = (_low(int(argument)) for argument in sys.argv[1:])
    run_emulator(control, fleet, head_end)
