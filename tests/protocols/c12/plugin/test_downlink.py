"""The vectors of both ends of a conversation with a relay."""

from __future__ import annotations

from protocols.plugin import ReadDone
from tests.support.c12_conversation import Place
from tests.support.concentrator_model import FIRST_S


def test_replays_do_not_push_ahead_the_time_of_a_meter() -> None:
    place = Place()
    connection = place.connect()
    connection.poll.read(FIRST_S, FIRST_S, now=0.0)
    assert isinstance(connection.outcome(), ReadDone)
    before = dict(place.device_counters.stamps)
    assert before
    for octets in connection.requests * 5:
        connection.ask(octets)
    assert set(connection.served.refusals()) == {"repeated vector"}
    assert place.device_counters.stamps == before
