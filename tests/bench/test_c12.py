"""What is measured is equal: all ways agree, and the textbook is right."""

from __future__ import annotations

import pytest

from tests.bench.c12 import eax_prime, packets, tables, textbook
from tests.bench.c12.notifications import MODES, Messages, Pair
from tests.protocols.c12.test_eax_prime import VECTORS, Vector


@pytest.mark.parametrize("vector", VECTORS)
def test_the_textbook_passes_the_published_vectors(vector: Vector) -> None:
    key, cleartext, plaintext, ciphertext, mac = map(bytes.fromhex, vector)
    assert textbook.encrypt(key, cleartext, plaintext) == (ciphertext, mac)
    assert textbook.decrypt(key, cleartext, ciphertext, mac) == plaintext
    with pytest.raises(ValueError, match="MAC"):
        textbook.decrypt(key, cleartext, ciphertext, bytes(4))


@pytest.mark.parametrize("size", eax_prime.SIZES)
def test_both_make_of_messages_what_goes_out(size: int) -> None:
    eax_prime.check(eax_prime.sealed(size))


def test_all_ways_to_read_and_write_tables_agree() -> None:
    assert tables.load_profile().unit == "interval"
    assert tables.registers().unit == "table"


@pytest.mark.parametrize("mode", MODES)
def test_all_ways_to_build_and_read_messages_agree(mode: str) -> None:
    Messages(MODES[mode]).checked()


@pytest.mark.parametrize("with_events", [False, True])
def test_whole_pushes_arrive(with_events: bool) -> None:
    pair = Pair("ciphered", with_events=with_events)
    assert all(part_s > 0 for part_s in pair.push())


def test_all_ways_to_read_and_write_packets_agree() -> None:
    _, octets = packets.check()
    assert [len(each) for each in octets] == [11, 44, 524]
