"""ApTitles: the forms they travel in, absolute and relative."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.c12.titles import (
    BASE,
    MAX_BASE_SIZE,
    MAX_TITLE_SIZE,
    RELATIVE_UNIVERSAL,
    ApTitle,
    decode_title,
    head_end_title,
    meter_title,
    read_title,
    relay_title,
)
from protocols.errors import CodecError

arcs = st.lists(st.integers(0, 2**28 - 1), min_size=1, max_size=8)
relative_titles = arcs.map(lambda a: ApTitle.parse("." + ".".join(map(str, a))))
absolute_titles = relative_titles.map(ApTitle.absolute)
titles = st.one_of(relative_titles, absolute_titles)

WIRES = [
    # tag length content; 2.16 is 0x60, 124 fits one octet, 113620 takes three
    ("2.16.124.113620.1.22.0", "06 08 60 7c 86 f7 54 01 16 00"),
    ("2.16.124.113620.1.22.0.7", "06 09 60 7c 86 f7 54 01 16 00 07"),
    (".1.5", "80 02 01 05"),
    (".2.70000", "80 04 02 84 a2 70"),
    ("1.3.6.1.4.1.33507", "06 08 2b 06 01 04 01 82 85 63"),
    ("2.999", "06 02 88 37"),
]


@pytest.mark.parametrize(("text", "wire"), WIRES)
def test_wire_form(text: str, wire: str) -> None:
    title = ApTitle.parse(text)
    assert title.encode() == bytes.fromhex(wire)
    assert ApTitle.decode(bytes.fromhex(wire)) == title
    assert str(title) == text


def test_both_tags_of_relative_titles_are_read() -> None:
    title = ApTitle.parse(".1.5")
    assert ApTitle.decode(bytes.fromhex("0d020105")) == title
    assert title.encode(RELATIVE_UNIVERSAL) == bytes.fromhex("0d020105")
    assert title.absolute().encode(RELATIVE_UNIVERSAL)[0] == 0x06


def test_node_titles_count_from_one() -> None:
    assert str(relay_title(0)) == ".1.1"
    assert str(meter_title(69_999)) == ".2.70000"
    assert str(head_end_title(2)) == ".3.3"


@given(titles)
def test_round_trips(title: ApTitle) -> None:
    assert decode_title(title.encode()) == title
    assert ApTitle.parse(str(title)) == title
    assert read_title(b"\0" + title.encode() + b"\1", 1) == (title, 1 + len(title.encode()))


@given(relative_titles)
def test_absolute_and_back(title: ApTitle) -> None:
    assert title.absolute().relative_to() == title
    assert str(title.absolute()) == str(BASE) + str(title)
    assert title.absolute().absolute() == title.absolute()


def test_a_title_elsewhere_stays_absolute() -> None:
    elsewhere = ApTitle.parse("1.3.6.1")
    assert elsewhere.relative_to() == elsewhere
    assert BASE.relative_to() == BASE
    assert str(ApTitle.parse(".7").absolute(elsewhere)) == "1.3.6.1.7"
    assert str(ApTitle.parse("1.3.6.1.7").relative_to(elsewhere)) == ".7"


@pytest.mark.parametrize(
    "text", ["", ".", "1", "2.16.", "x", "3.1", "1.40", ".-1", "2..1", ".1.5 ", ".٣"]
)
def test_what_is_no_title_in_text(text: str) -> None:
    with pytest.raises(CodecError):
        ApTitle.parse(text)


@pytest.mark.parametrize(
    "wire",
    ["", "80", "8000", "800180", "80028001", "80020180", "04020105", "8002010500", "80810105ff"],
)
def test_what_is_no_title_on_the_wire(wire: str) -> None:
    with pytest.raises(CodecError):
        ApTitle.decode(bytes.fromhex(wire))


def test_whatever_is_a_title_has_an_absolute_form() -> None:
    longest = ApTitle.decode(bytes((0x80, MAX_TITLE_SIZE)) + b"\1" * MAX_TITLE_SIZE)
    absolute = longest.absolute()
    assert absolute.octets == BASE.octets + longest.octets
    assert ApTitle.decode(absolute.encode()) == absolute
    assert (
        longest.absolute(ApTitle(bytes(MAX_BASE_SIZE))).relative_to(ApTitle(bytes(MAX_BASE_SIZE)))
        == longest
    )


def test_what_is_too_long_to_be_relative_stays_absolute() -> None:
    long = ApTitle(BASE.octets + b"\1" * (MAX_TITLE_SIZE + 1))
    assert long.relative_to() == long


def test_an_endless_title_is_refused() -> None:
    with pytest.raises(CodecError):
        ApTitle(bytes(MAX_TITLE_SIZE + 1), relative=True)
    with pytest.raises(CodecError):
        ApTitle(bytes(MAX_TITLE_SIZE + MAX_BASE_SIZE + 1))


@given(st.binary(max_size=40))
def test_garbage_raises_only_codec_errors(garbage: bytes) -> None:
    try:
        title = ApTitle.decode(garbage)
    except CodecError:
        return
    assert ApTitle.decode(title.encode()) == title
