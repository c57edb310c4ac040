"""Meters that are nodes of their own: what each is called on the wire, and its keys.

In ANSI C12.22 a meter is a node of the network: messages are from it and to it, under its key,
whoever carries them. The file ``nodes.csv`` has one line a meter, in order of their numbers.
"""

from __future__ import annotations

import csv
import os
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, Final

from emulator.dialects import Dialects
from emulator.grid import Grid
from emulator.identity import concentrator_name, meter_names
from emulator.keys import KeyRing
from protocols.plugin import Credentials

FIELDS: Final = (
    "meter",
    "name",
    "title",
    "behind",
    "encryption_key",
    "authentication_key",
    "secret",
)


@dataclass(frozen=True)
class ProvisionedNodes:
    """All such meters, in order of their numbers.

    ``meters`` are numbers in the whole grid, ascending; ``lines`` the fields of each, keys among
    them, which ``repr`` does not show.
    """

    meters: Sequence[int]
    lines: Sequence[Sequence[str]] = field(repr=False)

    @classmethod
    def load(cls, path: Path) -> ProvisionedNodes:
        """Read what `write_nodes` wrote; no file, no nodes. Raises `OSError` or `ValueError`."""
        if not path.exists():
            return NO_NODES
        with path.open(newline="") as file:
            rows = csv.reader(file)
            next(rows, None)
            lines = [row for row in rows if row]
        return cls([int(line[0]) for line in lines], lines)

    @cached_property
    def by_title(self) -> dict[bytes, int]:
        """The place of each node, by what it is called on the wire."""
        return {bytes.fromhex(line[2]): place for place, line in enumerate(self.lines)}

    def credentials(self, place: int) -> Credentials:
        """Return what the node at that place and the head-end share."""
        _, name, *octets = self.lines[place]
        title, behind, encryption, authentication, secret = map(bytes.fromhex, octets)
        return Credentials(
            title, encryption, authentication, secret, name=name.encode(), behind=behind
        )

    def behind(self, first_meter: int, meters: int) -> NodesBehind:
        """Return those of a concentrator's meters."""
        start = bisect_left(self.meters, first_meter)
        return NodesBehind(self, range(start, bisect_left(self.meters, first_meter + meters)))


NO_NODES: Final = ProvisionedNodes((), ())


@dataclass(frozen=True, slots=True)
class NodesBehind:
    """The nodes behind one concentrator; `protocols.plugin.Members`."""

    nodes: ProvisionedNodes
    places: range

    def __len__(self) -> int:
        """The number of nodes."""
        return len(self.places)

    def __getitem__(self, meter: int, /) -> Credentials:
        """Return what a meter and the head-end share. Raises `IndexError`."""
        return self.nodes.credentials(self.places[meter])

    def __iter__(self) -> Iterator[Credentials]:
        """Go through them in order."""
        return map(self.nodes.credentials, self.places)


def write_nodes(file: IO[str], grid: Grid, dialects: Dialects, keys: KeyRing) -> None:
    """Write the nodes of a grid. Raises `KeyFileError`: the key file lacks a meter."""
    writer = csv.writer(file)
    writer.writerow(FIELDS)
    for number in range(grid.concentrators):
        plugin = dialects.plugin(number)
        if not plugin.has_nodes:
            continue
        relay, meters = plugin.title_of(concentrator_name(number)), grid.meters_of(number)
        for meter, name in zip(
            meters, meter_names(meters.start, meters.stop).tolist(), strict=True
        ):
            item = keys.of(name, plugin.title_of(name))
            octets = (
                item.system_title,
                relay,
                item.encryption_key,
                item.authentication_key,
                item.secret,
            )
            writer.writerow((meter, name.decode(), *(part.hex() for part in octets)))


def private_file(path: Path) -> IO[str]:
    """Open a file to write that only its owner may read. Raises `OSError`."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    # The mode above counts for new files only; a file that was there may be open to others.
    os.fchmod(descriptor, 0o600)
    return os.fdopen(descriptor, "w", newline="")
