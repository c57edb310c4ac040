"""The vectors of both ends of a conversation with a relay."""

from __future__ import annotations

from protocols.c12.message import read_message
from protocols.plugin import Command, CommandKind, Executed, ReadDone
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


def test_a_vector_promised_to_a_command_that_was_never_sent_goes_out_with_nothing() -> None:
    place = Place()
    connection = place.connect()
    promised = connection.poll.execute(0, Command(CommandKind.TARIFF, 256), now=0.0)
    assert connection.outcome() == Executed(False, "parameter out of range")
    connection.poll.read(FIRST_S, FIRST_S, meters=[0], now=0.0)
    authentication = read_message(connection.poll.data_to_send()).header.authentication
    assert authentication is not None
    assert authentication.vector > promised
