"""Draws: published vectors, both forms equal, keys that do not collide."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from netem.draws import generator, mix, mix_one, stream_key

uint64s = st.integers(0, 2**64 - 1)


def test_splitmix64_reference_values() -> None:
    # The first outputs of SplitMix64 seeded with 1234567 (Rosetta Code, "Pseudo-random numbers").
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert [mix_one(1234567, counter) for counter in range(3)] == published


@given(uint64s, st.lists(uint64s, max_size=20))
def test_array_and_scalar_agree(key: int, counters: list[int]) -> None:
    drawn = mix(key, np.array(counters, np.uint64))
    assert drawn.tolist() == [mix_one(key, counter) for counter in counters]


def test_keys_depend_on_every_part_and_its_place() -> None:
    keys = [
        stream_key(7),
        stream_key(7, "meter", 1),
        stream_key(7, "meter", 11),
        stream_key(7, "meter1", 1),
        stream_key(7, 1, "meter"),
        stream_key(8, "meter", 1),
        stream_key(7, "meter", "1"),
    ]
    assert len(set(keys)) == len(keys)


def test_the_streams_are_frozen() -> None:
    """A change here changes every recorded run: it must be a decision, not an accident."""
    assert stream_key(7, "meter", 1) == 13261279122872361126
    assert generator(7, "grid").integers(0, 1000, 4).tolist() == [773, 576, 680, 475]
