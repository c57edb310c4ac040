"""ST63 of many meters at once, and of one: how their load profiles stand."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from protocols.c12.meter.schema import MeterSchema
from protocols.c12.tables.load_profile import ProfileStatus
from protocols.lowering import FixedLayout, lower_to_dtype

STATUS: Final = 63
SEQUENCES: Final = 1 << 32
SET: Final = "set_1"


@lru_cache(maxsize=64)
def status_layout(schema: MeterSchema) -> FixedLayout:
    """Return the layout of ST63."""
    return lower_to_dtype(schema.declaration(STATUS, columns=True), f"ST{STATUS}")


def encode_statuses(
    schema: MeterSchema, newest_s: NDArray[np.int64], oldest_s: int
) -> Sequence[bytes]:
    """Return ST63 of meters whose newest captures are of ``newest_s`` (n,), below 0 for none.

    ``oldest_s`` is the oldest capture that can be there. Nobody has reset or read anything.
    """
    there = newest_s >= 0
    period_s, blocks = schema.period_s, schema.settings.blocks
    first_s = np.maximum(oldest_s, newest_s - (blocks - 1) * period_s)
    held = np.where(there, (newest_s - first_s) // period_s + 1, 0)
    sequence = np.where(there, newest_s // period_s, 0)
    columns = {
        "flags": _flags(schema),
        "valid_blocks": held,
        "last_block_element": sequence % blocks,
        "last_block_sequence": sequence % SEQUENCES,
        "unread_blocks": held,
        "valid_intervals": there.astype(np.uint16),
    }
    octets = status_layout(schema).encode({SET: columns}, len(newest_s)).tobytes()
    size = status_layout(schema).size
    return [octets[at : at + size] for at in range(0, len(octets), size)]


def encode_status(schema: MeterSchema, status: ProfileStatus) -> bytes:
    """Return ST63."""
    return schema.encode(STATUS, {SET: status.values()})


def decode_status(schema: MeterSchema, octets: bytes) -> ProfileStatus:
    """Return what ST63 says. Raises `CodecError`."""
    return ProfileStatus.from_values(schema.decode(STATUS, octets)[SET])


@lru_cache(maxsize=64)
def _flags(schema: MeterSchema) -> int:
    """Return the octet of a circular list in ascending order."""
    plain = encode_status(schema, ProfileStatus(0, 0, 0, 0))
    return int(status_layout(schema).view(plain, 1)[SET]["flags"][0])
