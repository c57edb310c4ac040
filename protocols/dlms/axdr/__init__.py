"""A-XDR: COSEM `Data` to octets and back (IEC 61334-6; IEC 62056-5-3, ASN.1 "Data").

The declaration in `declaration` is the specification and the judge in the tests; the tables in
`decode` and `encode` do the work. Re-encoding what was read gives the same octets, but for two
things: lengths in a longer form than needed, and signalling NaNs, which become quiet.

Peers do not choose our memory use: nesting is limited to `MAX_DEPTH`, announced counts are held
against the octets that are there, and a compact array expands to a bounded number of values.
Errors are `CodecError` with the codec "A-XDR" and a path like ``structure[2].array[5]``.
"""

from __future__ import annotations

from protocols.dlms.axdr.compact import compress, expand
from protocols.dlms.axdr.decode import read_data
from protocols.dlms.axdr.encode import write_data
from protocols.dlms.axdr.fixed import MAX_DEPTH
from protocols.dlms.axdr.length import read_length, write_length
from protocols.dlms.axdr.problem import CODEC, Problem
from protocols.dlms.data import CompactArray, Data
from protocols.errors import CodecError

__all__ = [
    "MAX_DEPTH",
    "compact_array",
    "decode_data",
    "decode_data_at",
    "decode_length_at",
    "encode_data",
    "encode_length",
    "expand_compact_array",
]


def encode_data(data: Data) -> bytes:
    """Return ``data`` encoded; raises `CodecError` when a value does not fit its type."""
    out = bytearray()
    try:
        write_data(data, out)
    except Problem as problem:
        problem.raise_codec_error()
    return bytes(out)


def decode_data(buffer: bytes) -> Data:
    """Return the one `Data` in ``buffer``; raises `CodecError`, also for trailing octets."""
    data, end = decode_data_at(buffer, 0)
    if end != len(buffer):
        raise CodecError(f"{len(buffer) - end} trailing octets", codec=CODEC)
    return data


def decode_data_at(buffer: bytes, offset: int) -> tuple[Data, int]:
    """Return the `Data` at ``offset`` and where it ends; raises `CodecError`."""
    try:
        return read_data(buffer, offset)
    except Problem as problem:
        problem.raise_codec_error()


def encode_length(length: int) -> bytes:
    """Return ``length`` (0..2**32-1) in its shortest form; raises `CodecError`."""
    try:
        return write_length(length)
    except Problem as problem:
        problem.raise_codec_error()


def decode_length_at(buffer: bytes, offset: int) -> tuple[int, int]:
    """Return the length at ``offset`` and where it ends; raises `CodecError`."""
    try:
        return read_length(buffer, offset)
    except Problem as problem:
        problem.raise_codec_error()


def expand_compact_array(compact: CompactArray) -> Data:
    """Return the array of `Data` that ``compact`` stands for; raises `CodecError`."""
    try:
        return expand(compact)
    except Problem as problem:
        problem.raise_codec_error()


def compact_array(data: Data) -> CompactArray:
    """Return the compact form of an array; raises `CodecError` when its elements differ in shape.

    Inner arrays hold at most 65535 items. An empty array is described as one of null-data.
    """
    try:
        return compress(data)
    except Problem as problem:
        problem.raise_codec_error()
