"""Seeded draws: the one place random numbers come from.

Every draw belongs to a thing (a meter, a concentrator, a connection's packet) and is keyed by the
seed and that thing's name, never by the order in which things happen. Two shapes are offered:

* `mix`: stateless and elementwise, for draws that must be reproducible one by one and out of
  order (the reading of one meter at one interval, the delay of one packet);
* `generator`: a numpy `Generator` over Philox, for filling arrays in one go (the grid).

Only integer outputs are bit-for-bit reproducible across processors (numpy's float ``exp``, ``log``
and ``power`` differ between processor feature levels), so truth and plan must take integers.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import numpy as np
from numpy.typing import NDArray

UInt64Array = NDArray[np.uint64]

GOLDEN_GAMMA: Final = 0x9E3779B97F4A7C15
_MULTIPLIER_1: Final = 0xBF58476D1CE4E5B9
_MULTIPLIER_2: Final = 0x94D049BB133111EB
_MASK: Final = 0xFFFF_FFFF_FFFF_FFFF


def stream_key(seed: int, *parts: int | str) -> int:
    """Return the 64-bit key of the stream that belongs to ``parts`` under ``seed``.

    Parts of different kind or number never collide by concatenation: each is hashed with its
    type and length (BLAKE2b, 8 octets).
    """
    digest = blake2b(digest_size=8)
    for part in (seed, *parts):
        encoded = repr(part).encode()
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
    return int.from_bytes(digest.digest(), "big")


def mix(key: int, counters: NDArray[np.integer]) -> UInt64Array:
    """Return one uniform 64-bit draw per counter: SplitMix64 at position ``counter`` of ``key``.

    Args:
        key: a `stream_key`.
        counters: integers of any shape, each in 0..2**64-1; the result has the same shape.

    Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014
    (the finaliser is Stafford's variant 13).
    """
    z = (counters.astype(np.uint64) + np.uint64(1)) * np.uint64(GOLDEN_GAMMA) + np.uint64(key)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(_MULTIPLIER_1)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(_MULTIPLIER_2)
    return z ^ (z >> np.uint64(31))


def mix_one(key: int, counter: int) -> int:
    """Return the draw `mix` gives for one counter, as a Python integer in 0..2**64-1."""
    z = ((counter + 1) * GOLDEN_GAMMA + key) & _MASK
    z = ((z ^ (z >> 30)) * _MULTIPLIER_1) & _MASK
    z = ((z ^ (z >> 27)) * _MULTIPLIER_2) & _MASK
    return z ^ (z >> 31)


def generator(seed: int, *parts: int | str) -> np.random.Generator:
    """Return the numpy generator (Philox) that belongs to ``parts`` under ``seed``."""
    return np.random.Generator(np.random.Philox(key=stream_key(seed, *parts)))
