"""Emulated SunSpec batteries and the SunSpec face under a client of hostile octets."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from pymodbus.client import ModbusTcpClient

from emulator.identity import concentrator_address
from tests.harness.bal.judged.wire import Modbus
from tests.harness.bal.test_service import HOME
from tests.support.bal import bal_config, open_layer, settled
from tests.support.batteries import battery_config, open_park
from tests.support.faces import open_face

WHO = pytest.mark.parametrize("who", ["battery", "face"])
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, NO_TARGET = 1, 2, 3, 11
# Model 704, and where in it: https://github.com/sunspec/models, model_704.json.
WSET_ENA, WSET_MOD, WSET = 22, 23, 24
# Model 802.
SOC, CHA_ST, A, W, SET_OP, SET_INV_STATE = 11, 16, 44, 47, 50, 51


@asynccontextmanager
async def connected(folder: Path, who: str) -> AsyncIterator[Modbus]:
    fleet = battery_config(2, category={"interface": "sunspec"})
    async with open_park(folder, fleet) as park:
        if who == "battery":
            async with Modbus(concentrator_address(0), park.port) as client:
                yield client
            return
        async with (
            open_layer(bal_config(folder, park, extra=HOME), park.clock) as layer,
            open_face(layer, speaks="sunspec", units={1: "home"}) as face,
            Modbus("127.0.0.1", face.port) as client,
        ):
            yield client
            await settled(layer)


@WHO
async def test_the_chain_of_models_ends_and_nothing_lies_behind_it(
    tmp_path: Path, who: str
) -> None:
    async with connected(tmp_path, who) as client:
        models = await client.models()
        assert list(models) == [1, 802, 713, 704, 0xFFFF]
        end = models[0xFFFF]
        assert await client.read(end, 2) == (0xFFFF, 0)
        assert await client.ask(struct.pack(">BHH", 3, end + 1, 2)) == bytes([0x83, 2])
        across = await client.read(models[802] - 3, 90)
        assert across[3:5] == (802, 62)
        assert len(await client.read(40_000, 125)) == 125


@WHO
async def test_what_modbus_does_not_allow_has_its_exception_and_the_line_goes_on(
    tmp_path: Path, who: str
) -> None:
    async with connected(tmp_path, who) as client:
        models = await client.models()
        read = struct.pack(">BHH", 3, 40_000, 2)
        write = struct.pack(">BHHB", 16, models[704] + WSET_ENA, 1, 2) + b"\0\0"
        cases = [
            (struct.pack(">BHH", 4, 40_000, 2), ILLEGAL_FUNCTION),
            (bytes([43, 14, 1, 0]), ILLEGAL_FUNCTION),
            (struct.pack(">BHH", 3, 40_000, 0), ILLEGAL_VALUE),
            (struct.pack(">BHH", 3, 40_000, 126), ILLEGAL_VALUE),
            (read[:-1], ILLEGAL_VALUE),
            (read + b"\0", ILLEGAL_VALUE),
            (read[:1], ILLEGAL_VALUE),
            (struct.pack(">BHH", 3, 0, 2), ILLEGAL_ADDRESS),
            (struct.pack(">BHH", 3, 65_535, 2), ILLEGAL_ADDRESS),
            (write[:5] + b"\4" + write[6:], ILLEGAL_VALUE),
            (write[:3] + b"\0\2\2\0\0", ILLEGAL_VALUE),
            (write[:3] + b"\0\0\0", ILLEGAL_VALUE),
            (struct.pack(">BHHB", 16, 40_000, 124, 248) + bytes(244), ILLEGAL_VALUE),
            (struct.pack(">BHH", 6, models[802] + SOC, 1), ILLEGAL_ADDRESS),
            (struct.pack(">BHH", 6, 40_000, 1), ILLEGAL_ADDRESS),
            (struct.pack(">BHH", 6, models[704] + WSET, 1), ILLEGAL_ADDRESS),
        ]
        for pdu, code in cases:
            assert await client.ask(pdu) == bytes([pdu[0] | 0x80, code]), pdu.hex()
        for unit in (0, 2, 247, 255):
            assert await client.ask(read, unit=unit) == bytes([0x83, NO_TARGET])
        assert await client.ask(read) == b"\x03\x04SunS"


@WHO
@pytest.mark.parametrize(
    ("point", "value"), [(WSET_ENA, 0xFFFF), (WSET_MOD, 0xFFFF), (WSET_ENA, 7), (WSET_MOD, 2)]
)
async def test_no_write_makes_a_point_absent_or_meaningless(
    tmp_path: Path, who: str, point: int, value: int
) -> None:
    async with connected(tmp_path, who) as client:
        address = (await client.models())[704] + point
        before = await client.read(address, 1)
        refused = await client.ask(struct.pack(">BHH", 6, address, value))
        assert refused == bytes([0x86, ILLEGAL_VALUE])
        assert await client.read(address, 1) == before
        # Nothing is lost: whoever writes sense is heard.
        assert (await client.ask(struct.pack(">BHH", 6, address, 0)))[0] == 6


@WHO
async def test_a_power_that_is_not_implemented_is_no_power(tmp_path: Path, who: str) -> None:
    async with connected(tmp_path, who) as client:
        address = (await client.models())[704] + WSET
        assert await client.write(address, 0x8000, 0) == bytes([0x90, ILLEGAL_VALUE])
        assert (await client.write(address, 0, 0))[0] == 16


@WHO
@pytest.mark.parametrize(("point", "value"), [(SET_OP, 2), (SET_INV_STATE, 1)])
async def test_what_the_battery_does_not_do_is_not_confirmed(
    tmp_path: Path, who: str, point: int, value: int
) -> None:
    async with connected(tmp_path, who) as client:
        address = (await client.models())[802] + point
        (before,) = await client.read(address, 1)
        assert await client.write(address, value) == bytes([0x90, ILLEGAL_VALUE])
        assert (await client.write(address, before))[0] == 16
        assert await client.read(address, 1) == (before,)


@pytest.mark.parametrize(("sign", "state"), [(1, 3), (-1, 4)])
async def test_a_positive_power_discharges_a_negative_one_charges(
    tmp_path: Path, sign: int, state: int
) -> None:
    fleet = battery_config(2, category={"interface": "sunspec"})
    async with (
        open_park(tmp_path, fleet) as park,
        open_layer(bal_config(tmp_path, park, extra=HOME), park.clock) as layer,
        open_face(layer, speaks="sunspec", units={1: "home"}) as face,
        Modbus("127.0.0.1", face.port) as home,
        Modbus(concentrator_address(0), park.port) as battery,
    ):
        models = await home.models()
        power = struct.unpack(">2H", struct.pack(">i", sign * 1_000_000))
        assert (await home.write(models[704] + WSET_ENA, 1, 1, *power))[0] == 16
        await settled(layer)
        park.clock.stand_at(5)
        for client in (home, battery):
            assert await _flow(client, models[802]) == (state, sign, sign)


async def _flow(client: Modbus, base: int) -> tuple[int, int, int]:
    """Return charging status, and the signs of current and power, read at one moment."""
    registers = struct.pack(">64H", *await client.read(base, 64))
    (state,) = struct.unpack_from(">H", registers, 2 * CHA_ST)
    flows = [struct.unpack_from(">h", registers, 2 * at)[0] for at in (A, W)]
    return state, *((flow > 0) - (flow < 0) for flow in flows)


@WHO
async def test_requests_in_one_segment_and_split_anywhere_have_an_answer_each(
    tmp_path: Path, who: str
) -> None:
    async with connected(tmp_path, who) as client:
        asked = [client.frame(struct.pack(">BHH", 3, 40_000 + at, 2)) for at in range(50)]
        await client.send(b"".join(asked))
        for request in asked:
            assert (await client.take(13))[:7] == request[:4] + b"\0\7\1"
        for cut in range(1, 12):
            await client.send(client.frame(struct.pack(">BHH", 3, 40_000, 2)), cut=cut)
            assert await client.answer() == b"\x03\x04SunS"


@WHO
@pytest.mark.parametrize("lie", ["protocol", "length 1", "length 255", "length 65535"])
async def test_a_header_that_lies_ends_its_connection_behind_good_answers(
    tmp_path: Path, who: str, lie: str
) -> None:
    async with connected(tmp_path, who) as client:
        good = client.frame(struct.pack(">BHH", 3, 40_000, 2))
        if lie == "protocol":
            bad = client.frame(b"\x03\x9c\x40\0\2", protocol=9)
        else:
            bad = struct.pack(">HHHB", 2, 0, int(lie.split()[1]), 1) + b"\x03\x9c\x40\0\2"
        await client.send(good + bad)
        assert (await client.take(13))[7:] == b"\x03\x04SunS"
        assert await client.is_over()


@WHO
async def test_what_was_asked_before_a_half_close_is_answered(tmp_path: Path, who: str) -> None:
    async with connected(tmp_path, who) as client:
        await client.send(client.frame(struct.pack(">BHH", 3, 40_000, 2)))
        await client.stream.send_eof()
        assert await client.answer() == b"\x03\x04SunS"
        assert await client.is_over()


@WHO
async def test_pymodbus_client_reads_writes_and_is_refused(tmp_path: Path, who: str) -> None:
    async with connected(tmp_path, who) as client:
        host, port = client.place
        models = await client.models()
        await trio.to_thread.run_sync(_pymodbus, host, port, models)


def _pymodbus(host: str, port: int, models: dict[int, int]) -> None:
    with ModbusTcpClient(host, port=port, timeout=10) as client:
        mark = client.read_holding_registers(40_000, count=2, device_id=1)
        assert mark.registers == [0x5375, 0x6E53]
        most = client.read_holding_registers(40_000, count=125, device_id=1)
        assert len(most.registers) == 125
        enable = models[704] + WSET_ENA
        assert not client.write_register(enable, 0, device_id=1).isError()
        assert not client.write_registers(enable, [0, 1, 0, 0], device_id=1).isError()
        refused = [
            (client.read_input_registers(40_000, count=2, device_id=1), ILLEGAL_FUNCTION),
            (client.read_coils(0, count=1, device_id=1), ILLEGAL_FUNCTION),
            (client.mask_write_register(address=enable, device_id=1), ILLEGAL_FUNCTION),
            (client.read_holding_registers(39_999, count=2, device_id=1), ILLEGAL_ADDRESS),
            (client.write_register(models[802] + SOC, 1, device_id=1), ILLEGAL_ADDRESS),
            (client.write_register(enable, 0xFFFF, device_id=1), ILLEGAL_VALUE),
            (client.read_holding_registers(40_000, count=2, device_id=9), NO_TARGET),
        ]
        for answer, code in refused:
            assert answer.isError()
            assert answer.exception_code == code
