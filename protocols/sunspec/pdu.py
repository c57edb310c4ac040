"""The Modbus messages that SunSpec needs: holding registers are read (3) and written (6, 16).

The octets are pymodbus's. What it lets pass is judged here: lengths that contradict each other,
trailing octets, answers to another question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from struct import error as StructError
from typing import Final, TypeAlias

from pymodbus.constants import ExcCodes
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ExceptionResponse, ModbusPDU
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadHoldingRegistersResponse,
    WriteMultipleRegistersRequest,
    WriteMultipleRegistersResponse,
    WriteSingleRegisterRequest,
    WriteSingleRegisterResponse,
)

from protocols.errors import CodecError
from protocols.sunspec.modbus import CODEC

READ: Final = ReadHoldingRegistersRequest.function_code
WRITE_SINGLE: Final = WriteSingleRegisterRequest.function_code
WRITE: Final = WriteMultipleRegistersRequest.function_code
MAX_READ: Final = ReadHoldingRegistersRequest.MAX_COUNT
MAX_WRITE: Final = 123
_ERROR: Final = 0x80
_MISFITS: Final = (ModbusException, StructError, ValueError, IndexError)


@dataclass(frozen=True, slots=True)
class ReadRegisters:
    """Read ``count`` (1 to 125) holding registers from ``address`` (u16) on."""

    address: int
    count: int

    def encode(self) -> bytes:
        """Return the PDU; raises `CodecError` when a field does not fit."""
        return _encode(ReadHoldingRegistersRequest(address=self.address, count=self.count))


@dataclass(frozen=True, slots=True)
class WriteRegisters:
    """Write ``registers`` (1 to 123 of u16) from ``address`` (u16) on; ``single``: function 6."""

    address: int
    registers: tuple[int, ...]
    single: bool = False

    def encode(self) -> bytes:
        """Return the PDU; raises `CodecError` when a field does not fit."""
        count = len(self.registers)
        if not 1 <= count <= (1 if self.single else MAX_WRITE):
            raise CodecError(f"{count} registers in one write", codec=CODEC, path="registers")
        kind = WriteSingleRegisterRequest if self.single else WriteMultipleRegistersRequest
        return _encode(kind(address=self.address, registers=self.registers))


Request: TypeAlias = ReadRegisters | WriteRegisters


@dataclass(frozen=True, slots=True)
class Refusal:
    """An exception: ``function`` was refused with ``code``."""

    function: int
    code: int

    def encode(self) -> bytes:
        """Return the PDU."""
        return _encode(ExceptionResponse(self.function & ~_ERROR, self.code))


def decode_request(pdu: bytes) -> Request | Refusal:
    """Return what the ``pdu`` of a client asks, or how to refuse it."""
    function, data = pdu[0], pdu[1:]
    if function not in (READ, WRITE_SINGLE, WRITE):
        return Refusal(function, ExcCodes.ILLEGAL_FUNCTION)
    try:
        request = _DECODERS[function](data)
        # What does not encode to the same octets contradicts itself.
        sound = request.encode() == pdu
    except (*_MISFITS, CodecError):
        sound = False
    return request if sound else Refusal(function, ExcCodes.ILLEGAL_VALUE)


def encode_read(registers: Sequence[int]) -> bytes:
    """Return the PDU that answers a `ReadRegisters` with ``registers`` (u16)."""
    return _encode(ReadHoldingRegistersResponse(registers=registers))


def encode_written(request: WriteRegisters) -> bytes:
    """Return the PDU that confirms ``request``."""
    if request.single:
        return _encode(
            WriteSingleRegisterResponse(address=request.address, registers=request.registers)
        )
    count = len(request.registers)
    return _encode(WriteMultipleRegistersResponse(address=request.address, count=count))


def decode_answer(request: Request, pdu: bytes) -> tuple[int, ...] | Refusal:
    """Return the registers that answer ``request`` (none for a write), or the refusal.

    Raises:
        CodecError: malformed, or the answer to another request.
    """
    function = _function(request)
    if pdu[0] == function | _ERROR and len(pdu) == 2:
        return Refusal(function, pdu[1])
    if isinstance(request, WriteRegisters):
        if pdu != encode_written(request):
            raise CodecError(f"{pdu[:8].hex()} confirms no such write", codec=CODEC, path="pdu")
        return ()
    if pdu[0] != function or len(pdu) != 2 + 2 * request.count or pdu[1] != 2 * request.count:
        what = f"{pdu[:2].hex()} and {len(pdu) - 2} octets for {request.count} registers"
        raise CodecError(what, codec=CODEC, path="pdu")
    answer = ReadHoldingRegistersResponse()
    answer.decode(pdu[1:])
    return tuple(answer.registers)


def _function(request: Request) -> int:
    match request:
        case ReadRegisters():
            return READ
        case WriteRegisters(single=single):
            return WRITE_SINGLE if single else WRITE


def _decode_read(data: bytes) -> Request:
    message = ReadHoldingRegistersRequest()
    message.decode(data)
    return ReadRegisters(message.address, message.count)


def _decode_write(data: bytes) -> Request:
    message = WriteMultipleRegistersRequest()
    message.decode(data)
    return WriteRegisters(message.address, tuple(message.registers))


def _decode_write_single(data: bytes) -> Request:
    message = WriteSingleRegisterRequest()
    message.decode(data)
    return WriteRegisters(message.address, tuple(message.registers), single=True)


_DECODERS: Final = {READ: _decode_read, WRITE: _decode_write, WRITE_SINGLE: _decode_write_single}


def _encode(message: ModbusPDU) -> bytes:
    try:
        octets: bytes = message.function_code.to_bytes(1, "big") + message.encode()
    except (*_MISFITS, OverflowError) as problem:
        raise CodecError(str(problem), codec=CODEC, path=type(message).__name__) from problem
    return octets
