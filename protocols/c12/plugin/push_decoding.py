"""What a head-end is pushed: services of APDUs to readings and events, and what of it is wrong.

Nearly every message is blocks of ST64 and nothing else: these are checked and read for all messages
together, as columns. One with events goes through the rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from protocols.c12.meter import MeterSchema, block_layout, decode_blocks, read_notifications
from protocols.c12.meter.event_log import EVENT_LOG, log_layout
from protocols.c12.meter.load_profile import DATA as LOAD_PROFILE
from protocols.c12.meter.mode_status import MODE_STATUS
from protocols.c12.plugin.push_encoding import Services
from protocols.c12.plugin.reading_columns import in_order, joined
from protocols.c12.services import (
    Dialect,
    FullWrite,
    OffsetWrite,
    ResponseCode,
    UnknownServiceError,
    decode_request,
    encode_request,
    table_checksums,
)
from protocols.errors import CodecError
from protocols.readings import ReadingBatch

Write: TypeAlias = FullWrite | OffsetWrite
_BLOCK_WRITE: Final = encode_request(OffsetWrite(LOAD_PROFILE, 0, b""), Dialect.C12_22)[:3]
_HEAD: Final = 8
"""Octets before the block: code, table, offset, count."""
_OUTSIDE: Final = ResponseCode.OPERATION_NOT_POSSIBLE
_MALFORMED: Final = ResponseCode.INAPPROPRIATE_ACTION_REQUESTED
_WRITTEN: Final = frozenset({MODE_STATUS, LOAD_PROFILE, EVENT_LOG})


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why a message is not taken: what its sender is told, and words for counters."""

    code: ResponseCode
    cause: str
    detail: str


@dataclass(frozen=True, slots=True)
class Pushed:
    """The services of one message, and the device name of the meter that sent it."""

    name: bytes
    services: Services


class PushDecoder:
    """Takes pushes apart. ``schema`` says how the meters' tables look."""

    def __init__(self, schema: MeterSchema) -> None:
        self._schema = schema
        self._block = block_layout(schema)
        self._sizes = {
            LOAD_PROFILE: self._block.size * schema.settings.blocks,
            EVENT_LOG: log_layout(schema).whole.size,
        }

    def decode(
        self, concentrator: bytes, pushes: Sequence[Pushed]
    ) -> tuple[ReadingBatch, dict[int, Unfit]]:
        """Return what ``pushes`` bring, sorted by meter and time, and which are not taken, why.

        A message is taken whole or not at all. Never raises for what it holds.
        """
        unfit: dict[int, Unfit] = {}
        size = _HEAD + self._block.size + 1
        plain = [
            all(len(it) == size and it.startswith(_BLOCK_WRITE) for it in push.services)
            for push in pushes
        ]
        parts = [self._blocks(concentrator, pushes, plain, unfit)]
        others = [number for number, is_plain in enumerate(plain) if not is_plain]
        parts += self._others(concentrator, pushes, others, unfit)
        return in_order(joined(concentrator, parts)), unfit

    def _blocks(
        self,
        concentrator: bytes,
        pushes: Sequence[Pushed],
        plain: Sequence[bool],
        unfit: dict[int, Unfit],
    ) -> ReadingBatch:
        """Return what the messages bring that are blocks of ST64 and nothing else."""
        chosen = [number for number, is_plain in enumerate(plain) if is_plain]
        services = b"".join(it for number in chosen for it in pushes[number].services)
        counts = [len(pushes[number].services) for number in chosen]
        of = np.repeat(np.array(chosen, np.int64), counts)
        rows = np.frombuffer(services, np.uint8).reshape(len(of), _HEAD + self._block.size + 1)
        for row, problem in self._problems(rows):
            unfit.setdefault(int(of[row]), problem)
        good = ~np.isin(of, np.fromiter(unfit, np.int64, len(unfit)))
        captures = decode_blocks(self._schema, rows[good, _HEAD:-1].tobytes())
        names = np.array([push.name for push in pushes], "S16")
        return ReadingBatch(
            concentrator,
            names[of[good]],
            captures.captured_at_s,
            captures.status,
            captures.values,
        )

    def _problems(self, rows: NDArray[np.uint8]) -> Iterator[tuple[int, Unfit]]:
        """Yield the rows that are not taken, and why."""
        size = self._block.size
        count = rows[:, 6].astype(np.int64) << 8 | rows[:, 7]
        wrong = (count != size) | (table_checksums(rows[:, _HEAD:-1]) != rows[:, -1])
        for row in np.flatnonzero(wrong).tolist():
            yield row, Unfit(_MALFORMED, "malformed service", "ST64: count or checksum")
        at = rows[:, 3:6].astype(np.int64) @ (1 << 16, 1 << 8, 1)
        outside = (at % size != 0) | (at >= self._sizes[LOAD_PROFILE])
        for row in np.flatnonzero(outside).tolist():
            yield row, Unfit(_OUTSIDE, "outside of the table", f"ST64: offset {at[row]}")
        blocks = self._block.view(rows[:, _HEAD:-1].tobytes(), len(rows))
        values = blocks["end_readings"]["value"]
        bad = (blocks["end_time"] == 0) | ((values < 0) | (values >= 1 << 32)).any(axis=1)
        for row in np.flatnonzero(bad).tolist():
            yield row, Unfit(_MALFORMED, "malformed table", "ST64: no capture")

    def _others(
        self,
        concentrator: bytes,
        pushes: Sequence[Pushed],
        others: Iterable[int],
        unfit: dict[int, Unfit],
    ) -> list[ReadingBatch]:
        """Return what the messages bring that are more than blocks, by the rules."""
        read: dict[int, tuple[bytes, list[Write]]] = {}
        for number in others:
            writes = self._writes(pushes[number].services)
            if isinstance(writes, Unfit):
                unfit[number] = writes
            else:
                read[number] = pushes[number].name, writes
        try:
            return [read_notifications(self._schema, concentrator, read.values())]
        except CodecError:
            return self._one_by_one(concentrator, read, unfit)

    def _one_by_one(
        self,
        concentrator: bytes,
        read: Mapping[int, tuple[bytes, list[Write]]],
        unfit: dict[int, Unfit],
    ) -> list[ReadingBatch]:
        """Return what the good ones bring, where not all of them are good."""
        parts = []
        for number, named in read.items():
            try:
                parts.append(read_notifications(self._schema, concentrator, [named]))
            except CodecError as exc:
                unfit[number] = Unfit(_MALFORMED, "malformed table", str(exc))
        return parts

    def _writes(self, services: Services) -> list[Write] | Unfit:
        """Return the writes of a message, each to a table that is there."""
        try:
            requests = [decode_request(service, Dialect.C12_22) for service in services]
        except UnknownServiceError as exc:
            return Unfit(ResponseCode.SERVICE_NOT_SUPPORTED, "unknown service", str(exc))
        except CodecError as exc:
            return Unfit(_MALFORMED, "malformed service", str(exc))
        writes: list[Write] = []
        for request in requests:
            if not isinstance(request, FullWrite | OffsetWrite):
                kind = type(request).__name__
                return Unfit(ResponseCode.SERVICE_NOT_SUPPORTED, "no service of a push", kind)
            if (problem := self._misplaced(request)) is not None:
                return problem
            writes.append(request)
        return writes

    def _misplaced(self, write: Write) -> Unfit | None:
        if write.table not in _WRITTEN:
            return Unfit(_MALFORMED, "unknown table", f"table {write.table}")
        if isinstance(write, OffsetWrite) and (size := self._sizes.get(write.table)) is not None:
            blocks = write.table == LOAD_PROFILE
            ragged = blocks and (not write.data or write.offset % self._block.size)
            if ragged or write.offset + len(write.data) > size:
                detail = f"ST{write.table}: {len(write.data)} octets at {write.offset}"
                return Unfit(_OUTSIDE, "outside of the table", detail)
        return None
