"""A procedure's way through tables 7 and 8: what is written, and what is read back.

The two octets of the procedure's number follow the tables' byte order (C12.19), the rest is octets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from construct import BitsInteger, BitStruct, ByteSwapped, Flag, GreedyBytes, Int8ub, Struct

from protocols.lowering import Codec, lower

INITIATE_TABLE: Final = 7
RESPONSE_TABLE: Final = 8
ByteOrder: TypeAlias = Literal["little", "big"]

# An integer's bit fields, first the highest.
_BITS: Final = BitStruct(
    "selector" / BitsInteger(4) * "0: post the response when complete",
    "manufacturer" / Flag,
    "number" / BitsInteger(11),
)


def _declare(bits: Any) -> tuple[Codec, Codec]:  # noqa: ANN401 - construct's edge
    head = ("id" / bits, "sequence" / Int8ub)
    initiate = Struct(*head, "parameters" / GreedyBytes)
    response = Struct(*head, "result" / Int8ub, "data" / GreedyBytes)
    return lower(initiate, "ST7"), lower(response, "ST8")


_CODECS: Final[dict[ByteOrder, tuple[Codec, Codec]]] = {
    "big": _declare(_BITS),
    "little": _declare(ByteSwapped(_BITS)),
}


@dataclass(frozen=True, slots=True)
class Procedure:
    """A call of procedure ``number`` (0 to 2047), told from others by ``sequence`` (u8)."""

    number: int
    sequence: int
    parameters: bytes = b""
    manufacturer: bool = False
    byte_order: ByteOrder = "little"

    def initiate(self) -> bytes:
        """Return what goes into table 7; raises `CodecError` when a value does not fit."""
        codec, _ = _CODECS[self.byte_order]
        identifier = {"selector": 0, "manufacturer": self.manufacturer, "number": self.number}
        values = {"id": identifier, "sequence": self.sequence, "parameters": self.parameters}
        return codec.build(values)

    def read_response(self, table: bytes) -> ProcedureResponse | None:
        """Return what table 8 says of this call; ``None`` when it is about another one.

        Raises `CodecError` when the table is cut.
        """
        _, codec = _CODECS[self.byte_order]
        values = codec.parse(table)
        said = values["id"]["number"], bool(values["id"]["manufacturer"]), values["sequence"]
        if said != (self.number, self.manufacturer, self.sequence):
            return None
        return ProcedureResponse(values["result"], values["data"])


@dataclass(frozen=True, slots=True)
class ProcedureResponse:
    """How a procedure went: 0 done, 1 accepted but not complete, more are refusals; its data."""

    result: int
    data: bytes
