"""The control socket: every question, and every way to ask wrongly."""

from __future__ import annotations

import stat
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.messages import MessageStream
from harness.headend.commands import Commands
from harness.headend.control import Control
from harness.headend.dialer import Dialer
from harness.headend.service import Shard
from harness.store.errors import StoreError
from harness.store.interface import Store
from harness.store.usage_file import take_usage
from protocols.errors import CodecError
from tests.support.concentrator_model import FIRST_S, STEP_S
from tests.support.headend import METERS, Pusher, listening, provisioned, shard_of

USAGE = {
    "folder": "/no/such",
    "stem": "x",
    "windows": [[FIRST_S, FIRST_S + STEP_S, 0]],
    "step_s": STEP_S,
    "profile": 1,
    "imported": "import_wh",
    "exported": "import_rate2_wh",
    "meters": None,
    "margin_s": 0,
}
COMMAND = {"id": 7, "meter": 1, "kind": "tariff", "parameter": "2", "created_at_us": 5}


class Asked:
    """A shard behind its control socket."""

    def __init__(self, shard: Shard, path: Path, port: int) -> None:
        self.shard, self.path, self.port = shard, path, port
        self.stopped = trio.Event()

    async def __call__(self, ask: object, **details: Any) -> dict[str, Any]:
        """Return the whole answer to one question."""
        async with await trio.open_unix_socket(self.path) as stream:
            messages = MessageStream(stream)
            await messages.send({"ask": ask, **details})
            answer = await messages.receive()
            assert answer is not None
            return dict(answer)


@asynccontextmanager
async def controlled(store: Store, folder: Path, **changes: Any) -> AsyncIterator[Asked]:
    """Let a shard take pushes and questions for the length of an ``async with``."""
    path = folder / "control.sock"
    shard = shard_of(store, provisioned(2), control_socket=path, **changes)
    commands = Commands(shard, Dialer(shard))
    async with listening(shard) as listener, trio.open_nursery() as nursery:
        asked = Asked(shard, path, listener.port)
        await nursery.start(Control(shard, commands, asked.stopped.set).run)
        nursery.start_soon(commands.run)
        yield asked
        nursery.cancel_scope.cancel()


async def test_readings_are_told_with_their_registers(store: Store, tmp_path: Path) -> None:
    async with controlled(store, tmp_path) as asked:
        await Pusher().push(asked.port, 0, 1)
        answer = await asked("readings", meter=1, from_s=FIRST_S, to_s=FIRST_S + 1)
    told = answer["answer"]
    assert told["registers"] == list(store.registers)
    assert told["captured_at_s"] == [FIRST_S]
    assert told["values"] == [[1, 1, 1, 1]]
    assert len(told["stored_at_us"]) == len(told["status"]) == len(told["via"]) == 1


async def test_status_and_gaps_follow_the_scenario_clock(store: Store, tmp_path: Path) -> None:
    async with controlled(store, tmp_path) as asked:
        assert (await asked("status"))["answer"]["missing"] == 0
        assert (await asked("gaps"))["answer"] == []
        await Pusher().push(asked.port, 0)
        triple = [time.monotonic(), FIRST_S + 2.5 * STEP_S, 1e-6]
        assert await asked("clock", triple=triple) == {"answer": {}}
        status = (await asked("status"))["answer"]
        gaps = (await asked("gaps"))["answer"]
    assert asked.shard.clock_started.is_set()
    assert status["missing"] == 5 * METERS
    assert status["commits"]["rows_stored"] == METERS
    assert status["counts"]["pushes acknowledged"] == 1
    assert status["conflicts"] == 0
    assert status["size_bytes"] > 0
    assert gaps == [
        {"concentrator": 0, "from_s": FIRST_S + STEP_S, "to_s": FIRST_S + STEP_S, "missing": 3},
        {"concentrator": 1, "from_s": FIRST_S, "to_s": FIRST_S + STEP_S, "missing": 6},
    ]


async def test_devices_are_told_in_pages_without_their_keys(store: Store, tmp_path: Path) -> None:
    async with controlled(store, tmp_path) as asked:
        page = (await asked("devices", first=1, count=5))["answer"]
    assert page == [
        {
            "number": 1,
            "name": "MSC0000000000002",
            "address": "127.0.0.1:1",
            "link": "lte",
            "first_meter": METERS,
            "meters": METERS,
        }
    ]


async def test_a_command_is_in_the_journal_when_it_is_answered(
    store: Store, tmp_path: Path
) -> None:
    async with controlled(store, tmp_path) as asked:
        assert await asked("command", **COMMAND) == {"answer": {}}
        (line,) = (await asked("commands"))["answer"]
        again = await asked("command", **COMMAND | {"meter": 2})
    assert (line["id"], line["kind"], line["parameter"]) == (7, "tariff", "2")
    assert again["kind"] == "invalid"


async def test_the_journal_is_told_in_pages(store: Store, tmp_path: Path) -> None:
    async with controlled(store, tmp_path) as asked:
        for number in (9, 3, 5):
            await asked("command", **COMMAND | {"id": number})
        page = (await asked("commands", after=3, count=1))["answer"]
        rest = (await asked("commands", after=5))["answer"]
        none = await asked("commands", count=0)
    assert [line["id"] for line in page] == [5]
    assert [line["id"] for line in rest] == [9]
    assert none["kind"] == "invalid"


async def test_old_readings_are_forgotten(store: Store, tmp_path: Path) -> None:
    async with controlled(store, tmp_path) as asked:
        await Pusher().push(asked.port, 0, 1)
        assert await asked("forget", before_s=FIRST_S + 1) == {"answer": METERS}
        assert await asked("forget", before_s=FIRST_S + 1) == {"answer": 0}
    assert store.slots().tolist() == [FIRST_S + STEP_S]


async def test_what_was_forgotten_is_no_gap_for_this_life_and_the_next(
    store: Store, tmp_path: Path
) -> None:
    clock, file = (time.monotonic(), FIRST_S + 2.5 * STEP_S, 1e-6), tmp_path / "recoveries.json"
    for _ in range(2):
        async with controlled(store, tmp_path, clock=clock, recoveries=file) as asked:
            await asked("forget", before_s=FIRST_S + 1)
            gaps = (await asked("gaps"))["answer"]
            assert {gap["from_s"] for gap in gaps} == {FIRST_S + STEP_S}
            shard = asked.shard
        assert shard.presence.missing_total(FIRST_S) == 0
    assert file.exists()
    async with controlled(store, tmp_path, clock=clock, recoveries=file) as asked:
        gaps = (await asked("gaps"))["answer"]
        assert {gap["from_s"] for gap in gaps} == {FIRST_S + STEP_S}


async def test_what_was_lost_is_missing_and_can_be_recovered(store: Store, tmp_path: Path) -> None:
    clock = (time.monotonic(), FIRST_S + 0.5 * STEP_S, 1e-6)
    async with controlled(store, tmp_path, clock=clock) as asked:
        await Pusher().push(asked.port, 0)
        assert (await asked("status"))["answer"]["missing"] == METERS
        assert await asked("lose", before_s=FIRST_S + 1) == {"answer": METERS}
        status = (await asked("status"))["answer"]
        assert (status["missing"], status["recovering"]) == (2 * METERS, 0)
        asked_for = (await asked("recover", from_s=FIRST_S - 9_000, to_s=FIRST_S + 1))["answer"]
        # The capture of now is on its way.
        span = asked_for["from_s"], asked_for["to_s"]
        assert (asked_for["id"], *span) == (1, FIRST_S - 9_000, FIRST_S - STEP_S)
        assert (await asked("recoveries"))["answer"] == [asked_for]
        assert (await asked("status"))["answer"]["recovering"] == 1
        refused = await asked("recover", from_s=FIRST_S, to_s=FIRST_S + 5)
    assert refused["kind"] == "invalid"
    assert "nothing to recover" in refused["error"]


async def test_usage_is_two_files(store: Store, tmp_path: Path) -> None:
    async with controlled(store, tmp_path) as asked:
        await Pusher().push(asked.port, 0, 1)
        answer = await asked("usage", **USAGE | {"folder": str(tmp_path), "stem": "one"})
    assert answer == {"answer": {}}
    usage = take_usage(tmp_path, "one")
    assert usage.standing.readings.tolist() == [2] * METERS
    assert usage.energy.import_wh.tolist() == [0] * METERS
    with pytest.raises(StoreError):
        take_usage(tmp_path, "one")


@pytest.mark.parametrize("file_format", ["parquet", "csv"])
async def test_an_export_is_a_file(store: Store, tmp_path: Path, file_format: str) -> None:
    target = tmp_path / "export"
    async with controlled(store, tmp_path) as asked:
        await Pusher().push(asked.port, 0)
        answer = await asked(
            "export", path=str(target), format=file_format, from_s=0, to_s=FIRST_S + 1
        )
    assert answer == {"answer": {"path": str(target)}}
    with duckdb.connect() as database:
        query = f"SELECT count(*) FROM read_{file_format}('{target}')"
        assert database.execute(query).fetchall() == [(METERS,)]


async def test_stop_answers_and_stops(store: Store, tmp_path: Path) -> None:
    async with controlled(store, tmp_path) as asked:
        assert await asked("stop") == {"answer": {}}
        await asked.stopped.wait()


async def test_the_socket_is_its_owners_only(store: Store, tmp_path: Path) -> None:
    async with controlled(store, tmp_path) as asked:
        assert stat.S_IMODE(asked.path.stat().st_mode) == 0o600


WRONG = [
    ("nonsense", {}, "unknown"),
    (None, {}, "unknown"),
    (["readings"], {}, "unknown"),
    ("readings", {}, "unknown"),
    ("readings", {"meter": "x", "from_s": 0, "to_s": 1}, "invalid"),
    ("readings", {"meter": None, "from_s": 0, "to_s": 1}, "invalid"),
    ("readings", {"meter": 1, "from_s": float("inf"), "to_s": 1}, "invalid"),
    ("devices", {"first": 0, "count": 0}, "invalid"),
    ("devices", {"first": 0, "count": 10**9}, "invalid"),
    ("command", COMMAND | {"meter": 10**6}, "unknown"),
    ("command", COMMAND | {"kind": "explode"}, "invalid"),
    ("command", COMMAND | {"parameter": "x"}, "invalid"),
    ("command", COMMAND | {"id": 2**64 - 1}, "invalid"),
    ("export", {"path": "/x", "format": "csv); DROP TABLE readings; --"}, "invalid"),
    ("export", {"path": "/no/such/x", "format": "csv", "from_s": 0, "to_s": 1}, "store"),
    ("usage", USAGE, "store"),
    ("forget", {}, "unknown"),
    ("forget", {"before_s": "x"}, "invalid"),
    ("usage", USAGE | {"windows": []}, "invalid"),
    ("usage", USAGE | {"windows": [[1, 2]]}, "invalid"),
    ("usage", USAGE | {"meters": [1]}, "invalid"),
    ("usage", USAGE | {"imported": "x; DROP TABLE readings; --"}, "invalid"),
    ("usage", {"windows": []}, "unknown"),
    ("clock", {"triple": [1.0, 2.0]}, "invalid"),
    ("clock", {"triple": [1.0, 2.0, 0.0]}, "invalid"),
    ("clock", {"triple": [1.0, float("nan"), 1.0]}, "invalid"),
    ("clock", {"triple": ["x", 2.0, 1.0]}, "invalid"),
    ("clock", {"triple": 5}, "invalid"),
]


@pytest.mark.parametrize(("ask", "details", "kind"), WRONG)
async def test_a_wrong_question_is_answered_and_the_service_goes_on(
    store: Store, tmp_path: Path, ask: object, details: dict[str, Any], kind: str
) -> None:
    async with controlled(store, tmp_path) as asked:
        answer = await asked(ask, **details)
        assert answer["kind"] == kind
        assert answer["error"]
        assert (await asked("commands"))["answer"] == []
        assert not asked.shard.clock_started.is_set()


async def test_an_answer_too_long_to_send_is_said_to_be(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = MessageStream.send

    async def bounded(stream: MessageStream, message: dict[str, Any]) -> None:
        if "registers" in message.get("answer", ()):
            raise CodecError("too long", codec="message", path="length")
        await send(stream, message)

    monkeypatch.setattr(MessageStream, "send", bounded)
    async with controlled(store, tmp_path) as asked:
        answer = await asked("readings", meter=0, from_s=0, to_s=1)
    assert answer["kind"] == "invalid"
    assert "ask for less" in answer["error"]


async def test_a_socket_left_by_a_dead_shard_is_replaced(store: Store, tmp_path: Path) -> None:
    (tmp_path / "control.sock").write_text("left behind")
    async with controlled(store, tmp_path) as asked:
        assert "answer" in await asked("status")


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(garbage=st.binary(min_size=1, max_size=60))
def test_garbage_ends_its_own_connection_only(store: Store, tmp_path: Path, garbage: bytes) -> None:
    async def run() -> None:
        async with controlled(store, tmp_path) as asked:
            async with await trio.open_unix_socket(asked.path) as stream:
                await stream.send_all(garbage)
                await stream.send_eof()
                with trio.fail_after(5):
                    while await stream.receive_some():
                        pass
            assert (await asked("devices", first=0, count=1))["answer"]

    trio.run(run)
