"""What was answered is known again for a while, and only for the very same request."""

from __future__ import annotations

from dataclasses import replace

import pytest

from protocols.c12.acse import Header
from protocols.c12.association.answered import AnsweredRequests
from protocols.c12.association.events import Opened
from protocols.c12.epsem import Control, Epsem
from protocols.c12.message import Message
from protocols.c12.options import SERVER_OPTIONS
from protocols.c12.services import Response, ResponseCode
from protocols.c12.titles import ApTitle
from tests.support.c12_nodes import HEAD_END, METER

ANSWER = (Response(ResponseCode.OK),)
OPTIONS = replace(SERVER_OPTIONS, remembered_answers=2, remembered_for_s=10.0)


def request(invocation: bytes, services: tuple[bytes, ...], peer: ApTitle = HEAD_END) -> Opened:
    message = Message(Header(METER, peer, invocation), Epsem(services, Control()))
    return Opened(message, peer, None)


def test_the_same_request_is_known_until_its_time_is_over() -> None:
    answered, asked = AnsweredRequests(OPTIONS), request(b"\x01", (b"x",))
    answered.remember(asked, ANSWER, 5.0, opened_session=True)
    found = answered.find(asked, 14.9)
    assert found is not None
    assert (found.responses, found.opened_session) == (ANSWER, True)
    assert answered.find(asked, 15.0) is None


@pytest.mark.parametrize(
    "other",
    [
        request(b"\x02", (b"x",)),
        request(b"\x01", (b"y",)),
        request(b"\x01", (b"x", b"x")),
        request(b"\x01", (b"x",), METER),
    ],
    ids=["another id", "other services", "more services", "another sender"],
)
def test_another_request_is_not(other: Opened) -> None:
    answered = AnsweredRequests(OPTIONS)
    answered.remember(request(b"\x01", (b"x",)), ANSWER, 0.0, opened_session=False)
    assert answered.find(other, 1.0) is None


def test_the_oldest_goes_first() -> None:
    answered = AnsweredRequests(OPTIONS)
    asked = [request(bytes([number]), (b"x",)) for number in range(3)]
    for one in (asked[0], asked[1], asked[0], asked[2]):
        answered.remember(one, ANSWER, 0.0, opened_session=False)
    assert [answered.find(one, 1.0) is not None for one in asked] == [True, False, True]
    # The same one again is the same place, and takes nobody else's.
    answered.remember(asked[2], ANSWER, 0.0, opened_session=False)
    assert [answered.find(one, 1.0) is not None for one in asked] == [True, False, True]


def test_a_server_may_remember_nothing() -> None:
    answered = AnsweredRequests(replace(OPTIONS, remembered_answers=0))
    answered.remember(request(b"\x01", ()), ANSWER, 0.0, opened_session=False)
    assert answered.find(request(b"\x01", ()), 0.0) is None


def test_answers_to_one_sender_are_forgotten_together() -> None:
    answered = AnsweredRequests(OPTIONS)
    mine, others = request(b"\x01", ()), request(b"\x01", (), METER)
    for one in (mine, others):
        answered.remember(one, ANSWER, 0.0, opened_session=False)
    answered.forget(HEAD_END)
    assert answered.find(mine, 1.0) is None
    assert answered.find(others, 1.0) is not None
