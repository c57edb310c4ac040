"""Table data in reads and writes: count, octets, checksum; in chunks when they are many.

::

    count (u16, big-endian) | data | checksum (u8)

A count of FFFF stands for 65,535 octets with another such chunk behind them, so a table that
fills its last chunk exactly ends with an empty one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from construct import Bytes, Int8ub, Int16ub, Rebuild, Struct, len_, this
from numpy.typing import NDArray

from protocols.errors import CodecError
from protocols.lowering import lower

CODEC: Final = "C12 table data"
MAX_TABLE_OCTETS: Final = 1 << 20
"""What is taken and given at most: no table of a meter comes near it."""

FULL_CHUNK: Final = 0xFFFF

CHUNK: Final = Struct(
    "count" / Rebuild(Int16ub, len_(this.data)) * "octets of data; FFFF: another chunk follows",
    "data" / Bytes(this.count),
    "checksum" / Int8ub * "two's complement of the sum of the data's octets",
)
_CHUNK: Final = lower(CHUNK, CODEC)


def table_checksum(data: bytes) -> int:
    """Return the two's complement of the sum of ``data``'s octets, 0 to 255."""
    return -sum(data) & 0xFF


def table_checksums(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the checksum of every row; ``rows`` is (count, octets) uint8, the result (count,)."""
    sums: NDArray[np.uint8] = rows.sum(axis=1, dtype=np.uint8)
    return np.negative(sums)


def encode_table_data(data: bytes) -> bytes:
    """Return ``data`` with counts and checksums; `CodecError` over `MAX_TABLE_OCTETS`."""
    if len(data) > MAX_TABLE_OCTETS:
        raise CodecError(f"{len(data)} octets", codec=CODEC, path="data")
    return b"".join(
        _CHUNK.build({"data": chunk, "checksum": table_checksum(chunk)}) for chunk in _chunks(data)
    )


def decode_table_data(octets: bytes) -> bytes:
    """Return the data of exactly one run of chunks.

    Raises:
        CodecError: too short or too long, a wrong checksum, or over `MAX_TABLE_OCTETS`.
    """
    if len(octets) > MAX_TABLE_OCTETS + 3 * (MAX_TABLE_OCTETS // FULL_CHUNK + 1):
        raise CodecError(f"{len(octets)} octets", codec=CODEC, path="data")
    parts, offset, count = [], 0, FULL_CHUNK
    while count == FULL_CHUNK:
        chunk, offset = _CHUNK.parse_from(octets, offset)
        count = chunk["count"]
        if table_checksum(chunk["data"]) != chunk["checksum"]:
            raise CodecError(f"{chunk['checksum']:#04x} is wrong", codec=CODEC, path="checksum")
        parts.append(chunk["data"])
    if offset != len(octets):
        raise CodecError(f"{len(octets) - offset} trailing octets", codec=CODEC, path="data")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _chunks(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data) + 1, FULL_CHUNK):
        yield data[start : start + FULL_CHUNK]
