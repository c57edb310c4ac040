from __future__ import annotations

import os

import pytest
import trio

from emulator.terminals import open_terminal


async def test_octets_pass_as_they_are_whoever_opens_it_and_closes_it() -> None:
    octets = bytes(range(256))
    async with open_terminal() as (stream, path):
        for _ in range(2):
            theirs = os.open(path, os.O_RDWR | os.O_NOCTTY)
            try:
                os.write(theirs, octets)
                taken = b""
                with trio.fail_after(5):
                    while len(taken) < len(octets):
                        taken += bytes(await stream.receive_some(64))
            finally:
                os.close(theirs)
            assert taken == octets


async def test_it_is_gone_afterwards() -> None:
    async with open_terminal() as (_, path):
        os.close(os.open(path, os.O_RDWR | os.O_NOCTTY))
    with pytest.raises(OSError, match=r"No such|Input/output"):
        os.close(os.open(path, os.O_RDWR | os.O_NOCTTY))
