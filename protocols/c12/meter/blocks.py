"""Load profile blocks (ST64) by the thousand: columns of readings to octets and back.

One block is one capture: its end time, what every register stood at, the interval's status, and for
every register by how much it rose since the capture before (or, where it does not count but
measures, the measure). Its place follows from its time alone: sequence number ``time // period``,
element ``sequence mod blocks`` of the circular list. So a pushed block and a pulled one are the
same octets at the same offset, whoever makes them, and nothing has to be counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from protocols.c12.meter.schema import MeterSchema
from protocols.c12.tables.interval_blocks import ChannelStatus, pack_status, unpack_status
from protocols.c12.tables.interval_blocks import block_layout as layout_of
from protocols.errors import CodecError
from protocols.lowering import FixedLayout
from protocols.readings import ReadingBatch

CODEC: Final = "ST64"


@dataclass(frozen=True, slots=True, eq=False)
class Captures:
    """What blocks hold, as columns of n rows: see `ReadingBatch`."""

    captured_at_s: NDArray[np.int64]
    status: NDArray[np.uint8]
    values: NDArray[np.uint32]


@lru_cache(maxsize=64)
def block_layout(schema: MeterSchema) -> FixedLayout:
    """Return the layout of one block."""
    return layout_of(schema.configuration, schema.dimensions).rows


def block_offsets(schema: MeterSchema, captured_at_s: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return at which octets of ST64 the blocks of capture times (n,) begin, (n,)."""
    elements = captured_at_s // schema.period_s % schema.settings.blocks
    return np.asarray(elements * block_layout(schema).size, np.int64)


def encode_blocks(
    schema: MeterSchema, readings: ReadingBatch, previous: NDArray[np.uint32] | None = None
) -> NDArray[np.uint8]:
    """Return the block of every reading, whichever meter's: (n, octets of a block) uint8.

    ``previous`` (n, registers) are the registers one period before; without them the rises are 0
    and every channel's status says that the interval is partial.

    Raises:
        CodecError: a status over 15, or a time that does not fit.
    """
    values = readings.values
    rises = np.zeros_like(values) if previous is None else values - previous
    channels = np.full(values.shape, _status(previous is None), np.uint8)
    status = pack_status(channels, readings.status)
    columns = {
        "end_time": readings.captured_at_s,
        "end_readings": {"value": values.astype(np.int64)},
        "intervals": {
            "status": status.view(f"V{status.shape[-1]}"),
            "data": np.where(schema.counts, rises, values)[:, None],
        },
    }
    return block_layout(schema).encode(columns, len(readings))


def decode_blocks(schema: MeterSchema, octets: bytes) -> Captures:
    """Return what whole blocks hold, in their order; those never filled (end time 0) left out.

    Raises:
        CodecError: not whole blocks, or a reading that is no unsigned 32-bit number.
    """
    layout = block_layout(schema)
    count, rest = divmod(len(octets), layout.size)
    if rest:
        raise CodecError(f"{rest} octets after {count} blocks", codec=CODEC, path="blocks")
    rows = layout.decode(octets, count)
    rows = rows[rows["end_time"] != 0]
    values = rows["end_readings"]["value"]
    if values.size and not 0 <= values.min() <= values.max() < 1 << 32:
        raise CodecError("a reading outside of 32 bits", codec=CODEC, path="end_readings")
    status = np.ascontiguousarray(rows["intervals"]["status"][:, 0]).view(np.uint8)
    _, common = unpack_status(status.reshape(len(rows), values.shape[1] // 2 + 1), values.shape[1])
    return Captures(rows["end_time"].astype(np.int64), common, values.astype(np.uint32))


def interval_data(schema: MeterSchema, octets: bytes) -> NDArray[np.uint32]:
    """Return what whole blocks say of their intervals alone, (n, registers)."""
    layout = block_layout(schema)
    rows = layout.decode(octets, len(octets) // layout.size)
    return np.asarray(rows["intervals"]["data"][:, 0], np.uint32)


def _status(unknown: bool) -> ChannelStatus:
    """Return a channel's status: partial where the capture before is not known."""
    return ChannelStatus.PARTIAL if unknown else ChannelStatus.NONE
