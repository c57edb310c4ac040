"""Events counted into the tables of a verdict."""

from __future__ import annotations

import pytest

from reports.recording import CommandDone, Event, FramesRefused, Note, RunTime
from reports.tally import tally_commands, tally_refused


def _command(kind: str, link: str, latency_s: float, *, failed: bool = False) -> CommandDone:
    return CommandDone(
        at=RunTime(0.0, 1.0),
        command=kind,
        meter=1,
        link=link,
        outcome="failed" if failed else "executed",
        latency_s=latency_s,
    )


def test_commands_are_counted_by_kind_and_link_and_in_all() -> None:
    events: list[Event] = [
        _command("disconnect", "a", 1.0),
        _command("disconnect", "a", 3.0),
        _command("disconnect", "b", 99.0, failed=True),
        Note(at=RunTime(0.0, 0.0), text="x"),
    ]
    by_a, by_b, everything = tally_commands(events, repeated=1)
    assert (by_a.kind, by_a.link, by_a.issued, by_a.executed) == ("disconnect", "a", 2, 2)
    assert (by_b.failed, by_b.latency_s) == (1, None)
    assert (everything.kind, everything.issued, everything.executed) == ("all", 3, 2)
    assert everything.repeated == 1
    assert everything.latency_s is not None
    assert everything.latency_s.max == pytest.approx(3.0, rel=1e-3)


def test_no_commands_give_no_table() -> None:
    assert tally_commands([]) == ()


def test_refused_frames_are_counted_by_cause_most_frequent_first() -> None:
    events = [
        FramesRefused(at=RunTime(0.0, wall_s), where="headend", cause=cause, count=count)
        for wall_s, cause, count in ((1.0, "tag", 2), (2.0, "key", 9), (5.0, "tag", 3))
    ]
    key, tag = tally_refused(events)
    assert (key.cause, key.count) == ("key", 9)
    assert (tag.cause, tag.count, tag.first_s, tag.last_s) == ("tag", 5, 1.0, 5.0)
