"""A meter that keeps its load profile as nobody here does, and has no tables of the project."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from protocols.c12.meter import STATUS_LOG, Meter, MeterSchema, block_layout
from protocols.c12.meter.profile_status import decode_status, encode_status
from protocols.c12.services import (
    FullRead,
    OffsetRead,
    ReadBody,
    Request,
    Response,
    ResponseCode,
    read_response,
)
from protocols.c12.tables.load_profile import ProfileStatus

REFUSED: Final = Response(ResponseCode.INAPPROPRIATE_ACTION_REQUESTED)
OUTSIDE: Final = Response(ResponseCode.OPERATION_NOT_POSSIBLE)


@dataclass
class ForeignMeter:
    """Answers for ``meter``, whose newest ``room`` captures it holds, numbered from ``first`` on.

    An `Application`. ``has_status_log`` is for meters that differ in their load profile alone.
    """

    meter: Meter
    schema: MeterSchema
    room: int = 50
    first: int = 1
    has_status_log: bool = False
    asked: list[Request] = field(default_factory=list)
    request_counter: int = 0

    def handle(self, request: Request, *, now: float) -> Response:
        self.asked.append(request)
        match request:
            case FullRead(table=table) if table == STATUS_LOG and not self.has_status_log:
                return REFUSED
            case FullRead(table=63):
                return read_response(encode_status(self.schema, self.status()))
            case FullRead(table=61):
                sizes = self.schema.decode(61, self.own(request))
                sizes["set_1"]["blocks"] = self.room
                return read_response(self.schema.encode(61, sizes))
            case OffsetRead(table=64, offset=offset, count=count):
                if offset + count > self.room * block_layout(self.schema).size:
                    return OUTSIDE
                return read_response(self.blocks()[offset : offset + count])
        return self.meter.handle(request, now=now)

    def look(self) -> None:
        self.meter.look()

    def session_ended(self) -> None:
        self.meter.session_ended()

    def own(self, request: Request) -> bytes:
        response = self.meter.handle(request, now=0.0)
        assert response.code is ResponseCode.OK
        return ReadBody.decode(response.body).data

    def status(self) -> ProfileStatus:
        plain = decode_status(self.schema, self.own(FullRead(63)))
        sequence = self.first + plain.valid_blocks - 1
        valid = min(plain.valid_blocks, self.room)
        return ProfileStatus(valid, sequence % self.room, sequence, 1)

    def blocks(self) -> bytes:
        """Return ST64 as this meter keeps it."""
        plain, mine = decode_status(self.schema, self.own(FullRead(63))), self.status()
        octets, size = self.own(FullRead(64)), block_layout(self.schema).size
        table = bytearray(self.room * size)
        for age in range(mine.valid_blocks):
            there = (plain.last_block_element - age) % self.schema.settings.blocks
            here = (mine.last_block_element - age) % self.room
            table[here * size : (here + 1) * size] = octets[there * size : (there + 1) * size]
        return bytes(table)
