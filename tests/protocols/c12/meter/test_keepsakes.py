"""What is kept of an owner lasts as long as the owner, and no longer."""

from __future__ import annotations

import gc
from dataclasses import dataclass

from protocols.c12.meter import Keepsakes


@dataclass
class Unhashable:
    """Equal to every other one, and without a hash."""


def test_each_owner_has_one_of_its_own_though_they_are_equal() -> None:
    keepsakes = Keepsakes[list[int]](list)
    one, other = Unhashable(), Unhashable()
    keepsakes.of(one).append(1)
    assert keepsakes.of(one) == [1]
    assert keepsakes.of(other) == []


def test_what_is_kept_goes_with_its_owner() -> None:
    keepsakes = Keepsakes[list[int]](list)
    owner = Unhashable()
    keepsakes.of(owner)
    assert len(keepsakes) == 1
    del owner
    gc.collect()
    assert len(keepsakes) == 0


def test_of_what_cannot_be_referred_to_weakly_nothing_is_kept() -> None:
    keepsakes = Keepsakes[list[int]](list)
    owner = object()
    keepsakes.of(owner).append(1)
    assert keepsakes.of(owner) == []
    assert len(keepsakes) == 0
