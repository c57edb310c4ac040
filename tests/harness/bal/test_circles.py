"""Nodes whose batteries are made of each other's: asked in a circle, they answer all the same."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from pydantic import TypeAdapter

from emulator.batteries.grid import battery_name
from emulator.identity import concentrator_address
from harness.bal.config import BalConfig
from harness.bal.errors import CurrentOutOfRangeError, UnknownBatteryError
from harness.bal.faces.config import FaceConfig
from harness.bal.faces.serving import OpenFace, open_faces
from harness.bal.happenings import MAKE_AGGREGATOR, REMOVE, SET_CURRENT
from harness.bal.keeper import CIRCLE_RETRY_S
from harness.bal.service import BatteryLayer
from tests.support.bal import PATIENCE_S, open_layer, settled
from tests.support.batteries import Park, battery_config, open_park
from tests.support.faces import Authority

CIRCLE_S = 0.3
SPEAKS = ["v1", "v2", "v3", "sunspec"]


@dataclass
class Node:
    """One of some nodes in a ring: a battery of its own and one of the next node's, as one."""

    number: int
    layer: BatteryLayer

    @property
    def whole(self) -> str:
        return f"whole-{self.number}"

    @property
    def other(self) -> str:
        return f"other-{self.number}"

    async def charge(self) -> int:
        """Return the charge that the node tells."""
        return (await self.layer.status(self.whole)).current.charge_ma_ms

    async def own_charge(self) -> int:
        return (await self.layer.status(battery_name(self.number))).current.charge_ma_ms

    def cuts(self) -> int:
        return self.layer.counts["lost: circle"]


def topology(number: int, *, closed: bool) -> str:
    """Return what a node is made of; in a ring that is not closed, one is not made of the next."""
    text = ""
    for name, kind in ((battery_name(number), "physical"), (f"other-{number}", "networked")):
        text += (
            f'[[battery]]\nname = "{name}"\nkind = "{kind}"\ninterface = "x"\n'
            "voltage_mv = 51_200\ncapacity_mah = 110_000\n"
            "max_charge_ma = 40_000\nmax_discharge_ma = 60_000\n"
        )
    sources = [battery_name(number), *([f"other-{number}"] if closed else [])]
    return text + f'[[aggregate]]\nname = "whole-{number}"\nsources = {sources}\n'


def config(folder: Path, park: Park, number: int, to: dict[str, Any], **more: Any) -> BalConfig:
    own = {"driver": "jbd", "host": concentrator_address(number), "port": park.port}
    return BalConfig.model_validate(
        {
            "control_socket": folder / f"{number}.sock",
            "journal": folder / f"{number}.sqlite",
            "topology": folder / f"{number}.toml",
            "endpoints": {battery_name(number): own, f"other-{number}": to},
            "timeout_s": 10 * PATIENCE_S,
            "group_commit_s": 0.0,
            "circle_s": CIRCLE_S,
            **more,
        }
    )


def ways(folder: Path, speaks: str, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what is said of a node's face, and of the endpoint that leads to it."""
    face: dict[str, Any] = {"speaks": speaks, "port": 0}
    to: dict[str, Any] = {"driver": speaks, "host": "127.0.0.1"}
    if speaks == "sunspec":
        return face | {"units": {7: f"whole-{number}"}}, to | {"unit": 7}
    if speaks == "v3":
        authority = Authority(folder, f"authority-{number}")
        face["tls"] = authority.files(f"node-{number}").model_dump()
        to["tls"] = authority.files(f"client-{number}").model_dump()
    return face, to | {"battery": f"whole-{number}"}


@asynccontextmanager
async def ring(
    folder: Path, speaks: Sequence[str], *, closed: bool = True, **more: Any
) -> AsyncIterator[tuple[list[Node], Park]]:
    """Let there be nodes of which each is asked in a dialect, by the one before."""
    faces: list[OpenFace] = []
    ends = []
    for number, word in enumerate(speaks):
        face, to = ways(folder, word, number)
        parsed: FaceConfig = TypeAdapter(FaceConfig).validate_python(face)
        faces += await open_faces([parsed])
        ends.append(to | {"port": faces[-1].port})
        last = number == len(speaks) - 1
        text = topology(number, closed=closed or not last)
        (folder / f"{number}.toml").write_text(text)
    async with open_park(folder, battery_config(len(speaks))) as park, trio.open_nursery() as tasks:

        async def serve(number: int, task_status: trio.TaskStatus[Node]) -> None:
            to = ends[(number + 1) % len(ends)]
            told = config(folder, park, number, to, **more)
            async with open_layer(told, park.clock) as layer:
                task_status.started(Node(number, layer))
                await faces[number].run(layer)

        yield [await tasks.start(serve, number) for number in range(len(speaks))], park
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("speaks", SPEAKS)
async def test_who_is_asked_in_a_circle_answers_with_what_is_its_own(
    tmp_path: Path, speaks: str
) -> None:
    """Nobody waits for a timeout, and nothing is counted twice, however often they are asked."""
    async with ring(tmp_path, [speaks] * 2) as (nodes, park):
        one, other = nodes
        with trio.fail_after(PATIENCE_S / 2):
            for second in range(5):
                # Whatever they know of each other is too old by then.
                park.clock.stand_at(10.0 * second)
                charges = [await node.charge() for node in nodes]
                own = [await node.own_charge() for node in nodes]
                # One of them was cut and has its own only; the other one has both.
                assert min(charges) in own
                assert max(charges) == pytest.approx(sum(own), rel=1e-3)
        assert one.cuts() + other.cuts() == 1


async def test_both_asked_at_once_answer(tmp_path: Path) -> None:
    async with ring(tmp_path, ["v2", "v2"]) as (nodes, park):
        with trio.fail_after(PATIENCE_S / 2):
            async with trio.open_nursery() as nursery:
                for node in nodes * 3:
                    nursery.start_soon(node.charge)
            park.clock.stand_at(10.0)
            for node in nodes:
                assert await node.charge() <= 1.001 * sum([await one.own_charge() for one in nodes])
        assert 1 <= sum(node.cuts() for node in nodes) <= 2


async def test_a_ring_of_three_that_speak_each_another_dialect_answers(tmp_path: Path) -> None:
    async with ring(tmp_path, ["v1", "v2", "sunspec"]) as (nodes, park):
        with trio.fail_after(PATIENCE_S / 2):
            for second in range(3):
                park.clock.stand_at(10.0 * second)
                charges = sorted([await node.charge() for node in nodes])
                assert charges[-1] <= 1.001 * sum([await node.own_charge() for node in nodes])
        assert sum(node.cuts() for node in nodes) == 1


async def test_a_circle_that_is_closed_later_counts_nothing_twice(tmp_path: Path) -> None:
    """What each knows of the other is fresh, so that nobody would have to wait for anybody."""
    active = {"mode": "active", "max_staleness_ms": 1_000}
    # Long enough for a busy machine: before the circle is closed, nobody is cut.
    patient = {"refresh": active, "circle_s": 2.0}
    async with ring(tmp_path, ["v2", "v2"], closed=False, **patient) as (nodes, park):
        with trio.fail_after(PATIENCE_S / 2):
            last = nodes[1]
            for node in nodes:
                while not (await node.layer.status(node.other)).online:
                    await trio.testing.wait_all_tasks_blocked(0.01)
            sources = [battery_name(last.number), last.other]
            await last.layer.command(REMOVE, {"name": last.whole})
            await last.layer.command(MAKE_AGGREGATOR, {"name": last.whole, "sources": sources})
            own = sum([await node.own_charge() for node in nodes])
            tenth = 0
            while not sum(node.cuts() for node in nodes):
                tenth += 1
                park.clock.stand_at(0.1 * tenth)
                await trio.testing.wait_all_tasks_blocked(0.01)
                told = [node.layer.batteries.status(node.other) for node in nodes]
                assert max(one.current.charge_ma_ms for one in told) <= 1.001 * own
            park.clock.stand_at(0.1 * tenth + 10)
            assert max([await node.charge() for node in nodes]) <= 1.001 * own


async def test_commands_in_a_circle_are_carried_out_and_no_others(tmp_path: Path) -> None:
    async with ring(tmp_path, ["v2", "v2"]) as (nodes, park):
        with trio.fail_after(PATIENCE_S / 2):
            for node in nodes:
                await node.charge()
            (cut,) = [node for node in nodes if node.cuts()]
            # The one that was cut commands its own; who is made of it and more gives way to it.
            await cut.layer.command(SET_CURRENT, {"name": cut.whole, "current_ma": 5_000})
            await settled(cut.layer)
            assert park.fleet.batteries[cut.number].set_ma == 5_000
            with pytest.raises(CurrentOutOfRangeError):
                await cut.layer.command(SET_CURRENT, {"name": cut.whole, "current_ma": 61_000})


async def test_a_chain_is_no_circle_however_many_ask_at_once(tmp_path: Path) -> None:
    async with ring(tmp_path, ["v1", "v2", "v2"], closed=False, circle_s=10.0) as (nodes, park):
        for second in range(3):
            park.clock.stand_at(10.0 * second)
            async with trio.open_nursery() as nursery:
                for node in nodes * 5:
                    nursery.start_soon(node.charge)
            own = [await node.own_charge() for node in nodes]
            assert await nodes[0].charge() == pytest.approx(sum(own), rel=1e-3)
            assert await nodes[1].charge() == pytest.approx(sum(own[1:]), rel=1e-3)
        assert not sum(node.cuts() for node in nodes)


async def test_who_was_cut_is_let_alone_for_a_while_that_differs(tmp_path: Path) -> None:
    async with ring(tmp_path, ["v2", "v2"]) as (nodes, _):
        keepers = [node.layer.keepers[node.other] for node in nodes]
        pauses = []
        for keeper in keepers * 3:
            keeper._cuts += 1
            pauses.append(keeper._circle()[0])
        assert len(set(pauses)) == 6
        assert all(CIRCLE_RETRY_S <= pause <= 2 * CIRCLE_RETRY_S for pause in pauses)


async def test_nobody_waits_for_a_battery_that_is_removed(tmp_path: Path) -> None:
    """The other node says nothing at all while its battery is asked for, and then removed."""
    (tmp_path / "0.toml").write_text(topology(0, closed=False))
    refused = trio.Event()

    async def ask(layer: BatteryLayer) -> None:
        with pytest.raises(UnknownBatteryError):
            await layer.status("other-0")
        refused.set()

    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_tcp, silent, 0, host="127.0.0.1")
        listeners = await nursery.start(serve)
        port = listeners[0].socket.getsockname()[1]
        to = {"driver": "v1", "host": "127.0.0.1", "port": port}
        async with (
            open_park(tmp_path, battery_config(1)) as park,
            open_layer(config(tmp_path, park, 0, to), park.clock) as layer,
        ):
            nursery.start_soon(ask, layer)
            while layer.keepers["other-0"].under_way is None:
                await trio.testing.wait_all_tasks_blocked(0.01)
            await layer.command("remove", {"name": "other-0"})
            await refused.wait()
        nursery.cancel_scope.cancel()


async def silent(stream: trio.SocketStream) -> None:
    await trio.sleep_forever()
