"""The dialect faces under clients of hostile octets: every request has its answer."""

from __future__ import annotations

import json
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from harness.bal.service import BatteryLayer
from tests.harness.bal.judged.wire import Json, Records, record
from tests.harness.bal.test_service import HOME
from tests.support.bal import bal_config, open_layer
from tests.support.batteries import FIRST_S, battery_config, open_park
from tests.support.faces import open_face

GET = json.dumps({"request": "get_status", "name": "home"}).encode()
REFUSED = struct.pack("<I", 0)
LEAST, MOST = -(2**63), 2**63 - 1


@asynccontextmanager
async def served(folder: Path, speaks: str) -> AsyncIterator[tuple[int, BatteryLayer]]:
    async with (
        open_park(folder, battery_config(2)) as park,
        open_layer(bal_config(folder, park, extra=HOME), park.clock) as layer,
        open_face(layer, speaks=speaks) as face,
    ):
        yield face.port, layer
        assert not layer.counts[f"{speaks}: failed"]


def setting(current: str, name: str = "home") -> bytes:
    return f'{{"request":"set_current","name":"{name}","current":{current}}}'.encode()


MALFORMED = [
    b"{}",
    b"{]",
    b'{"a":[}',
    b'{"request":"get_status"}',
    b'{"name":"home"}',
    b'{"request":"restart","name":"home"}',
    b'{"request":["get_status"],"name":"home"}',
    b'{"request":"get_status","name":7}',
    b'{"request":"get_status","name":""}',
    b'{"request":"get_status","name":"nobody"}',
    b'{"request":"get_status","name":"ho\\u0000me"}',
    b'{"request":"get_status","name":"home\\u0000"}',
    b'{"request":"get_status","name":"\xff\xfe"}',
    b'{"request":"get_status","name":"\\ud800"}',
    b'{"request":"get_status","name":"' + b"x" * 256 + b'"}',
    b'{"request":"get_status","request":"restart","name":"home"}',
    b'{"request":"set_current","name":"home"}',
    setting("NaN"),
    setting("-Infinity"),
    setting("1e400"),
    setting("1e999999999999999999999"),
    setting("9" * 900),
    setting("true"),
    setting('"5"'),
    setting("null"),
    setting("1e9"),
    setting("-110.001"),
    setting("1", "battery-0000001"),
]


@pytest.mark.parametrize("octets", MALFORMED)
async def test_v1_answers_what_it_refuses_and_goes_on(tmp_path: Path, octets: bytes) -> None:
    async with served(tmp_path, "v1") as (port, _), Json("127.0.0.1", port) as client:
        refused = await client.ask(octets)
        assert refused["response"] is None
        assert refused["error"]
        assert (await client.ask(GET))["response"]["max_capacity"] == 220


@pytest.mark.parametrize(
    "octets", [b'"x"', b"[1]", b"}", b"\xef\xbb\xbf{}", b"GET / HTTP/1.1\r\n", b"{" * 2_000]
)
async def test_v1_says_why_it_hangs_up(tmp_path: Path, octets: bytes) -> None:
    async with served(tmp_path, "v1") as (port, _), Json("127.0.0.1", port) as client:
        assert (await client.ask(octets))["error"]
        assert await client.is_over()


async def test_v1_takes_requests_split_and_joined_anywhere(tmp_path: Path) -> None:
    async with served(tmp_path, "v1") as (port, _), Json("127.0.0.1", port) as client:
        for cut in range(1, len(GET)):
            assert (await client.ask(GET, cut=cut))["response"]["voltage"] > 0
        await client.send(GET + b"\0" + setting("-0.001") + b"\n \0" + GET)
        assert [bool((await client.answer())["response"]) for _ in range(3)] == [True, False, True]


WINDOW = (FIRST_S, FIRST_S + 10)
LIES = {
    "function 0": record(0),
    "function -1": record(-1),
    "nobody": record(2, b"nobody"),
    "no name": record(2, b""),
    "a length of 0": record(2, length=0),
    "a length beyond": record(2, length=2**62),
    "a negative length": record(2, length=-1),
    "no NUL": record(2, end=b""),
    "NUL within": record(2, b"ho\0me"),
    "no UTF-8": record(2, b"\xff\xfe"),
    "short": struct.pack("<I", 10) + bytes(10),
    "empty": struct.pack("<I", 0),
}
REFUSALS = {
    "past": record(3, current_ma=1, window_s=(1, 2)),
    "no window": record(3, current_ma=1),
    "backwards": record(3, current_ma=1, window_s=(FIRST_S + 2, FIRST_S + 1)),
    "over": record(3, current_ma=110_001, window_s=WINDOW),
    "the most": record(3, current_ma=MOST, window_s=WINDOW),
    "the least": record(3, current_ma=LEAST, window_s=WINDOW),
    "ages ago": record(3, current_ma=1, window_s=(LEAST, LEAST)),
    "a part": record(3, b"battery-0000001", 1, WINDOW),
}


@pytest.mark.parametrize("lie", LIES)
async def test_v2_answers_a_lie_with_an_empty_record(tmp_path: Path, lie: str) -> None:
    async with served(tmp_path, "v2") as (port, _), Records("127.0.0.1", port) as client:
        assert await client.ask(LIES[lie]) == b""
        assert len(await client.ask(record(2))) == 64


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_v2_answers_a_current_it_refuses_with_code_0(tmp_path: Path, refusal: str) -> None:
    async with served(tmp_path, "v2") as (port, _), Records("127.0.0.1", port) as client:
        assert await client.ask(REFUSALS[refusal]) == REFUSED
        assert len(await client.ask(record(2))) == 64


@pytest.mark.parametrize("announced", [321, 2**32 - 1])
async def test_v2_hangs_up_on_a_length_beyond_its_bound(tmp_path: Path, announced: int) -> None:
    async with served(tmp_path, "v2") as (port, _), Records("127.0.0.1", port) as client:
        assert await client.ask(struct.pack("<I", announced) + b"x") == b""
        assert await client.is_over()


async def test_v2_windows_until_the_end_of_time_are_kept_and_brought_back(tmp_path: Path) -> None:
    async with open_park(tmp_path, battery_config(2)) as park:
        config = bal_config(tmp_path, park, extra=HOME)
        for current_ma in (5, 7):
            async with (
                open_layer(config, park.clock) as layer,
                open_face(layer, speaks="v2") as face,
                Records("127.0.0.1", face.port) as client,
            ):
                asked = record(3, current_ma=current_ma, window_s=(LEAST, MOST))
                assert await client.ask(asked) == struct.pack("<I", 1)
                assert (await layer.status("home")).expected.current_ma == current_ma


async def test_v2_takes_requests_split_and_joined_anywhere(tmp_path: Path) -> None:
    async with served(tmp_path, "v2") as (port, _), Records("127.0.0.1", port) as client:
        asked = record(2)
        for cut in range(1, len(asked)):
            assert len(await client.ask(asked, cut=cut)) == 64
        assert len(await client.ask(asked + record(1) + record(3, window_s=WINDOW))) == 64
        assert await client.take(4) == struct.pack("<I", 64)
        await client.take(64)
        assert await client.take(8) == struct.pack("<2I", 4, 1)
