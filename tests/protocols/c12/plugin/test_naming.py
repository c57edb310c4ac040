"""Names of devices and titles of nodes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.c12.plugin import C12Plugin
from protocols.c12.plugin.naming import element_of, key_id_of, name_of, title_of
from protocols.c12.titles import ApTitle, head_end_title, meter_title, relay_title


@pytest.mark.parametrize(
    ("name", "title"),
    [
        (b"MSC0000000000001", relay_title(0)),
        (b"MST0000000000129", meter_title(128)),
        (b"MSH0000000000002", head_end_title(1)),
    ],
)
def test_names_are_relative_titles(name: bytes, title: ApTitle) -> None:
    assert title_of(name) == title.encode()
    assert name_of(title.encode()) == name
    assert name_of(title.absolute().encode()) == name
    assert element_of(title.absolute()) == title.encode()


@given(kind=st.sampled_from([b"MSC", b"MST", b"MSH"]), number=st.integers(1, 10**13 - 1))
def test_every_name_comes_back(kind: bytes, number: int) -> None:
    name = kind + b"%013d" % number
    assert name_of(title_of(name)) == name


@pytest.mark.parametrize("name", [b"", b"MSX0000000000001", b"MST1", b"MST0000000000000", b"MST 1"])
def test_other_names_have_no_title(name: bytes) -> None:
    with pytest.raises(ValueError, match="no device name"):
        title_of(name)


@pytest.mark.parametrize(
    "title", ["2.16.840.1", ".4.1", ".2", ".2.1.1", ".2.0", ".2.10000000000000"]
)
def test_other_titles_have_no_name(title: str) -> None:
    assert name_of(ApTitle.parse(title).encode()) is None


def test_no_title_has_no_name() -> None:
    assert name_of(b"\x80") is None


@given(first=st.integers(0, 10**6), count=st.integers(1, 255))
def test_the_nodes_of_a_relay_have_key_ids_of_their_own(first: int, count: int) -> None:
    titles = [relay_title(first), *map(meter_title, range(first, first + count))]
    ids = [key_id_of(title.encode()) for title in titles]
    assert len(set(ids)) == len(ids)
    assert all(0 <= key_id <= 255 for key_id in ids)


def test_meters_are_addressed_by_their_number() -> None:
    assert C12Plugin().meter_address(17) == 17
    assert C12Plugin.has_nodes
