"""tshark, which shares no line with us, reads registrations, pushes and their answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from protocols.c12.plugin.naming import key_id_of
from tests.protocols.c12.plugin.uplink import World, apdus, options
from tests.support.c12_meter_model import AnsiConcentrator, logged, risen
from tests.support.tshark import judge, tshark_is_installed

pytestmark = pytest.mark.skipif(not tshark_is_installed(), reason="tshark is not installed")


def said(world: World) -> list[bytes]:
    """Let a relay register and push; return every message of both sides."""
    readings = world.model.readings([(0, 3), (1, 3), (2, 3), (0, 4)])
    world.pusher.push(readings, 1, now=0.0)
    messages: list[bytes] = []
    while not world.pusher.idle:
        asked = world.pusher.data_to_send()
        answers = world.take(asked)
        messages += apdus(asked) + apdus(answers)
        world.pusher.receive_data(answers, now=0.0)
    assert world.pusher.confirmed() == [1]
    return messages


def keys(world: World) -> dict[int, bytes]:
    everybody = (world.credentials, *world.credentials.members)
    return {key_id_of(it.system_title): it.encryption_key for it in everybody}


@pytest.mark.parametrize("protection", ["clear", "authenticated", "ciphered"])
def test_every_message_is_well_formed_and_genuine(protection: str, tmp_path: Path) -> None:
    model = AnsiConcentrator(raised=[logged(0, 3, 7, 1), risen(0, 3, 8)])
    world = World(options(protection=protection), model=model)

    judgements = judge(tmp_path, said(world), keys(world))

    genuine = None if protection == "clear" else True
    assert [it.genuine for it in judgements] == [genuine] * 14
    assert not any(it.complaints for it in judgements)
    assert [it.services for it in judgements[:4]] == [("0x27",)] * 4
    assert [it.written for it in judgements[8:11]] == [(64, 3, 76, 76, 64), (64,), (64,)]
    assert {code for it in judgements for code in it.responses} == {"0x00"}
    assert [len(it.responses) for it in judgements[11:]] == [5, 1, 1]


@pytest.mark.parametrize("protection", ["authenticated", "ciphered"])
@pytest.mark.parametrize("number", [0, 4, 8, 12])
def test_a_changed_octet_is_found(protection: str, number: int, tmp_path: Path) -> None:
    world = World(options(protection=protection))
    messages = said(world)
    flipped = bytearray(messages[number])
    flipped[-5] ^= 1
    messages[number] = bytes(flipped)
    judgements = judge(tmp_path, messages, keys(world))
    assert [it.genuine for it in judgements] == [at != number for at in range(len(messages))]
