"""The owner's end of the control socket, against an emulator played by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from trio.testing import MemoryReceiveStream, MemorySendStream, memory_stream_pair

from netem.lab import LabError
from netem.packet.client import ANSWER_S, EmulatorClient
from netem.packet.control import Count, line_of

Played = trio.StapledStream[MemorySendStream, MemoryReceiveStream]


def pair() -> tuple[EmulatorClient, Played]:
    ours, theirs = memory_stream_pair()
    return EmulatorClient(ours), theirs


async def ask(client: EmulatorClient) -> Any:
    return await client.ask(lambda number: Count(id=number))


async def test_an_answer_goes_to_its_question() -> None:
    client, emulator = pair()

    async def play() -> None:
        for number in (1, 2):
            assert json.loads(await emulator.receive_some())["id"] == number
            await emulator.send_all(line_of({"id": number, "answer": 10 * number}))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(play)
        assert await ask(client) == 10
        assert await ask(client) == 20


async def test_a_refusal_is_an_error_with_the_reason() -> None:
    client, emulator = pair()
    await emulator.send_all(line_of({"id": 1, "error": "there is no link class 9"}))
    with pytest.raises(LabError, match="there is no link class 9"):
        await ask(client)


async def test_an_emulator_that_has_ended_is_an_error_every_time() -> None:
    client, emulator = pair()
    await emulator.aclose()
    for _ in range(2):
        with pytest.raises(LabError, match="ended"):
            await ask(client)


async def test_an_answer_that_comes_too_late_is_not_taken_for_another(
    autojump_clock: trio.testing.MockClock,
) -> None:
    client, emulator = pair()
    with pytest.raises(LabError, match="did not answer"):
        await ask(client)
    assert trio.current_time() == pytest.approx(ANSWER_S)
    await emulator.send_all(line_of({"id": 1, "answer": "late"}))
    await emulator.send_all(line_of({"id": 2, "answer": "right"}))
    assert await ask(client) == "right"


async def test_a_cancelled_question_leaves_the_next_one_its_answer(
    autojump_clock: trio.testing.MockClock,
) -> None:
    client, emulator = pair()
    begun = trio.current_time()

    async def play() -> None:
        await emulator.receive_some()
        await trio.sleep(2)
        await emulator.send_all(line_of({"id": 1, "answer": "first"}))
        await emulator.receive_some()
        await emulator.send_all(line_of({"id": 2, "answer": "second"}))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(play)
        with trio.move_on_after(1):
            await ask(client)
        assert trio.current_time() == pytest.approx(begun + 2), (
            "a question must not be left half asked"
        )
        assert await ask(client) == "second"
