"""The battery's end of SunSpec over Modbus TCP, without any I/O.

Theory of operation
-------------------
Hosts read and write holding registers, any number of requests under way; they are answered in
order. What the register map does not allow is refused here; what it does comes out as an event::

    device.receive_data(data)
    while (event := device.next_event()) is not None:
        match event:
            case ReadRequested(): write_storage(device.image, status); device.answer()
            case WriteRequested(changes): device.accept()     # or device.refuse()
    send(device.data_to_send())

The registers are the image's: the caller brings it up to date before it answers, and connections
to one battery share it. A write is done whole or not at all. No request waits for ever: one for
another unit is answered too (no such target), and what is no Modbus ends the connection (`closed`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from pymodbus.constants import ExcCodes

from protocols.asking import LineEnd
from protocols.errors import CodecError, LocalProtocolError
from protocols.sunspec.faults import Fault
from protocols.sunspec.image import Change, IllegalAddress, IllegalValue, Image
from protocols.sunspec.modbus import Adu, AduReader
from protocols.sunspec.pdu import (
    ReadRegisters,
    Refusal,
    WriteRegisters,
    decode_request,
    encode_read,
    encode_written,
)

DEVICE_FAILURE: Final = int(ExcCodes.DEVICE_FAILURE)
DEVICE_BUSY: Final = int(ExcCodes.DEVICE_BUSY)
ILLEGAL_VALUE: Final = int(ExcCodes.ILLEGAL_VALUE)
ILLEGAL_ADDRESS: Final = int(ExcCodes.ILLEGAL_ADDRESS)
NO_TARGET: Final = int(ExcCodes.GATEWAY_NO_RESPONSE)
_FAULTS: Final = {
    int(ExcCodes.ILLEGAL_FUNCTION): Fault.ILLEGAL_FUNCTION,
    ILLEGAL_VALUE: Fault.ILLEGAL_VALUE,
    ILLEGAL_ADDRESS: Fault.ILLEGAL_ADDRESS,
    NO_TARGET: Fault.FOREIGN_UNIT,
}


@dataclass(frozen=True, slots=True)
class ReadRequested:
    """A host wants ``count`` registers from ``address`` on; all of them are there."""

    address: int
    count: int
    unit: int = 1


@dataclass(frozen=True, slots=True)
class WriteRequested:
    """A host wants writable points to have other values."""

    changes: tuple[Change, ...]
    unit: int = 1


DeviceEvent: TypeAlias = ReadRequested | WriteRequested


class SunSpecDevice(LineEnd[Fault]):
    """Sans-IO battery for one connection, or several batteries, each a unit with an image.

    ``image`` is that of the unit addressed last.
    """

    def __init__(self, image: Image | Mapping[int, Image], *, unit: int = 1) -> None:
        super().__init__()
        self._images = {unit: image} if isinstance(image, Image) else image
        self._unit = unit
        self._reader = AduReader()
        self._requests: deque[Adu] = deque()
        self._adu: Adu | None = None
        self._request: ReadRegisters | WriteRegisters | None = None
        self._changes: tuple[Change, ...] = ()

    @property
    def image(self) -> Image:
        """The registers; `KeyError` where the unit is gone."""
        return self._images[self._unit]

    def receive_data(self, data: bytes) -> None:
        """Take octets of the host, in any split. Never raises for what they hold."""
        if self.closed:
            return
        self._reader.feed(data)
        try:
            while (adu := self._reader.next_adu()) is not None:
                self._requests.append(adu)
        except CodecError:
            self._faults[Fault.FRAMING] += 1
            self.closed = True

    def receive_eof(self) -> None:
        """The transport is gone: nothing is answered any more. Safe to call twice."""
        if not self.closed and self._reader.buffered:
            self._faults[Fault.TRUNCATED] += 1
        self.closed = True
        self._requests.clear()
        self._adu = self._request = None

    def next_event(self) -> DeviceEvent | None:
        """Return the next thing that a host wants, or ``None``.

        Raises `LocalProtocolError` when the one before was not answered.
        """
        if self._request is not None:
            raise LocalProtocolError("a request was not answered")
        while self._requests:
            self._adu = self._requests.popleft()
            outcome = self._judge(self._adu)
            if not isinstance(outcome, Refusal):
                return outcome
            self._faults[_FAULTS[outcome.code]] += 1
            self._send(outcome.encode())
        return None

    def answer(self) -> None:
        """Answer a `ReadRequested` from the image."""
        request = self._request
        if not isinstance(request, ReadRegisters):
            raise LocalProtocolError("no read was asked")
        self._send(encode_read(self.image.read(request.address, request.count)))

    def accept(self) -> None:
        """Write what a `WriteRequested` wants into the image, and confirm it."""
        request = self._request
        if not isinstance(request, WriteRegisters):
            raise LocalProtocolError("no write was asked")
        self.image.apply(self._changes)
        self._send(encode_written(request))

    def refuse(self, code: int = DEVICE_FAILURE) -> None:
        """Answer what was asked with an exception."""
        if self._request is None or self._adu is None:
            raise LocalProtocolError("nothing was asked")
        self._faults[Fault.REFUSED] += 1
        self._send(Refusal(self._adu.pdu[0], code).encode())

    def _judge(self, adu: Adu) -> DeviceEvent | Refusal:
        function = adu.pdu[0]
        if adu.unit not in self._images:
            return Refusal(function, NO_TARGET)
        self._unit = adu.unit
        request = decode_request(adu.pdu)
        if isinstance(request, Refusal):
            return request
        try:
            event = self._event(request)
        except IllegalAddress:
            return Refusal(function, ILLEGAL_ADDRESS)
        except IllegalValue:
            return Refusal(function, ILLEGAL_VALUE)
        self._request = request
        return event

    def _event(self, request: ReadRegisters | WriteRegisters) -> DeviceEvent:
        match request:
            case ReadRegisters(address, count):
                self.image.octets(address, count)
                return ReadRequested(address, count, self._unit)
            case WriteRegisters(address, registers):
                self._changes = self.image.changes(address, registers)
                return WriteRequested(self._changes, self._unit)

    def _send(self, pdu: bytes) -> None:
        assert self._adu is not None
        self._out += Adu(self._adu.transaction, self._adu.unit, pdu).encode()
        self._adu = self._request = None
