"""Modbus TCP frames (Modbus Messaging on TCP/IP 1.0b, 3.1.3): a header of seven octets and a PDU.

::

    transaction (u16) | protocol (u16, 0) | length (u16, of what follows) | unit (u8) | PDU

``ADU`` is the specification and the judge in the tests; the header runs through ``struct``. The
messages inside are pymodbus's (`pdu`); its own framer is not used, because it waits for ever on a
header of another protocol and bounds no length.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct as FixedStruct
from typing import Final

from construct import Bytes, Const, Int8ub, Int16ub, Rebuild, Struct, len_, this

from protocols.errors import CodecError

MAX_PDU_SIZE: Final = 253
HEADER_SIZE: Final = 7
PORT: Final = 502
CODEC: Final = "Modbus TCP"

ADU: Final = Struct(
    "transaction" / Int16ub,
    "protocol" / Const(0, Int16ub),
    "length" / Rebuild(Int16ub, len_(this.pdu) + 1) * "of unit and PDU",
    "unit" / Int8ub,
    "pdu" / Bytes(this.length - 1),
)
_HEADER: Final = FixedStruct(">HHHB")


@dataclass(frozen=True, slots=True)
class Adu:
    """One frame: a PDU (1 to 253 octets) of ``transaction`` (u16) from or to ``unit`` (u8)."""

    transaction: int
    unit: int
    pdu: bytes

    def encode(self) -> bytes:
        """Return the frame as octets; raises `CodecError` when a field does not fit."""
        if not (0 <= self.transaction <= 0xFFFF and 0 <= self.unit <= 0xFF):
            what = f"transaction {self.transaction}, unit {self.unit}"
            raise CodecError(what, codec=CODEC, path="header")
        if not 1 <= len(self.pdu) <= MAX_PDU_SIZE:
            raise CodecError(f"a PDU of {len(self.pdu)} octets", codec=CODEC, path="pdu")
        return _HEADER.pack(self.transaction, 0, len(self.pdu) + 1, self.unit) + self.pdu


class AduReader:
    """Cuts a stream into frames. Feed it any split of the stream.

    After a `CodecError` the stream has lost its framing: close it.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def buffered(self) -> int:
        """How many octets wait for the rest of their frame; not 0 at the end of a stream: a cut."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Append octets of the stream."""
        self._buffer += data

    def next_adu(self) -> Adu | None:
        """Return the next whole frame, or ``None`` when more octets are needed.

        Raises:
            CodecError: another protocol, or a length outside 2 to 254; known from the header
                alone, before anything is buffered for it.
        """
        if len(self._buffer) < HEADER_SIZE:
            return None
        transaction, protocol, length, unit = _HEADER.unpack_from(self._buffer)
        if protocol:
            raise CodecError(f"protocol {protocol}, not 0", codec=CODEC, path="protocol")
        if not 2 <= length <= MAX_PDU_SIZE + 1:
            raise CodecError(f"{length} octets announced", codec=CODEC, path="length")
        end = HEADER_SIZE - 1 + length
        if len(self._buffer) < end:
            return None
        pdu = bytes(self._buffer[HEADER_SIZE:end])
        del self._buffer[:end]
        return Adu(transaction, unit, pdu)
