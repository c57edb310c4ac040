"""Count, data, checksum; chunks; the checksums of many rows at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.c12.services import (
    MAX_TABLE_OCTETS,
    decode_table_data,
    encode_table_data,
    table_checksum,
    table_checksums,
)
from protocols.errors import CodecError


@pytest.mark.parametrize(
    ("data", "checksum"),
    [(b"", 0), (b"\x01", 0xFF), (b"\x03\x00\x00", 0xFD), (b"\xff" * 256, 0), (b"\x80\x80", 0)],
)
def test_the_checksum_is_the_two_s_complement_of_the_sum(data: bytes, checksum: int) -> None:
    assert table_checksum(data) == checksum


@given(st.binary(max_size=300))
def test_data_and_checksum_add_up_to_nothing(data: bytes) -> None:
    assert (sum(data) + table_checksum(data)) % 256 == 0


@given(st.integers(0, 5), st.integers(0, 300), st.randoms(use_true_random=False))
def test_many_rows_have_the_checksums_of_each(count: int, size: int, random: object) -> None:
    rows = [random.randbytes(size) for _ in range(count)]  # type: ignore[attr-defined]
    octets = np.frombuffer(b"".join(rows), np.uint8).reshape(count, size)
    sums = table_checksums(octets)
    assert sums.dtype == np.uint8
    assert sums.tolist() == [table_checksum(row) for row in rows]


@pytest.mark.parametrize("size", [0, 1, 65_534])
def test_up_to_65_534_octets_are_one_chunk(size: int) -> None:
    data = bytes(size)
    assert encode_table_data(data) == size.to_bytes(2, "big") + data + b"\x00"
    assert decode_table_data(encode_table_data(data)) == data


@pytest.mark.parametrize("size", [65_535, 65_536, 131_070, 131_071, MAX_TABLE_OCTETS])
def test_more_come_in_chunks_of_65_535_and_a_last_one(size: int) -> None:
    data = bytes(index % 251 for index in range(size))
    octets = encode_table_data(data)
    chunks = size // 65_535 + 1
    assert octets[:2] == b"\xff\xff"
    assert len(octets) == size + 3 * chunks
    assert decode_table_data(octets) == data


def test_full_chunks_want_a_last_one() -> None:
    octets = encode_table_data(bytes(65_535))
    assert octets[-3:] == b"\x00\x00\x00"
    with pytest.raises(CodecError):
        decode_table_data(octets[:-3])


def test_every_chunk_has_its_own_checksum() -> None:
    octets = bytearray(encode_table_data(b"\x01" * 65_536))
    octets[65_537] ^= 1
    with pytest.raises(CodecError) as caught:
        decode_table_data(bytes(octets))
    assert caught.value.path == "checksum"


def test_over_a_mebibyte_is_neither_given_nor_taken() -> None:
    with pytest.raises(CodecError):
        encode_table_data(bytes(MAX_TABLE_OCTETS + 1))
    with pytest.raises(CodecError):
        decode_table_data((b"\xff\xff" + bytes(65_536)) * 17 + bytes(3))
