"""ANSI C12 through the codecs: EAX', tables, notification writes and C12.18 packets.

Real frames: what relays of the emulator send for their meters. Nothing is timed before every way
gave the same octets or the same values.
"""

from __future__ import annotations

from rich.console import Console

from tests.bench.c12 import eax_prime, notifications, packets, tables


def main() -> None:
    """Print the figures. Raises `AssertionError` when two ways disagree."""
    console = Console()
    for part in (eax_prime, tables, notifications, packets):
        part.main(console)
