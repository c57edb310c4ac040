from __future__ import annotations

from harness.bal.model.refresh import Refresher, RefreshMode, RefreshRules


def refresher(mode: RefreshMode) -> Refresher:
    made = Refresher(RefreshRules(mode, max_staleness_ms=1_000))
    for name in ("a", "b"):
        made.add(name, 0)
    return made


def test_lazily_a_source_is_read_when_somebody_asks_and_it_is_too_old() -> None:
    lazy = refresher(RefreshMode.LAZY)
    assert lazy.next_due_ms() is None
    assert lazy.due(10_000) == []
    assert lazy.must_read(["a"], 0) == ["a"]
    lazy.started("a")
    lazy.arrived("a", 40)
    assert lazy.must_read(["a", "b"], 1_040) == ["b"]
    assert lazy.must_read(["a"], 1_041) == ["a"]


def test_what_is_being_read_is_waited_for_but_not_asked_twice() -> None:
    lazy = refresher(RefreshMode.LAZY)
    lazy.started("a")
    assert lazy.stale(["a", "b"], 0) == ["a", "b"]
    assert lazy.must_read(["a", "b"], 0) == ["b"]


def test_actively_each_source_is_read_again_before_it_is_too_old() -> None:
    active = refresher(RefreshMode.ACTIVE)
    assert active.next_due_ms() == 0
    assert active.due(0) == ["a", "b"]
    assert active.due(5_000) == []
    for name, read_ms in (("a", 10), ("b", 20)):
        active.started(name)
        active.arrived(name, read_ms)
    assert active.next_due_ms() == 676
    assert active.due(675) == []
    assert active.due(676) == ["a"]
    assert active.due(686) == ["b"]
    # A third of the time is left for the new reading to come: nobody who asks has to wait.
    assert active.stale(["a", "b"], 1_010) == []
    active.arrived("a", 1_005)
    assert active.stale(["a"], 1_011) == []


def test_a_reading_that_was_old_when_it_came_is_not_followed_by_another_at_once() -> None:
    active = refresher(RefreshMode.ACTIVE)
    active.remove("b")
    active.due(0)
    active.started("a")
    active.arrived("a", 0, 5_000)
    assert active.stale(["a"], 5_000) == ["a"]
    assert active.due(5_332) == []
    assert active.due(5_333) == ["a"]


def test_the_shortest_staleness_there_is_reads_on_and_on_but_not_twice_at_once() -> None:
    active = Refresher(RefreshRules(RefreshMode.ACTIVE, max_staleness_ms=1))
    active.add("a", 0)
    assert active.due(0) == ["a"]
    active.started("a")
    active.arrived("a", 0)
    assert active.due(0) == []
    assert active.due(1) == ["a"]


def test_a_source_that_did_not_answer_is_tried_again_one_staleness_later() -> None:
    active = refresher(RefreshMode.ACTIVE)
    active.due(0)
    active.started("a")
    active.failed("a", 300)
    assert active.next_due_ms() == 1_300
    assert active.must_read(["a"], 301) == ["a"]


def test_a_removed_source_is_no_longer_due() -> None:
    active = refresher(RefreshMode.ACTIVE)
    active.remove("a")
    active.remove("b")
    assert active.next_due_ms() is None
    assert active.due(0) == []
