"""Dividing whole numbers so that nothing is lost: by weights, and by a partition's policy.

Theory. A split of current or charge must add up to what was split, to the unit. Proportions are
rounded by largest remainder; where remainders are equal, the first name in order gets the unit, so
that the same question always has the same answer.

A policy says how the difference between what a source holds and what its partitions expect is
borne: by all in proportion, or by one after the other from one end. Nobody gets less than nothing;
with caps, nobody gets more than its cap (TrustDER report, tables III.2.6 to III.2.8).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from harness.bal.model.values import Policy


def apportion(total: int, weights: Sequence[int], names: Sequence[str]) -> list[int]:
    """Return ``total`` in parts proportional to ``weights``, which add up to it exactly.

    ``total`` may be negative, weights may not. Where all weights are 0, so are all parts: there is
    nobody to take it.
    """
    whole = sum(weights)
    if whole == 0 or total == 0:
        return [0] * len(weights)
    size = abs(total)
    parts = [size * weight // whole for weight in weights]
    left = size - sum(parts)
    if left:
        order = sorted(
            range(len(parts)), key=lambda i: (parts[i] * whole - size * weights[i], names[i])
        )
        for index in order[:left]:
            parts[index] += 1
    return parts if total > 0 else [-part for part in parts]


class _Turn(Enum):
    """Who bears a difference first."""

    ALL = "all"
    TOP = "top"
    BOTTOM = "bottom"


@dataclass(frozen=True, slots=True)
class _Rule:
    deficit: _Turn
    surplus: _Turn


_RULES: Final = {
    Policy.PROPORTIONAL: _Rule(deficit=_Turn.ALL, surplus=_Turn.ALL),
    Policy.TRANCHED: _Rule(deficit=_Turn.BOTTOM, surplus=_Turn.TOP),
    Policy.RESERVED: _Rule(deficit=_Turn.BOTTOM, surplus=_Turn.BOTTOM),
}


def spread(
    policy: Policy,
    actual: int,
    expected: Sequence[int],
    shares: Sequence[int],
    names: Sequence[str],
    caps: Sequence[int] | None = None,
) -> list[int]:
    """Return ``actual`` (never negative) in parts, given what is ``expected`` from the top down.

    The parts add up to ``actual``, unless all caps together are less: then each part is its cap.
    ``caps`` are not below ``expected``. Where nothing was expected, shares stand in for it.
    """
    difference = actual - sum(expected)
    if difference == 0:
        return list(expected)
    rule = _RULES[policy]
    if difference > 0:
        rooms = _rooms(difference, expected, shares, caps)
        given = _given(rule.surplus, difference, rooms, expected, shares, names)
        return [part + more for part, more in zip(expected, given, strict=True)]
    taken = _given(rule.deficit, -difference, list(expected), expected, shares, names)
    return [part - less for part, less in zip(expected, taken, strict=True)]


def _rooms(
    amount: int, expected: Sequence[int], shares: Sequence[int], caps: Sequence[int] | None
) -> list[int]:
    if caps is None:
        return [amount if share else 0 for share in shares]
    return [cap - part for cap, part in zip(caps, expected, strict=True)]


def _given(
    turn: _Turn,
    amount: int,
    rooms: list[int],
    expected: Sequence[int],
    shares: Sequence[int],
    names: Sequence[str],
) -> list[int]:
    match turn:
        case _Turn.ALL:
            return _to_all(amount, rooms, expected, shares, names)
        case _Turn.TOP:
            return _in_turn(amount, rooms, range(len(rooms)))
        case _Turn.BOTTOM:
            return _in_turn(amount, rooms, range(len(rooms) - 1, -1, -1))


def _in_turn(amount: int, rooms: list[int], order: range) -> list[int]:
    given = [0] * len(rooms)
    for index in order:
        given[index] = min(amount, rooms[index])
        amount -= given[index]
    return given


def _to_all(
    amount: int,
    rooms: list[int],
    expected: Sequence[int],
    shares: Sequence[int],
    names: Sequence[str],
) -> list[int]:
    """Fill in proportion to what is expected, then, for those with room left, to the shares."""
    given = [0] * len(rooms)
    for weights in (expected, shares):
        while amount:
            free = [weight if rooms[i] > given[i] else 0 for i, weight in enumerate(weights)]
            parts = apportion(amount, free, names)
            for index, part in enumerate(parts):
                more = min(part, rooms[index] - given[index])
                given[index] += more
                amount -= more
            if not any(parts):
                break
    return given
