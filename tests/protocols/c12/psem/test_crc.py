"""The packet CRC."""

from hypothesis import given
from hypothesis import strategies as st

from protocols.c12.psem import packet_crc


def _bit_by_bit(octets: bytes) -> int:
    crc = 0xFFFF
    for octet in octets:
        crc ^= octet
        for _ in range(8):
            crc = crc >> 1 ^ (0x8408 if crc & 1 else 0)
    return crc ^ 0xFFFF


def test_the_check_value_of_x_25() -> None:
    assert packet_crc(b"123456789") == 0x906E


@given(st.binary())
def test_it_is_the_one_that_goes_bit_by_bit(octets: bytes) -> None:
    assert packet_crc(octets) == _bit_by_bit(octets)
