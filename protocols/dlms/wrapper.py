"""The DLMS/COSEM wrapper: the 8-byte header used over TCP and UDP.

IEC 62056-47, clause "wrapper protocol data unit"::

    version (u16, always 1) | source wPort | destination wPort | length | APDU

``WPDU`` is the specification and the judge in the tests; the header runs through ``struct``.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct as FixedStruct
from struct import error
from typing import Final

from construct import Bytes, Const, Int16ub, Rebuild, Struct, len_, this

from protocols.errors import CodecError

VERSION: Final = 1
HEADER_SIZE: Final = 8
MAX_APDU_SIZE: Final = 0xFFFF
CODEC: Final = "WPDU"

HEADER: Final = Struct(
    "version" / Const(VERSION, Int16ub),
    "source" / Int16ub * "wPort of the sending application process",
    "destination" / Int16ub * "wPort of the receiving application process",
    "length" / Rebuild(Int16ub, len_(this.apdu)) * "size of the APDU in bytes",
)
WPDU: Final = HEADER + Struct("apdu" / Bytes(this.length))

_HEADER: Final = FixedStruct(">HHHH")


@dataclass(frozen=True, slots=True)
class Wpdu:
    """One wrapper PDU: an APDU (at most 65535 octets) with its two wPorts (u16)."""

    source: int
    destination: int
    apdu: bytes

    def encode(self) -> bytes:
        """Return the PDU as bytes; raises `CodecError` when a field does not fit."""
        size = len(self.apdu)
        try:
            return _HEADER.pack(VERSION, self.source, self.destination, size) + self.apdu
        except error as exc:
            fields = {"source": self.source, "destination": self.destination, "length": size}
            path = next(name for name, value in fields.items() if not 0 <= value <= 0xFFFF)
            raise CodecError(f"{fields[path]} in 16 bits", codec=CODEC, path=path) from exc

    @classmethod
    def decode(cls, data: bytes) -> Wpdu:
        """Return exactly one PDU; trailing bytes are an error, `CodecError`."""
        if len(data) < HEADER_SIZE:
            raise CodecError(f"{len(data)} bytes are no header", codec=CODEC, path="header")
        source, destination, length = _read_header(data, 0, MAX_APDU_SIZE)
        if len(data) != HEADER_SIZE + length:
            what = f"{length} bytes announced, {len(data) - HEADER_SIZE} there"
            raise CodecError(what, codec=CODEC, path="apdu")
        return cls(source, destination, data[HEADER_SIZE:])


class WpduReader:
    """Cuts a byte stream into PDUs. Feed it any split of the stream.

    After a `CodecError` the stream has lost its framing: the reader refuses from then on.
    """

    def __init__(self, *, max_apdu_size: int = MAX_APDU_SIZE) -> None:
        self._buffer = bytearray()
        self._offset = 0
        self._max_apdu_size = max_apdu_size

    def feed(self, data: bytes) -> None:
        """Append bytes from the stream."""
        # Consumed bytes go once per feed, not once per PDU.
        del self._buffer[: self._offset]
        self._offset = 0
        self._buffer += data

    def next_pdu(self) -> Wpdu | None:
        """Return the next whole PDU, or ``None`` when more bytes are needed.

        Raises:
            CodecError: not version 1, or more announced than ``max_apdu_size``; known from the
                header alone, before anything is buffered for it.
        """
        start = self._offset + HEADER_SIZE
        if len(self._buffer) < start:
            return None
        source, destination, length = _read_header(self._buffer, self._offset, self._max_apdu_size)
        end = start + length
        if len(self._buffer) < end:
            return None
        pdu = Wpdu(source, destination, bytes(memoryview(self._buffer)[start:end]))
        self._offset = end
        if end == len(self._buffer):
            # An idle connection holds no memory: there are thousands of them.
            self._buffer.clear()
            self._offset = 0
        return pdu

    @property
    def buffered(self) -> int:
        """How many bytes wait for the rest of their PDU; not 0 at the end of a stream is a cut."""
        return len(self._buffer) - self._offset


def _read_header(data: bytes | bytearray, offset: int, max_size: int) -> tuple[int, int, int]:
    version, source, destination, length = _HEADER.unpack_from(data, offset)
    if version != VERSION:
        raise CodecError(f"version {version}, not {VERSION}", codec=CODEC, path="version")
    if length > max_size:
        # Refuse before buffering: a peer must not choose our memory use.
        raise CodecError(f"APDU of {length} bytes", codec=CODEC, path="length")
    return source, destination, length
