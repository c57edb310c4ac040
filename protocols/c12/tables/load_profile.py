"""A load profile as a device keeps it: ST61 to ST64 out of readings, and readings out of them.

`interval_blocks` makes blocks; here they find their place in the table, a list that fills up and
shifts (FIFO) or a circle that overwrites its oldest block, in either order, and ST63 says where the
newest one is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from protocols.c12.tables.configuration import Configuration
from protocols.c12.tables.decade_6 import LIST_STATUS
from protocols.c12.tables.dimensions import (
    ChannelSource,
    Dimensions,
    IntervalFormat,
    LoadProfile,
    LoadProfileControl,
    LoadProfileSet,
)
from protocols.c12.tables.interval_blocks import BlockLayout, Integers, Intervals, Octets
from protocols.c12.tables.registry import STANDARD_TABLES
from protocols.errors import CodecError

CODEC: Final = "load profile"


@dataclass(frozen=True, slots=True)
class ProfileStatus:
    """ST63 for one set. ``last_block_sequence`` is the number of the newest block, 0 the first."""

    valid_blocks: int
    last_block_element: int
    last_block_sequence: int
    valid_intervals: int
    unread_blocks: int = 0
    descending: bool = False
    overflow: bool = False
    circular: bool = True
    inhibit_overflow: bool = False
    intervals_descending: bool = False
    active: bool = True
    test_mode: bool = False

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> ProfileStatus:
        """Return one set of a parsed ST63."""
        numbers = {name: values[name] for name in _NUMBERS}
        return cls(**numbers, **{name: values["flags"][name] for name in LIST_STATUS})

    def values(self) -> dict[str, Any]:
        """Return the values that build one set of ST63."""
        flags = {name: getattr(self, name) for name in LIST_STATUS}
        return {"flags": flags, **{name: getattr(self, name) for name in _NUMBERS}}


_NUMBERS: Final = (
    "valid_blocks",
    "last_block_element",
    "last_block_sequence",
    "valid_intervals",
    "unread_blocks",
)


def load_profile_dimensions(
    one: LoadProfileSet,
    sources: tuple[ChannelSource, ...],
    interval_format: IntervalFormat,
    *,
    scalars: tuple[int, ...] = (),
    divisors: tuple[int, ...] = (),
    block_end_read: bool = True,
    block_end_pulse: bool = False,
    extended_status: bool = True,
    simple_status: bool = False,
    memory_octets: int = 0,
) -> Dimensions:
    """Return the dimensions of a device with load profile set 1 only (ST61 and ST62)."""
    profile = LoadProfile(
        memory_octets=memory_octets,
        block_end_read=block_end_read,
        block_end_pulse=block_end_pulse,
        scalars_and_divisors=frozenset({1}) if scalars else frozenset(),
        extended_status=extended_status,
        simple_status=simple_status,
        formats=frozenset({interval_format}),
        sets=(one, None, None, None),
    )
    control = LoadProfileControl(sources, interval_format, scalars, divisors)
    return Dimensions(load_profile=profile, load_profile_controls=(control, None, None, None))


def store_intervals(
    layout: BlockLayout,
    blocks: int,
    intervals: Intervals,
    before: Integers,
    like: ProfileStatus | None = None,
) -> tuple[ProfileStatus, Octets]:
    """Return ST63 and the table's octets, uint8 (m, blocks * size), for what m meters recorded.

    ``blocks`` is the table's room. The first interval opens a block; when there are more blocks
    than room, the oldest are overwritten. ``like`` gives the order, the flags, the unread blocks
    and, as its ``last_block_sequence``, the number of the first block. Raises `CodecError`.
    """
    like = like or ProfileStatus(0, 0, 0, 0)
    packed = layout.pack(intervals, before)
    made = packed.shape[1]
    kept = min(made, blocks)
    first = like.last_block_sequence
    status = replace(
        like,
        valid_blocks=kept,
        last_block_element=_last_element(like, first + made - 1, kept, blocks),
        last_block_sequence=first + made - 1,
        valid_intervals=(intervals.values.shape[1] - 1) % layout.intervals + 1,
        overflow=like.overflow or like.unread_blocks > blocks,
        unread_blocks=min(like.unread_blocks, kept),
    )
    table = np.zeros((len(packed), blocks, layout.size), np.uint8)
    table[:, elements(status, blocks)] = _turned(layout, packed[:, made - kept :], status)
    return status, table.reshape(len(packed), -1)


def load_intervals(
    layout: BlockLayout,
    table: Octets,
    status: ProfileStatus,
    before: Integers | None = None,
) -> Intervals:
    """Return what the tables of m meters, uint8 (m, blocks * size), hold, oldest first.

    All meters share ``status``. ``before`` is as in `BlockLayout.unpack`. Raises `CodecError`.
    """
    blocks = table.shape[1] // layout.size
    if table.shape[1] != blocks * layout.size:
        message = f"{table.shape[1]} octets are not blocks of {layout.size}"
        raise CodecError(message, codec=CODEC)
    if not 1 <= status.valid_blocks <= blocks or status.last_block_element >= blocks:
        raise CodecError(f"no such blocks in a table of {blocks}", codec=CODEC)
    rows = table.reshape(len(table), blocks, layout.size)[:, elements(status, blocks)]
    return layout.unpack(_turned(layout, rows, status), status.valid_intervals, before)


def elements(status: ProfileStatus, blocks: int) -> Integers:
    """Return the array elements of the valid blocks, oldest first."""
    age = np.arange(status.valid_blocks)[::-1]
    step = 1 if status.descending else -1
    return np.asarray((status.last_block_element + step * age) % blocks, np.int64)


def encode_status(sets: Mapping[int, ProfileStatus], configuration: Configuration) -> bytes:
    """Return ST63 of the sets by number."""
    values = {f"set_{number}": status.values() for number, status in sets.items()}
    return STANDARD_TABLES.encode(63, values, configuration)


def decode_status(data: bytes, configuration: Configuration) -> dict[int, ProfileStatus]:
    """Return the sets of ST63 by number. Raises `CodecError`."""
    values = STANDARD_TABLES.decode(63, data, configuration)
    return {
        number: ProfileStatus.from_values(values[f"set_{number}"])
        for number in range(1, 5)
        if f"set_{number}" in values
    }


def _last_element(like: ProfileStatus, sequence: int, kept: int, blocks: int) -> int:
    """Return where the newest block lies.

    In a circle, by its number; in a list that shifts, at its end, which is the front if descending.
    """
    if like.circular:
        return (-1 - sequence) % blocks if like.descending else sequence % blocks
    return 0 if like.descending else kept - 1


def _turned(layout: BlockLayout, blocks: Octets, status: ProfileStatus) -> Octets:
    """Return the blocks with their intervals the other way round, if ST63 says descending.

    The newest valid interval then comes first, also in a partial block.
    """
    if not status.intervals_descending:
        return blocks
    turned = blocks.copy()
    size = layout.rows.dtype["intervals"].base.itemsize
    head = layout.size - layout.intervals * size
    whole = turned[..., head:].reshape(*blocks.shape[:2], layout.intervals, size)
    whole[:, :-1] = whole[:, :-1, ::-1]
    valid = status.valid_intervals
    whole[:, -1, :valid] = whole[:, -1, :valid][:, ::-1].copy()
    turned[..., head:] = whole.reshape(*blocks.shape[:2], -1)
    return turned
