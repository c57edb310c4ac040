"""Framed messages over trio streams: whole, in order, in any split, to the end."""

from __future__ import annotations

import socket

import pytest
import trio
from trio.testing import memory_stream_pair

from emulator.messages import MessageStream
from protocols.errors import CodecError
from protocols.framing import encode_message


async def test_messages_arrive_in_order_and_then_the_end() -> None:
    near, far = memory_stream_pair()
    sender, receiver = MessageStream(near), MessageStream(far)
    for number in range(3):
        await sender.send({"number": number})
    await sender.aclose()
    assert [await receiver.receive() for _ in range(4)] == [
        {"number": 0},
        {"number": 1},
        {"number": 2},
        None,
    ]


async def test_any_split_of_the_stream_will_do() -> None:
    near, far = memory_stream_pair()
    receiver = MessageStream(far)
    async with trio.open_nursery() as nursery:

        async def dribble() -> None:
            for octet in encode_message({"a": 1}) + encode_message({"b": 2}):
                await near.send_all(bytes((octet,)))

        nursery.start_soon(dribble)
        assert [await receiver.receive(), await receiver.receive()] == [{"a": 1}, {"b": 2}]


async def test_a_cancelled_receive_loses_nothing() -> None:
    near, far = memory_stream_pair()
    receiver = MessageStream(far)
    octets = encode_message({"a": 1})
    await near.send_all(octets[:3])
    with trio.move_on_after(0):
        await receiver.receive()
    await near.send_all(octets[3:])
    assert await receiver.receive() == {"a": 1}


async def test_messages_of_many_tasks_never_interleave() -> None:
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    sender = MessageStream(trio.SocketStream(trio.socket.from_stdlib_socket(ours)))
    receiver = MessageStream.of_descriptor(theirs.detach())
    padding = "x" * 20_000
    async with trio.open_nursery() as nursery:
        for number in range(10):
            nursery.start_soon(sender.send, {"number": number, "padding": padding})
        received = [await receiver.receive() for _ in range(10)]
    assert all(message is not None and message["padding"] == padding for message in received)
    assert {message["number"] for message in received if message} == set(range(10))
    await sender.aclose()
    await receiver.aclose()


async def test_a_length_over_the_bound_is_refused_unread() -> None:
    near, far = memory_stream_pair()
    await near.send_all(b"\xff\xff\xff\xff")
    with pytest.raises(CodecError, match="octets announced"):
        await MessageStream(far).receive()


async def test_nobody_there_any_more() -> None:
    near, far = memory_stream_pair()
    await trio.aclose_forcefully(far)
    with pytest.raises(trio.BrokenResourceError):
        await MessageStream(near).send({"a": 1})
