from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import pytest
import trio

from emulator.messages import MessageStream
from emulator.parent import Parent
from protocols.errors import CodecError
from protocols.framing import encode_message

Ends = tuple[Parent, trio.SocketStream]


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    """A process' view of its parent, and the parent's end."""
    ours, theirs = socket.socketpair()
    stream = trio.SocketStream(trio.socket.from_stdlib_socket(theirs))
    yield Parent(ours.detach()), stream
    await stream.aclose()


async def test_orders_come_in_order(ends: Ends) -> None:
    parent, theirs = ends
    await theirs.send_all(encode_message({"do": "start"}) + encode_message({"do": "status"}))
    assert [(await parent.next_order())["do"] for _ in range(2)] == ["start", "status"]
    await parent.aclose()


async def test_a_parent_that_is_gone_has_ordered_to_stop_and_need_not_know(ends: Ends) -> None:
    parent, theirs = ends
    await theirs.aclose()
    assert await parent.next_order() == {"do": "stop"}
    await parent.tell({"state": "stopped"})
    await parent.aclose()
    await parent.tell({"state": "stopped"})


async def test_what_is_told_arrives(ends: Ends) -> None:
    parent, theirs = ends
    await parent.tell({"state": "ready"})
    assert await MessageStream(theirs).receive() == {"state": "ready"}
    await parent.aclose()


async def test_an_order_that_is_none_is_no_reason_to_stop_quietly(ends: Ends) -> None:
    parent, theirs = ends
    await theirs.send_all(b"\xff\xff\xff\xff")
    with pytest.raises(CodecError):
        await parent.next_order()
    await parent.aclose()
