"""Requests that wait, by title and invocation id, and what has a deadline."""

from __future__ import annotations

from protocols.c12.acse import Header
from protocols.c12.association.outstanding import Outstanding
from protocols.c12.association.waiting import Timers, WaitingRequests
from protocols.c12.epsem import Control, Epsem
from protocols.c12.titles import ApTitle
from tests.support.c12_nodes import HEAD_END, METER


def request(peer: ApTitle, invocation: int) -> Outstanding:
    header, epsem = Header(peer, HEAD_END, b"\x01"), Epsem((), Control())
    return Outstanding(invocation, peer, (), header, epsem, None, 1.0, 1.0, 0, None)


def test_a_request_waits_until_it_is_taken_once() -> None:
    waiting, one, other = WaitingRequests(), request(METER, 1), request(METER, 2)
    waiting.add(one)
    waiting.add(other)
    assert (len(waiting), waiting.of(METER)) == (2, [one, other])
    assert waiting.take(METER, 1) is one
    assert waiting.take(METER, 1) is None
    assert waiting.take(HEAD_END, 2) is None
    assert (len(waiting), waiting.get(METER, 1), waiting.get(METER, 2)) == (1, None, other)
    waiting.take(METER, 2)
    assert (len(waiting), waiting.of(METER)) == (0, [])


def test_one_invocation_id_may_have_gone_to_several() -> None:
    waiting, one, other = WaitingRequests(), request(METER, 7), request(HEAD_END, 7)
    for found in (one, other, request(METER, 8)):
        waiting.add(found)
    assert list(waiting.numbered(7)) == [one, other]


def always(what: str, deadline: float) -> bool:
    return True


def test_what_is_due_comes_in_the_order_of_time_and_then_of_noting() -> None:
    timers = Timers[str]()
    for deadline, what in ((2.0, "c"), (1.0, "b"), (1.0, "a"), (9.0, "d")):
        timers.note(deadline, what)
    assert timers.deadline(always) == 1.0
    assert list(timers.due(0.9, always)) == []
    assert list(timers.due(2.0, always)) == ["b", "a", "c"]
    assert timers.deadline(always) == 9.0


def test_what_need_not_be_done_any_more_is_passed_over() -> None:
    timers = Timers[str]()
    for deadline, what in ((1.0, "gone"), (2.0, "there")):
        timers.note(deadline, what)
    alive = {("there", 2.0)}
    assert timers.deadline(lambda what, at: (what, at) in alive) == 2.0
    assert list(timers.due(5.0, lambda what, at: (what, at) in alive)) == ["there"]
    assert timers.deadline(always) is None


def test_what_is_noted_while_things_are_done_is_done_too() -> None:
    timers, done = Timers[str](), []
    timers.note(1.0, "first")
    for what in timers.due(2.0, always):
        done.append(what)
        if what == "first":
            timers.note(1.5, "second")
            timers.note(2.5, "later")
    assert done == ["first", "second"]
