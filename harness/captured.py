"""The captures of a run, also of one that goes on: what is whole of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from protocols.pcapng import Packet, blocks, read

FOLDER: Final = "captures"


def captured(run: Path) -> Iterator[tuple[Path, list[Packet]]]:
    """Yield each capture of a run with its packets, in the order in which they crossed."""
    for file in sorted((run / FOLDER).glob("*.pcapng")):
        yield file, read(whole_blocks(file.read_bytes()))


def whole_blocks(octets: bytes) -> bytes:
    """Return a capture without a block that is still being written."""
    return b"".join(block for _, block in blocks(octets))
