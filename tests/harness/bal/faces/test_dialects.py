"""The batteries of a layer as networked batteries, asked in each dialect over real sockets."""

from __future__ import annotations

import json
import ssl
from pathlib import Path

import pytest
import trio
import trio.testing
from pydantic import ValidationError

from harness.bal.faces.config import DialectFace
from harness.bal.faces.serving import open_faces
from harness.bal.happenings import SCHEDULE, SET_CURRENT
from harness.bal.journal import read_journal
from harness.bal.tls import client_context
from protocols.batteries import (
    Answered,
    Connect,
    Done,
    Failed,
    GetStatus,
    Refresh,
    Refused,
    Remove,
    SetCurrent,
    SetStatus,
    Status,
)
from tests.harness.bal.test_service import HOME, executed
from tests.support.bal import bal_config, open_layer, settled
from tests.support.batteries import FIRST_S, battery_config, open_park
from tests.support.faces import Asker, Authority, asking, open_face

FOREVER_MS = 4_000_000_000_000


def set_home(speaks: str, current_ma: int) -> SetCurrent:
    window = () if speaks == "v1" else (FIRST_S * 1_000, FOREVER_MS)
    return SetCurrent("home", current_ma, *window)


@pytest.mark.parametrize("piecemeal", [False, True])
@pytest.mark.parametrize("speaks", ["v1", "v2"])
async def test_a_battery_is_read_and_commanded(
    tmp_path: Path, speaks: str, piecemeal: bool
) -> None:
    async with open_park(tmp_path, battery_config(2)) as park:
        config = bal_config(tmp_path, park, extra=HOME)
        async with (
            open_layer(config, park.clock) as layer,
            open_face(layer, speaks=speaks) as face,
            asking(face, speaks) as asker,
        ):
            told = await asker.ask(GetStatus("home"), piecemeal=piecemeal)
            assert isinstance(told, Answered)
            assert isinstance(told.reply, Status)
            # Two packs of 110 Ah that are half full.
            assert (told.reply.charge_mah, told.reply.capacity_mah) == (110_000, 220_000)
            done = await asker.ask(set_home(speaks, -20_000), piecemeal=piecemeal)
            assert isinstance(done, Answered)
            assert done.reply == Done()
            await settled(layer)
        assert sum(executed(park, 0) + executed(park, 1)) == -20_000
        events, orders = read_journal(config.journal)
        (command,) = [event for event in events if event.command]
        assert command.kind == (SET_CURRENT if speaks == "v1" else SCHEDULE)
        assert str(command.command).startswith(f"{speaks}-")
        assert [order.fate for order in orders] == ["executed"] * 2


@pytest.mark.parametrize("speaks", ["v1", "v2"])
async def test_what_cannot_be_is_answered_and_the_connection_goes_on(
    tmp_path: Path, speaks: str
) -> None:
    async with open_park(tmp_path, battery_config(2)) as park:
        async with (
            open_layer(bal_config(tmp_path, park, extra=HOME), park.clock) as layer,
            open_face(layer, speaks=speaks) as face,
            asking(face, speaks) as asker,
        ):
            for request in (
                GetStatus("nobody"),
                set_home(speaks, 900_000_000),
                set_home(speaks, 200_000),
            ):
                assert isinstance(await asker.ask(request), Refused), request
            assert isinstance(await asker.ask(GetStatus("home")), Answered)
        assert executed(park, 0) == executed(park, 1) == []


async def test_a_part_of_another_battery_is_not_commanded_by_itself(tmp_path: Path) -> None:
    async with (
        open_park(tmp_path, battery_config(2)) as park,
        open_layer(bal_config(tmp_path, park, extra=HOME), park.clock) as layer,
        open_face(layer, speaks="v1") as face,
        asking(face, "v1") as asker,
    ):
        event = await asker.ask(SetCurrent("battery-0000001", 1))
        assert isinstance(event, Refused)
        assert "battery-0000001" in event.reason


async def test_refresh_reads_anew_whatever_the_age(tmp_path: Path) -> None:
    async with (
        open_park(tmp_path, battery_config(2)) as park,
        open_layer(bal_config(tmp_path, park, extra=HOME), park.clock) as layer,
        open_face(layer, speaks="v2") as face,
        asking(face, "v2") as asker,
    ):
        counted = []
        for request in (GetStatus("home"), GetStatus("home"), Refresh("home")):
            assert isinstance(await asker.ask(request), Answered)
            counted.append(layer.counts["readings"])
        assert counted == [2, 2, 4]


async def test_a_window_that_has_begun_counts_from_now_and_one_that_is_over_is_refused(
    tmp_path: Path,
) -> None:
    async with (
        open_park(tmp_path, battery_config(2)) as park,
        open_layer(bal_config(tmp_path, park, extra=HOME), park.clock) as layer,
        open_face(layer, speaks="v2") as face,
        asking(face, "v2") as asker,
    ):
        park.clock.stand_at(100)
        over = SetCurrent("home", 1, FIRST_S * 1_000, (FIRST_S + 99) * 1_000)
        assert isinstance(await asker.ask(over), Refused)
        begun = SetCurrent("home", 2, FIRST_S * 1_000, (FIRST_S + 200) * 1_000)
        assert isinstance(await asker.ask(begun), Answered)
        assert (await layer.status("home")).expected.current_ma == 2
        park.clock.stand_at(201)
        while layer.batteries.now_ms < (FIRST_S + 201) * 1_000:
            await trio.testing.wait_all_tasks_blocked(0.01)
        assert layer.batteries.status("home").expected.current_ma == 0


async def test_bad_callers_get_a_last_answer_and_hold_up_nobody(tmp_path: Path) -> None:
    async with (
        open_park(tmp_path, battery_config(2)) as park,
        open_layer(bal_config(tmp_path, park, extra=HOME), park.clock) as layer,
        open_face(layer, speaks="v1", connections=2) as face,
        asking(face, "v1") as good,
    ):
        assert isinstance(await good.ask(GetStatus("home")), Answered)
        async with await trio.open_tcp_stream("127.0.0.1", face.port) as bad:
            await bad.send_all(b'nonsense{"')
            answer = b"".join([bytes(part) async for part in bad])
            assert answer.endswith(b"\0")
            assert json.loads(answer[:-1])["error"]
        async with await trio.open_tcp_stream("127.0.0.1", face.port) as half:
            await half.send_all(b'{"request": "get_st')
        async with await trio.open_tcp_stream("127.0.0.1", face.port) as silent:
            while face.connections < 2:
                await trio.testing.wait_all_tasks_blocked()
            async with await trio.open_tcp_stream("127.0.0.1", face.port) as third:
                assert await no_answer(third)
            assert layer.counts["v1: turned away"] == 1
            await silent.send_all(b'{"request": "get_status", "name": "home"}')
            assert await silent.receive_some(4_096)
        assert isinstance(await good.ask(GetStatus("home")), Answered)


async def no_answer(stream: trio.SocketStream) -> bool:
    try:
        return await stream.receive_some(1) == b""
    except trio.BrokenResourceError:
        return True


async def test_v3_names_its_battery_first_and_refuses_what_is_not_for_it(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    files = authority.files("node")
    async with (
        open_park(tmp_path, battery_config(2)) as park,
        open_layer(bal_config(tmp_path, park, extra=HOME), park.clock) as layer,
        open_face(layer, speaks="v3", tls=files) as face,
    ):
        raw = await trio.open_tcp_stream("127.0.0.1", face.port)
        context = client_context(authority.files("client"))
        async with trio.SSLStream(raw, context, server_hostname="127.0.0.1") as stream:
            asker = Asker(stream, "v3")
            assert isinstance(await asker.ask(Connect("nobody")), Refused)
            assert isinstance(await asker.ask(Connect("home"), piecemeal=True), Answered)
            told = await asker.ask(GetStatus("home"))
            assert isinstance(told, Answered)
            assert isinstance(told.reply, Status)
            assert isinstance(await asker.ask(set_home("v3", 5_000)), Answered)
            assert isinstance(await asker.ask(set_home("v3", 200_000)), Refused)
            assert isinstance(await asker.ask(SetStatus("home", told.reply)), Refused)
            assert isinstance(await asker.ask(Remove("home")), Answered)
            assert isinstance(await asker.ask(GetStatus("home")), Refused)


@pytest.mark.parametrize("who", ["nobody", "a stranger", "no TLS"])
async def test_v3_lets_in_only_whom_its_authority_has_signed(tmp_path: Path, who: str) -> None:
    authority = Authority(tmp_path)
    stranger = Authority(tmp_path, "other").files("stranger", trusts=authority)
    async with (
        open_park(tmp_path, battery_config(2)) as park,
        open_layer(bal_config(tmp_path, park, extra=HOME), park.clock) as layer,
        open_face(layer, speaks="v3", tls=authority.files("node")) as face,
    ):
        raw = await trio.open_tcp_stream("127.0.0.1", face.port)
        stream: trio.abc.Stream = raw
        if who != "no TLS":
            context = client_context(stranger)
            if who == "nobody":
                context = ssl.create_default_context(cafile=str(authority.file))
            stream = trio.SSLStream(raw, context, server_hostname="127.0.0.1")
        with pytest.raises((trio.BrokenResourceError, Answerless)):
            await answered(stream)
        await trio.aclose_forcefully(stream)
        while face.connections:
            await trio.testing.wait_all_tasks_blocked()
        assert layer.counts["v3: broken"] == 1
        assert not layer.counts["v3: done"]


class Answerless(Exception):
    """The other end has closed."""


async def answered(stream: trio.abc.Stream) -> None:
    event = await Asker(stream, "v3").ask(Connect("home"))
    if isinstance(event, Failed):
        raise Answerless


async def test_without_certificates_v3_is_no_face() -> None:
    with pytest.raises(ValidationError, match="certificates"):
        DialectFace(speaks="v3", port=0)


async def test_a_face_whose_files_are_not_there_says_which_and_leaves_no_listener(
    tmp_path: Path,
) -> None:
    files = Authority(tmp_path).files("node").model_copy(update={"key": tmp_path / "no.key"})
    faces = (DialectFace(speaks="v1", port=0), DialectFace(speaks="v3", port=0, tls=files))
    with pytest.raises(OSError, match=r"no\.key"):
        await open_faces(faces)
