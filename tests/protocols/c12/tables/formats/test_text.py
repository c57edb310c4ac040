"""Texts and identifiers."""

from __future__ import annotations

import pytest
from construct import ConstructError
from hypothesis import given
from hypothesis import strategies as st

from protocols.c12.tables.formats import ByteOrder, CharacterFormat, Text, identifier


@pytest.mark.parametrize(
    ("characters", "order", "octets"),
    [
        (CharacterFormat.ISO_7_BIT, ByteOrder.LITTLE, b"ab      "),
        (CharacterFormat.LATIN_1, ByteOrder.LITTLE, b"ab      "),
        (CharacterFormat.UTF_8, ByteOrder.BIG, b"ab      "),
        (CharacterFormat.UTF_16, ByteOrder.BIG, b"\0a\0b\0 \0 "),
        (CharacterFormat.UTF_16, ByteOrder.LITTLE, b"a\0b\0 \0 \0"),
        (CharacterFormat.UTF_32, ByteOrder.BIG, b"\0\0\0a\0\0\0b"),
    ],
)
def test_texts_are_padded_with_spaces(
    characters: CharacterFormat, order: ByteOrder, octets: bytes
) -> None:
    text = Text(8, characters, order)
    assert text.build("ab") == octets
    assert text.parse(octets) == "ab"


@pytest.mark.parametrize(
    "characters", [CharacterFormat.ISO_7_BIT, CharacterFormat.LATIN_1, CharacterFormat.UTF_8]
)
@given(octets=st.binary(min_size=6, max_size=6))
def test_any_octets_survive(characters: CharacterFormat, octets: bytes) -> None:
    text = Text(6, characters, ByteOrder.LITTLE)
    assert text.build(text.parse(octets)) == octets


def test_a_text_too_long() -> None:
    with pytest.raises(ConstructError):
        Text(4, CharacterFormat.UTF_8, ByteOrder.LITTLE).build("abcde")


def test_identifiers_are_texts_or_digits_of_half_the_size() -> None:
    order = ByteOrder.LITTLE
    text = identifier(16, CharacterFormat.ISO_7_BIT, order, packed=False)
    assert text.build("MST0000000000001") == b"MST0000000000001"
    digits = identifier(16, CharacterFormat.ISO_7_BIT, order, packed=True)
    assert digits.build("1234") == bytes.fromhex("0000000000001234")
    assert digits.parse(bytes.fromhex("0000000000001234")) == "0000000000001234"


@pytest.mark.parametrize("digits", ["12345678901234567", "x"])
def test_digits_that_do_not_fit(digits: str) -> None:
    with pytest.raises(ConstructError):
        identifier(16, CharacterFormat.ISO_7_BIT, ByteOrder.BIG, packed=True).build(digits)
