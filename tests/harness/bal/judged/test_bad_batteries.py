"""Batteries that say what cannot be: they are out of reach, and nobody else is the worse for it."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import trio

from harness.bal.config import Endpoint
from harness.bal.drivers import Driver, Memory
from harness.bal.drivers.driver import Line
from harness.bal.journal import Fate, Order
from harness.bal.keeper import Keeper
from harness.bal.model.values import Nameplate, Reading
from tests.harness.bal.judged.rig import PATIENCE_S, Node, Pack, impatient_node, node

Cut: TypeAlias = Callable[[bytes], int]
Answer: TypeAlias = Callable[[bytes], bytes | None]

# How long the first request in a buffer is; 0: more octets are needed.


def json_size(octets: bytes) -> int:
    return octets.find(b"}") + 1


def record_size(octets: bytes) -> int:
    return 4 + int.from_bytes(octets[:4], "little") if len(octets) >= 4 else 0


def jbd_size(octets: bytes) -> int:
    return 7 + octets[3] if len(octets) >= 4 else 0


def modbus_size(octets: bytes) -> int:
    return 6 + int.from_bytes(octets[4:6], "big") if len(octets) >= 6 else 0


def told(**changes: object) -> bytes:
    """Return a status of dialect v1."""
    status: dict[str, object] = {
        "voltage": 50.0,
        "current": 0.0,
        "state_of_charge": 50.0,
        "max_capacity": 100.0,
        "max_discharging_current": 50.0,
        "max_charging_current": 50.0,
    }
    return json.dumps({"response": status | changes}).encode() + b"\0"


def record(at: int | None = None, value: int = 0) -> bytes:
    """Return a status of dialect v2."""
    fields = [50_000, 0, 50_000, 100_000, 50_000, 50_000, 1_767_225_600, 0]
    if at is not None:
        fields[at] = value
    return struct.pack("<I8q", 64, *fields)


def reply(data: bytes, *, register: int = 3, status: int = 0, off: int = 0) -> bytes:
    """Return a JBD reply; ``off``: by how much its checksum is wrong."""
    summed = bytes([status, len(data)]) + data
    check = (off - sum(summed)) & 0xFFFF
    return bytes([0xDD, register]) + summed + struct.pack(">HB", check, 0x77)


def pack(sensors: int = 2, temperatures: int | None = None) -> bytes:
    """Return what register 03 holds."""
    head = (5_000, 0, 5_000, 10_000, 3, 0x3221, 0, 0, 0, 16, 50, 3, 16, sensors)
    count = sensors if temperatures is None else temperatures
    return struct.pack(">HhHHHHHHHBBBBB", *head) + b"\x0b\xa5" * count


LEAST, MOST = -(2**63), 2**63 - 1
JSON = {
    "no end": told()[:-1],
    "no UTF-8": b"\xff\xfe\0",
    "NaN": told().replace(b"50.0", b"NaN"),
    "Infinity": told().replace(b"50.0", b"Infinity"),
    "1e400": told().replace(b"50.0", b"1e400"),
    "1e12": told(state_of_charge=1e12, max_capacity=1e12),
    "a charge below nothing": told(state_of_charge=-1),
    "a limit below nothing": told(max_charging_current=-1),
    "a megaampere": told(current=1.1e6),
    "nothing": b"\0",
    "no fields": b'{"response":{}}\0',
    "null": b'{"response":null}\0',
    "a list": b"[1]\0",
    "an error": b'{"response":null,"error":"\\ud800"}\0',
    "text": told(voltage="50"),
    "truth": told(voltage=True),
    "depth": b"[" * 4_000 + b"\0",
    "length": b"{" + b" " * 10_000,
}
RECORDS = {
    **{f"the most {at}": record(at, MOST) for at in range(6)},
    **{f"the least {at}": record(at, LEAST) for at in range(6)},
    "no record": struct.pack("<I", 0),
    "a code": struct.pack("<II", 4, 1),
    "a lying length": struct.pack("<I", 2**32 - 1),
    "half": record()[:30],
}
FRAMES = {
    "too few sensors": reply(pack(5, 1)),
    "cut": reply(pack()[:20]),
    "nothing": reply(b""),
    "refused": reply(b"", status=0x80),
    "another status": reply(pack(), status=0x81),
    "a wrong sum": reply(pack(), off=1),
    "another register": reply(pack(), register=4),
    "half": reply(pack())[:15],
    "silence": b"",
}
GOOD_FRAMES = {
    **{f"{count} sensors": reply(pack(count)) for count in (0, 1, 3, 8, 116)},
    "more at the end": reply(pack() + b"\1\2\3"),
    "garbage before": b"\0\xff\xdd\xdd" + reply(pack()),
    "another register before": reply(b"", register=4) + reply(pack()),
}


def answers_json(octets: bytes) -> Answer:
    return lambda request: octets if b"get_status" in request else b'{"response": null}\0'


def answers_record(octets: bytes) -> Answer:
    return lambda request: octets if request[4] < 3 else struct.pack("<II", 4, 1)


def answers_frame(octets: bytes) -> Answer:
    def answer(request: bytes) -> bytes:
        if request[1] == 0xA5 and request[2] == 3:
            return octets
        return reply(b"\0\0" if request[2] in (0x28, 0x29) else b"", register=request[2])

    return answer


def spoilt(kind: str) -> Answer:
    """Return a Modbus device that has a mark and spoils its answers in one way."""

    def answer(request: bytes) -> bytes | None:
        head, unit = request[:4], request[6:7]
        good = b"\3\4SunS"
        size = struct.pack(">H", len(good) + 1)
        match kind:
            case "another transaction":
                return b"\xff\xff" + head[2:] + size + unit + good
            case "another protocol":
                return head[:2] + b"\0\1" + size + unit + good
            case "a length of 1":
                return head + b"\0\1" + unit + good
            case "a lying length":
                return head + b"\0\xfe" + unit + good
            case "an exception without a code":
                return head + b"\0\2" + unit + b"\x83"
            case "too few registers":
                return head + b"\0\5" + unit + b"\3\2Su"
            case "no map":
                return head + b"\0\3" + unit + b"\x83\2"
            case "a chain without end":
                return (
                    head + size + unit + (good if request[8:10] == b"\x9c\x40" else b"\3\4\0\5\0\0")
                )
            case _:
                return None

    return answer


SPOILT = (
    "another transaction",
    "another protocol",
    "a length of 1",
    "a lying length",
    "an exception without a code",
    "too few registers",
    "no map",
    "a chain without end",
    "hangs up",
)


async def device(nursery: trio.Nursery, cut: Cut, answer: Answer) -> int:
    """Serve a device; return its port. With nothing to answer it hangs up."""

    async def serve(stream: trio.SocketStream) -> None:
        waiting = b""
        try:
            async for octets in stream:
                waiting += octets
                while 0 < (size := cut(waiting)) <= len(waiting):
                    request, waiting = waiting[:size], waiting[size:]
                    said = answer(request)
                    if said is None:
                        return
                    await stream.send_all(said)
        except trio.BrokenResourceError:
            return
        finally:
            await trio.aclose_forcefully(stream)

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    nursery.start_soon(trio.serve_listeners, serve, listeners)
    port: int = listeners[0].socket.getsockname()[1]
    return port


async def judged(layer: Node, nursery: trio.Nursery, url: str, cut: Cut, answer: Answer) -> bool:
    """Make a battery; return whether it can be reached. Then it is removed."""
    port = await device(nursery, cut, answer)
    await layer.do(
        "/batteries",
        name="bad",
        interface=url.format(port),
        voltage_mv=50_000,
        capacity_mah=100_000,
        max_charge_ma=50_000,
        max_discharge_ma=50_000,
    )
    status = await layer.get("/batteries/bad")
    if status["sources_online"]:
        assert status["current"]["charge_ma_ms"] == 50 * 3_600_000_000
        assert status["current"]["charged_ppm"] == 500_000
    else:
        assert status["current"]["max_discharge_ma"] == 0
        assert status["expected"]["max_discharge_ma"] == 50_000
        asked = await layer.refused("/batteries/bad/current", current_ma=1)
        assert asked[:2] == (422, "CurrentOutOfRangeError")
    assert (await layer.ask("DELETE", "/batteries/bad"))[0] == 200
    return bool(status["sources_online"])


async def test_what_cannot_be_is_out_of_reach_and_hurts_nobody(tmp_path: Path) -> None:
    async with impatient_node(tmp_path, 0.3, {"A": Pack(50, 100, 50, 50)}) as layer:
        await layer.battery("A")
        async with trio.open_nursery() as nursery:
            with trio.fail_after(PATIENCE_S):
                bad = [
                    *(
                        ("v1://127.0.0.1:{}/x", json_size, answers_json(one))
                        for one in JSON.values()
                    ),
                    *(
                        ("v2://127.0.0.1:{}/x", record_size, answers_record(one))
                        for one in RECORDS.values()
                    ),
                    *(
                        ("jbd://127.0.0.1:{}", jbd_size, answers_frame(one))
                        for one in FRAMES.values()
                    ),
                    *(("sunspec://127.0.0.1:{}/1", modbus_size, spoilt(one)) for one in SPOILT),
                ]
                names = [*JSON, *RECORDS, *FRAMES, *SPOILT]
                for name, (url, cut, answer) in zip(names, bad, strict=True):
                    assert not await judged(layer, nursery, url, cut, answer), (url, name)
                for name, frame in GOOD_FRAMES.items():
                    answer = answers_frame(frame)
                    assert await judged(layer, nursery, "jbd://127.0.0.1:{}", jbd_size, answer), (
                        name
                    )
            await layer.do("/batteries/A/current", current_ma=1_000)
            assert await layer.told("A") == [1]
            nursery.cancel_scope.cancel()


INTERFACES = [
    "",
    "words for people",
    "jbd:///a\0b",
    "jbd:///dev/zero",
    "jbd:///dev/none",
    "jbd://{folder}",
    "jbd://{folder}/precious",
    "jbd://{folder}/fifo",
    "jbd://..:5",
    "jbd://" + "a" * 180 + ":1",
    "v1://a..b:5/x",
    "v1://xn--\ud7ff:5/x",
    "v1://\u202e:5/x",
    "v1://256.256.256.256:5/x",
    "v1://[::1",
    "v1://127.0.0.1:99999/x",
    "v1://127.0.0.1/x",
    "v1://127.0.0.1:1/%00",
    "v3://127.0.0.1:1/x",
    "sunspec://127.0.0.1:1/999",
    "http://127.0.0.1:1/",
]
"""Words that lead to no battery; each would be in the journal, and met again at every start."""


async def test_an_interface_that_leads_nowhere_ends_nothing(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("as it was")
    os.mkfifo(tmp_path / "fifo")
    async with impatient_node(tmp_path, 1.0, {"A": Pack(50, 100, 50, 50)}) as layer:
        await layer.battery("A")
        for number, interface in enumerate(INTERFACES):
            await layer.do(
                "/batteries",
                name=f"bad {number}",
                interface=interface.format(folder=tmp_path),
                voltage_mv=1,
                capacity_mah=1,
                max_charge_ma=1,
                max_discharge_ma=1,
            )
            status = await layer.get(f"/batteries/bad%20{number}")
            assert status["sources_online"] == 0, interface
        counts = (await layer.get("/status"))["counts"]
        assert "lost: failed" not in counts
        assert precious.read_text() == "as it was"
        await layer.do("/batteries/A/current", current_ma=1_000)
        assert await layer.told("A") == [1]


async def test_a_battery_that_begins_to_talk_nonsense_is_lost_until_it_makes_sense(
    tmp_path: Path,
) -> None:
    packs = {"A": Pack(50, 100, 50, 50), "B": Pack(50, 100, 50, 50)}
    async with impatient_node(tmp_path, PATIENCE_S, packs) as layer:
        for name in packs:
            await layer.battery(name)
        await layer.do("/aggregators", name="AB", sources=["A", "B"])
        await layer.do("/batteries/AB/discharge", current_ma=20_000)
        assert await layer.told("A", "B") == [10, 10]
        layer.packs["A"].charge = -1
        layer.later()
        status = await layer.get("/batteries/AB")
        assert status["sources_online"] == 1
        assert status["current"]["max_discharge_ma"] == 50_000
        assert status["expected"]["max_discharge_ma"] == 100_000
        assert await layer.told("B", count=2) == [20]
        layer.packs["A"].charge = 50
        layer.later()
        assert (await layer.get("/batteries/AB"))["sources_online"] == 2
        assert await layer.told("A", count=2) == [10]


def mapped(scale: str) -> Answer:
    """Return a SunSpec battery with one scale factor of ten to the tenth."""
    model = [0xFFFF] * 62
    said = {"AHRtg": 0, "SoC": 9, "V": 32, "A": 42, "AChaMax": 43, "ADisChaMax": 44, "W": 45}
    scales = {"AHRtg": 50, "SoC": 54, "V": 57, "A": 59, "AChaMax": 60, "W": 61}
    for at in said.values():
        model[at] = 100
    for name, at in scales.items():
        model[at] = 10 if name == scale else 0
    registers = [0x5375, 0x6E53, 802, 62, *model, 0xFFFF, 0]

    def answer(request: bytes) -> bytes:
        address, count = struct.unpack(">HH", request[8:12])
        at = address - 40_000
        if not 0 <= at < at + count <= len(registers):
            return request[:4] + b"\0\3" + request[6:7] + b"\x83\2"
        told = struct.pack(f">{count}H", *registers[at : at + count])
        size = struct.pack(">H", 3 + len(told))
        return request[:4] + size + request[6:7] + bytes([3, len(told)]) + told

    return answer


async def test_scale_factors_beyond_all_batteries_end_nothing(tmp_path: Path) -> None:
    async with node(tmp_path, A=Pack(50, 100, 50, 50)) as layer, trio.open_nursery() as nursery:
        for scale in ("AHRtg", "SoC", "V", "A", "AChaMax"):
            port = await device(nursery, modbus_size, mapped(scale))
            await layer.do(
                "/batteries",
                name=f"scaled {scale}",
                interface=f"sunspec://127.0.0.1:{port}/1",
                voltage_mv=100_000,
                capacity_mah=100_000,
                max_charge_ma=10**12,
                max_discharge_ma=10**12,
            )
            assert (await layer.get(f"/batteries/scaled%20{scale}"))["sources_online"] == 0, scale
            status, _ = await layer.ask(
                "POST", f"/batteries/scaled%20{scale}/current", current_ma=10**12
            )
            assert status == 422
        await layer.battery("A")
        nursery.cancel_scope.cancel()


class Heard:
    """Whoever is told what became of a battery; only what was lost is kept."""

    def __init__(self) -> None:
        self.lost: list[str] = []

    def was_read(self, name: str, reading: Reading) -> None:
        raise AssertionError(name)

    def was_learned(self, name: str, what: str) -> None:
        raise AssertionError(name)

    def was_lost(self, name: str, cause: str) -> None:
        self.lost.append(cause)

    async def order_leaves(self, order: Order, number: int) -> None:
        raise AssertionError(order)

    def order_ended(self, order: Order, fate: Fate, sent: int | None = None) -> None:
        raise AssertionError(order)


async def test_a_mistake_of_a_driver_loses_its_battery_and_nobody_else() -> None:
    def mistaken(line: Line) -> Driver:
        raise ZeroDivisionError(line.battery)

    heard = Heard()
    async with trio.open_nursery() as nursery:
        port = await device(nursery, json_size, lambda request: None)
        keeper = Keeper(
            "A",
            Nameplate.of(voltage_mv=1, max_charge_ma=1, max_discharge_ma=1, capacity_mah=1),
            Endpoint(driver="v1", host="127.0.0.1", port=port),
            heard,
            lambda: 0,
            timeout_s=PATIENCE_S,
            retry_s=PATIENCE_S,
            limit=trio.CapacityLimiter(1),
            makers={"v1": mistaken},
            memory=Memory(),
        )
        nursery.start_soon(keeper.run)
        with trio.fail_after(PATIENCE_S):
            await keeper.read().wait()
        assert heard.lost == ["failed"]
        nursery.cancel_scope.cancel()
