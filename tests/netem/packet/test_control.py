from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netem.packet.control import REQUEST, Change, Count, LineError, LineReader, Setup, line_of
from netem.profiles import LinkOptions, load_profiles


@given(
    st.lists(st.binary(max_size=20).map(lambda octets: octets.replace(b"\n", b"."))),
    st.lists(st.integers(0, 100)),
)
def test_lines_come_out_whole_however_they_were_split(lines: list[bytes], cuts: list[int]) -> None:
    octets = b"".join(line + b"\n" for line in lines)
    reader = LineReader()
    read: list[bytes] = []
    at = 0
    for cut in [*sorted(cuts), len(octets)]:
        read += reader.feed(octets[at:cut])
        at = max(at, cut)
    assert read == lines


def test_a_line_without_end_is_refused() -> None:
    reader = LineReader(longest=10)
    reader.feed(b"0123456789")
    with pytest.raises(LineError):
        reader.feed(b"0")


@pytest.mark.parametrize("latency", ["each-way", "round-trip"])
def test_every_built_in_profile_crosses_the_socket_as_it_is(latency: str) -> None:
    options = LinkOptions.model_validate({"latency": latency})
    profiles = tuple(one.each_way(options) for one in load_profiles().values())
    category = b64encode(bytes(range(len(profiles))))
    setup = Setup.model_validate(
        {"profiles": profiles, "category": category, "options": options, "seed": 1 << 70}
    )
    crossed = Setup.model_validate_json(line_of(setup))
    assert crossed == setup
    assert crossed.profiles == profiles
    assert crossed.category == bytes(range(len(profiles)))


def test_requests_are_told_apart() -> None:
    change = Change(id=1, category=3, profile=load_profiles()["lte"], numbers=(1, 5))
    assert REQUEST.validate_json(line_of(change)) == change
    assert REQUEST.validate_json(line_of(Count(id=2))) == Count(id=2)
