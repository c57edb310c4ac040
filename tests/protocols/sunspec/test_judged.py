"""Implementations of their own as judges: pymodbus's framer, pysunspec2's client.

The client reads and commands a battery of ours over a socket in memory: what it sends goes into
the device, whose answers come back.
"""

from pymodbus.framer.socket import FramerSocket
from pymodbus.pdu import DecodePDU
from sunspec2.modbus.client import SunSpecModbusClientDeviceTCP

from protocols.sunspec.device import ReadRequested, SunSpecDevice
from protocols.sunspec.image import RegisterMap
from protocols.sunspec.modbus import Adu
from protocols.sunspec.pdu import ReadRegisters, WriteRegisters, encode_read, encode_written
from protocols.sunspec.storage import (
    STORAGE_MODELS,
    StorageStatus,
    power_command,
    storage_image,
    write_storage,
)

RATING = StorageStatus(
    58_400, 100_000, 5_840_000, 80_000, 100_000, 4_672_000, 5_840_000, 200_000, 10_240_000,
    10_240_000, 1_000_000,
)  # fmt: skip


class MemorySocket:
    def __init__(self, device: SunSpecDevice) -> None:
        self._device = device
        self._answers = b""

    def sendall(self, octets: bytes) -> None:
        # In two segments, as TCP may.
        for part in (octets[:5], octets[5:]):
            self._device.receive_data(part)
            while (event := self._device.next_event()) is not None:
                if isinstance(event, ReadRequested):
                    self._device.answer()
                else:
                    self._device.accept()
        self._answers += self._device.data_to_send()

    def recv(self, size: int) -> bytes:
        part, self._answers = self._answers[:size], self._answers[size:]
        return part

    def close(self) -> None:
        self._answers = b""


def test_pymodbus_reads_our_frames() -> None:
    requests, answers = FramerSocket(DecodePDU(True)), FramerSocket(DecodePDU(False))
    write = WriteRegisters(40_001, (1, 0xFFFF))
    for framer, pdu, expected in [
        (requests, ReadRegisters(40_000, 2).encode(), (3, 40_000, 2, [])),
        (requests, write.encode(), (16, 40_001, 2, [1, 0xFFFF])),
        (answers, encode_read((0x5375, 0x6E53)), (3, 0, 0, [0x5375, 0x6E53])),
        (answers, encode_written(write), (16, 40_001, 2, [])),
    ]:
        octets = Adu(0x1234, 7, pdu).encode()
        used, message = framer.handleFrame(octets, 7, 0x1234)
        assert used == len(octets)
        assert message is not None
        assert (message.transaction_id, message.dev_id) == (0x1234, 7)
        registers = list(message.registers)
        assert (message.function_code, message.address, message.count, registers) == expected


def test_pysunspec2_finds_reads_and_commands_a_battery() -> None:
    layout = RegisterMap.of(STORAGE_MODELS)
    common = {"Mn": "Meterstorm", "Md": "Battery", "SN": "B-0001"}
    device = SunSpecDevice(storage_image(layout, RATING, common))
    write_storage(
        device.image,
        StorageStatus(51_234, -36_667, -1_878_597, 80_000, 100_000, charge_ppm=500_000),
    )
    host = SunSpecModbusClientDeviceTCP(slave_id=1, ipaddr="127.0.0.1", ipport=1)
    host.client.socket = MemorySocket(device)
    host.scan(connect=False)

    assert [number for number in host.models if isinstance(number, int)] == [1, 802, 713, 704]
    assert host.common[0].SN.value == "B-0001"
    battery = host.battery[0]
    assert battery.V.cvalue == 51.234
    assert battery.A.cvalue == -36.66
    assert battery.W.cvalue == -1878
    assert battery.SoC.cvalue == 50
    assert battery.AHRtg.cvalue == 200
    assert battery.AChaMax.cvalue == 80
    assert battery.ChaSt.value == 4
    assert host.DERStorageCapacity[0].WHRtg.cvalue == 10_240

    control = host.DERCtlAC[0]
    control.WSetEna.value = 1
    control.WSet.cvalue = -1500.25
    control.write()
    assert power_command(device.image) == -1_500_250
