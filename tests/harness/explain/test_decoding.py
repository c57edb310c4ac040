"""Captured messages in words: every option of both protocols, and no secret told."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.explain.c12 import C12Decoder
from harness.explain.decoded import HIDDEN, Captured, CarriedReading, Decoded, Decoder
from harness.explain.dlms import DlmsDecoder
from protocols.pcapng import Packet
from protocols.plugin import Command, CommandKind, SessionOptions, load_protocol
from tests.protocols.dlms.plugin import conversation as dlms
from tests.support import c12_conversation as c12
from tests.support.c12_meter_model import AnsiConcentrator
from tests.support.concentrator_model import CREDENTIALS, FIRST_S, HEAD_END, STEP_S

LAST_S = FIRST_S + 7 * STEP_S
NEAR, FAR = ("127.1.0.1", 4_059), ("127.0.0.1", 50_000)


def message(octets: bytes, *, up: bool, frame: int = 1) -> Captured:
    ends = (NEAR, FAR) if up else (FAR, NEAR)
    return Captured("kept.pcapng", frame, Packet(frame, *ends, 1, octets), 0, up)


def decoded(protocol: str, decoder: Decoder, requests: Any, answers: Any) -> list[Decoded]:
    """Decode a conversation of a head-end that asks and a concentrator that answers."""
    found = []
    plugin = load_protocol(protocol)
    down, up = plugin.packet_reader(), plugin.packet_reader()
    for request, answer in zip(requests, answers, strict=True):
        found += [decoder.decode(message(one, up=False)) for one in down.feed(request)]
        found += [decoder.decode(message(one, up=True)) for one in up.feed(answer)]
    return found


def text(found: Iterable[Decoded]) -> str:
    return "\n".join(line for one in found for line in (*one.layers, one.problem))


def times(found: Iterable[Decoded]) -> set[tuple[str, int]]:
    return {(it.meter, it.captured_at_s) for one in found for it in one.readings}


def dlms_decoder(keys: bool = True) -> DlmsDecoder:
    return DlmsDecoder([CREDENTIALS] if keys else [], [HEAD_END])


def c12_decoder(place: c12.Place) -> C12Decoder:
    known = (place.device, *place.device.members)
    keys = {it.system_title: it.encryption_key for it in known}
    return C12Decoder(keys, place.options)


@pytest.mark.parametrize(
    "options",
    [
        SessionOptions(authentication, protection)
        for authentication, protection in product(
            ("none", "lls", "gmac"), ("clear", "authenticated", "ciphered")
        )
    ],
    ids=lambda options: f"{options.authentication}, {options.protection}",
)
def test_what_a_dlms_head_end_reads_is_told(options: SessionOptions) -> None:
    place = dlms.Place(options=options)
    connection = place.opened()
    connection.poll.read(FIRST_S, LAST_S, now=1.0)
    connection.outcome()
    connection.poll.execute(0, Command(CommandKind.DISCONNECT), now=1.0)
    connection.outcome()
    connection.close()
    found = decoded("dlms", dlms_decoder(), connection.requests, connection.answers)
    told = text(found)
    assert [one.problem for one in found if one.problem] == []
    for words in ("AARQ", "AARE: accepted", "get-request class 7, 1-0:99.1.0.255", "action-"):
        assert words in told
    registered = place.model.buffer(FIRST_S, LAST_S)
    assert len(registered) > 0
    assert [it for one in found for it in one.readings] == [
        CarriedReading(meter.decode(), at_s, status, tuple(values))
        for meter, at_s, status, values in zip(
            registered.meter_ids.tolist(),
            registered.captured_at_s.tolist(),
            registered.status.tolist(),
            registered.values.tolist(),
            strict=True,
        )
    ]
    check_that_no_secret_is_in(told, (CREDENTIALS.secret, CREDENTIALS.encryption_key))
    if options.authentication == "lls":
        assert f"authentication value {HIDDEN}" in told


@pytest.mark.parametrize(
    "options",
    [
        c12.options(),
        c12.options(sessionless=False),
        c12.options(security_answer=False),
        SessionOptions(protection="clear", particular=c12.PARTICULAR),
        SessionOptions(protection="authenticated", particular=c12.PARTICULAR),
    ],
    ids=["sessionless", "in sessions", "Security unanswered", "clear", "authenticated"],
)
def test_what_an_ansi_head_end_reads_is_told(options: SessionOptions) -> None:
    place = c12.Place(options=options)
    connection = place.connect()
    connection.poll.open(now=0.0)
    connection.outcome()
    connection.poll.read(FIRST_S, LAST_S, now=1.0)
    connection.outcome()
    found = decoded("c12", c12_decoder(place), connection.requests, connection.answers)
    told = text(found)
    meter = AnsiConcentrator().meter_names[0].decode()
    assert f"ACSE: answer from {meter} to MSH0000000000001" in told
    assert "read of ST64" in told
    members = [*place.device.members]
    check_that_no_secret_is_in(told, (it.secret for it in members))
    check_that_no_secret_is_in(told, (it.encryption_key for it in members))
    assert [one.problem for one in found if one.problem] == []
    assert f"password {HIDDEN}" in told
    assert times(found)
    assert {one.node for one in found} >= {meter}


def check_that_no_secret_is_in(told: str, secrets: Iterable[bytes]) -> None:
    for secret in secrets:
        assert secret.hex() not in told.lower()
        assert secret.decode("latin-1") not in told
        assert str(secret)[2:-1] not in told


def test_a_flipped_bit_is_said_to_be_one() -> None:
    connection = dlms.Place().opened()
    connection.poll.read(FIRST_S, LAST_S, now=1.0)
    connection.outcome()
    answer = bytearray(connection.answers[-1])
    answer[-1] ^= 1
    found = dlms_decoder().decode(message(bytes(answer), up=True))
    assert "authentication tag is wrong" in found.problem
    assert found.readings == ()
    assert found.layers[0].startswith("wrapper:")


def test_without_keys_the_outside_is_told_and_nothing_more() -> None:
    connection = dlms.Place().opened()
    connection.poll.read(FIRST_S, LAST_S, now=1.0)
    connection.outcome()
    found = decoded("dlms", dlms_decoder(keys=False), connection.requests, connection.answers)
    assert {one.problem for one in found if one.problem} == {
        "not opened: the run's keys are no test keys"
    }
    assert not times(found)


@settings(max_examples=200, deadline=None)
@given(octets=st.binary(max_size=200), up=st.booleans())
def test_whatever_was_captured_is_told_somehow(octets: bytes, up: bool) -> None:
    place = c12.Place()
    for decoder in (dlms_decoder(), c12_decoder(place)):
        for body in (octets, b"\0\1\0\1\0\1" + len(octets).to_bytes(2, "big") + octets):
            found = decoder.decode(message(body, up=up))
            assert found.layers or found.problem


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_what_was_changed_on_the_way_is_told_somehow(data: st.DataObject) -> None:
    place = c12.Place(options=SessionOptions(protection="clear", particular=c12.PARTICULAR))
    connection = place.connect()
    connection.poll.open(now=0.0)
    connection.outcome()
    connection.poll.read(FIRST_S, LAST_S, now=1.0)
    connection.outcome()
    clear = dlms.Place(options=SessionOptions(protection="clear")).opened()
    clear.poll.read(FIRST_S, LAST_S, now=1.0)
    clear.outcome()
    for decoder, octets in (
        (c12_decoder(place), connection.answers[-1]),
        (dlms_decoder(), clear.answers[-1]),
    ):
        changed = bytearray(octets)
        changed[data.draw(st.integers(0, len(octets) - 1))] ^= data.draw(st.integers(1, 255))
        found = decoder.decode(message(bytes(changed), up=True))
        assert found.layers or found.problem
