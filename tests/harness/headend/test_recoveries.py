"""What is to be recovered: told, bounded, and still known by the next life."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from harness.headend.recoveries import ENDED_MAX, UNFINISHED_MAX, Recoveries, Recovery
from harness.store.errors import StoreError

FIRST_S, STEP_S = 9_100, 900
NOW_S = FIRST_S + 4.5 * STEP_S


def at(capture: int) -> int:
    return FIRST_S + capture * STEP_S


def recoveries(file: Path | None = None) -> Recoveries:
    return Recoveries(FIRST_S, STEP_S, file)


@pytest.mark.parametrize(
    ("from_s", "to_s", "captures"),
    [
        (at(-5), at(-2), (-5, -3)),
        (at(-5) - 899, at(-2) + 1, (-5, -2)),
        (at(-5) + 1, at(-2), (-4, -3)),
        (at(3), at(90), (3, 4)),
    ],
)
def test_a_span_is_the_captures_in_it_that_have_happened(
    from_s: int, to_s: int, captures: tuple[int, int]
) -> None:
    asked = recoveries().ask(from_s, to_s, NOW_S, 7)
    assert (asked.from_s, asked.to_s) == tuple(map(at, captures))
    assert asked.next_s == asked.from_s
    assert (asked.asked_at_us, asked.is_over) == (7, False)


@pytest.mark.parametrize("span", [(at(5), at(9)), (at(2), at(2)), (at(2), at(1)), (0, at(250_000))])
def test_a_span_without_captures_or_with_too_many_is_refused(span: tuple[int, int]) -> None:
    all_of_them = recoveries()
    with pytest.raises(ValueError, match="captur"):
        all_of_them.ask(*span, NOW_S if span[0] else float(at(300_000)), 0)
    assert all_of_them.told() == []


def test_what_was_forgotten_on_purpose_is_not_recovered() -> None:
    kept = recoveries()
    kept.forget(at(-3))
    kept.forget(at(-6))
    assert kept.ask(at(-9), at(0), NOW_S, 0).from_s == at(-3)
    with pytest.raises(ValueError, match="nothing to recover"):
        kept.ask(at(-9), at(-3), NOW_S, 0)


def test_the_same_once_more_is_the_same_until_it_is_over() -> None:
    kept = recoveries()
    first = kept.ask(at(-9), at(0), NOW_S, 1)
    assert kept.ask(at(-9) - 5, at(0), NOW_S, 2) is first
    first.ended_at_us = 3
    assert kept.ask(at(-9), at(0), NOW_S, 4).id == first.id + 1


def test_their_number_is_bounded() -> None:
    kept = recoveries()
    for number in range(UNFINISHED_MAX):
        kept.ask(at(-9 - number), at(0), NOW_S, 0)
    with pytest.raises(ValueError, match="not over"):
        kept.ask(at(-1), at(0), NOW_S, 0)
    for number in range(3 * ENDED_MAX):
        for one in kept.unfinished():
            one.ended_at_us = 1
        kept.ask(at(-9 - number % 50), at(0), NOW_S, 0)
    assert len(kept.told()) <= ENDED_MAX + UNFINISHED_MAX
    assert [one["id"] for one in kept.told()][-1] == UNFINISHED_MAX + 3 * ENDED_MAX


def test_the_next_life_knows_them(tmp_path: Path) -> None:
    file = tmp_path / "0.recoveries.json"
    before = recoveries(file)
    before.forget(at(-100))
    over = before.ask(at(-9), at(0), NOW_S, 1)
    over.ended_at_us = 5
    going = before.ask(at(-8), at(0), NOW_S, 2)
    going.missing, going.read, going.passes, going.left = 30, 20, 2, 4
    going.next_s = at(-4)
    before.keep()
    after = recoveries(file)
    assert after.told() == before.told()
    assert after.unfinished() == [going]
    assert after.forgotten_before_s == at(-100)
    assert after.ask(at(-7), at(0), NOW_S, 3).id == 3


@pytest.mark.parametrize(
    "content", ["", "[]", '{"recoveries": [{}], "forgotten_before_s": null}', '{"recoveries": 3}']
)
def test_a_file_that_is_none_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "0.recoveries.json"
    file.write_text(content)
    with pytest.raises(StoreError, match=r"0\.recoveries\.json.*move the file away"):
        recoveries(file)


def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    file = tmp_path / "0.recoveries.json"
    recoveries(file).forget(at(0))
    assert json.loads(file.read_bytes()) == {"forgotten_before_s": at(0), "recoveries": []}


async def test_whoever_works_on_them_waits_for_one(autojump_clock: trio.testing.MockClock) -> None:
    kept = recoveries()
    got: list[Recovery] = []

    async def take() -> None:
        got.append(await kept.next())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(take)
        await wait_all_tasks_blocked()
        assert got == []
        asked = kept.ask(at(-9), at(0), NOW_S, 1)
    assert got == [asked]
    assert await kept.next() is asked
