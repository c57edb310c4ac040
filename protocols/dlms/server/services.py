"""GET, SET and ACTION for one association: a request in, the octets of the answer out.

Answers are built from octets, not from `Data`: a value that the device has pre-encoded goes out
as it is, whole or in blocks. ``room`` is how many octets of plain APDU the client takes, after
what ciphering adds. One long transfer at a time: a request that starts something new ends the
one before (Green Book 9.4.6.4 to 9.4.6.6).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from protocols.dlms import apdu
from protocols.dlms.apdu import (
    AttributeItem,
    Conformance,
    CosemAttributeDescriptor,
    CosemMethodDescriptor,
    DataAccessResult,
    WithInvokeId,
)
from protocols.dlms.axdr import decode_data, encode_length
from protocols.dlms.blocks import (
    MAX_TRANSFER_SIZE,
    Block,
    BlockError,
    BlockReceiver,
    BlockSender,
    Transfer,
)
from protocols.dlms.cosem.base import ActionOutcome, Caller, to_octets
from protocols.dlms.cosem.device import DeviceView
from protocols.dlms.data import NULL, Data, DataType
from protocols.dlms.refusals import RefusalKind
from protocols.dlms.server.answers import (
    OUTGOING,
    Result,
    Served,
    Target,
    Turn,
    acknowledgement,
    action_block,
    action_result,
    block_refused,
    counts_differ,
    exception,
    get_block,
    incoming_ended,
)
from protocols.dlms.server.events import Service
from protocols.errors import CodecError

GET_NORMAL: Final = b"\xc4\x01"
GET_WITH_LIST: Final = b"\xc4\x03"
CHOICE_DATA: Final = b"\x00"
CHOICE_RESULT: Final = b"\x01"
BLOCK_OVERHEAD: Final = 12
"""Octets around the raw data of a block: tag, choice, invoke id, last, number, choice, length."""
ARRAY_TAG: Final = bytes((DataType.ARRAY,))


@dataclass(frozen=True, slots=True)
class _Incoming:
    """A long request that is arriving, and what to do with it once it is whole."""

    transfer: Transfer
    receiver: BlockReceiver
    finish: Callable[[bytes, Turn, int], Served]


_LIST = Conformance.MULTIPLE_REFERENCES
_LONG_SET = Conformance.SET | Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE
_LONG_ACTION = Conformance.ACTION | Conformance.BLOCK_TRANSFER_WITH_ACTION

NEEDED: Final[Mapping[type[WithInvokeId], Conformance]] = {
    apdu.GetRequestNormal: Conformance.GET,
    apdu.GetRequestNext: Conformance.GET | Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ,
    apdu.GetRequestWithList: Conformance.GET | _LIST,
    apdu.SetRequestNormal: Conformance.SET,
    apdu.SetRequestWithList: Conformance.SET | _LIST,
    apdu.SetRequestWithFirstDataBlock: _LONG_SET,
    apdu.SetRequestWithDataBlock: _LONG_SET,
    apdu.SetRequestWithListAndFirstDataBlock: _LONG_SET | _LIST,
    apdu.ActionRequestNormal: Conformance.ACTION,
    apdu.ActionRequestWithList: Conformance.ACTION | _LIST,
    apdu.ActionRequestWithFirstPBlock: _LONG_ACTION,
    apdu.ActionRequestWithPBlock: _LONG_ACTION,
    apdu.ActionRequestWithListAndFirstPBlock: _LONG_ACTION | _LIST,
    apdu.ActionRequestNextPBlock: _LONG_ACTION,
}
"""Which requests there are, and what must have been negotiated for each."""


class ServiceMachine:
    """Serves one association; holds its long transfers and nothing else."""

    def __init__(
        self, view: DeviceView, conformance: Conformance, *, limit: int = MAX_TRANSFER_SIZE
    ) -> None:
        self._view = view
        self._conformance = conformance
        self._limit = limit
        self._outgoing: tuple[Transfer, BlockSender] | None = None
        self._incoming: _Incoming | None = None
        self._handlers: Mapping[type[WithInvokeId], Callable[[Any, Turn], Served]] = {
            apdu.GetRequestNormal: self._get,
            apdu.GetRequestNext: self._next_get_block,
            apdu.GetRequestWithList: self._get_list,
            apdu.SetRequestNormal: self._set,
            apdu.SetRequestWithList: self._set_list,
            apdu.SetRequestWithFirstDataBlock: self._begin_set,
            apdu.SetRequestWithDataBlock: self._next_set_block,
            apdu.SetRequestWithListAndFirstDataBlock: self._begin_set_list,
            apdu.ActionRequestNormal: self._action,
            apdu.ActionRequestWithList: self._action_list,
            apdu.ActionRequestWithFirstPBlock: self._begin_action,
            apdu.ActionRequestWithPBlock: self._next_action_block,
            apdu.ActionRequestWithListAndFirstPBlock: self._begin_action_list,
            apdu.ActionRequestNextPBlock: self._next_action_answer,
        }

    def serve(self, request: WithInvokeId, caller: Caller, room: int) -> Served:
        """Carry out one request and return its answer; never raises for what a peer sent."""
        missing = NEEDED[type(request)] & ~self._conformance
        selective = getattr(request, "access", None) is not None
        if selective and not self._conformance & Conformance.SELECTIVE_ACCESS:
            missing |= Conformance.SELECTIVE_ACCESS
        if missing:
            return exception(RefusalKind.SERVICE_NOT_NEGOTIATED, f"{missing!r} not negotiated")
        turn = Turn(request.invoke_id_and_priority, caller, room)
        return self._handlers[type(request)](request, turn)

    # GET

    def _get(self, request: apdu.GetRequestNormal, turn: Turn) -> Served:
        self._start_anew()
        code, octets = self._read(request.attribute, request.access)
        results = ((Service.GET, request.attribute, code),)
        whole = turn.header(GET_NORMAL) + octets
        return self._answer(Transfer.GET, whole, len(GET_NORMAL) + 2, turn, results)

    def _get_list(self, request: apdu.GetRequestWithList, turn: Turn) -> Served:
        self._start_anew()
        whole = bytearray(turn.header(GET_WITH_LIST) + encode_length(len(request.items)))
        results = []
        for attribute, access in request.items:
            code, octets = self._read(attribute, access)
            if len(whole) + len(octets) > self._limit:
                # A short list can name a long buffer many times; the sum is bounded.
                code = DataAccessResult.OTHER_REASON
                octets = CHOICE_RESULT + bytes((code,))
            whole += octets
            results.append((Service.GET, attribute, code))
        skip = len(GET_WITH_LIST) + 1
        return self._answer(Transfer.GET, bytes(whole), skip, turn, tuple(results))

    def _read(
        self, attribute: CosemAttributeDescriptor, access: apdu.SelectiveAccess | None
    ) -> tuple[DataAccessResult, bytes]:
        """Read one attribute; return the result and the octets of its Get-Data-Result."""
        found = self._view.get(attribute, access)
        if isinstance(found, DataAccessResult):
            return found, CHOICE_RESULT + bytes((found,))
        return DataAccessResult.SUCCESS, CHOICE_DATA + to_octets(found)

    def _next_get_block(self, request: apdu.GetRequestNext, turn: Turn) -> Served:
        try:
            block = self._next_outgoing(Transfer.GET, request.block_number)
        except BlockError as problem:
            ended = apdu.GetResponseWithDataBlock(
                turn.invoke, True, request.block_number, problem.result
            )
            return block_refused(ended, problem)
        return Served(get_block(turn, block))

    # SET

    def _set(self, request: apdu.SetRequestNormal, turn: Turn) -> Served:
        self._start_anew()
        code = self._view.set(request.attribute, request.access, request.value, turn.caller)
        response = apdu.SetResponseNormal(turn.invoke, code)
        results = ((Service.SET, request.attribute, code),)
        return Served(apdu.encode_apdu(response) if request.confirmed else None, results)

    def _set_list(self, request: apdu.SetRequestWithList, turn: Turn) -> Served:
        self._start_anew()
        if len(request.items) != len(request.values):
            return counts_differ(len(request.items), len(request.values))
        codes, results = self._write_all(request.items, request.values, turn.caller)
        response = apdu.SetResponseWithList(turn.invoke, codes)
        return Served(apdu.encode_apdu(response) if request.confirmed else None, results)

    def _write_all(
        self, items: Sequence[AttributeItem], values: Sequence[Data], caller: Caller
    ) -> tuple[tuple[DataAccessResult, ...], tuple[tuple[Service, Target, Result], ...]]:
        pairs = zip(items, values, strict=True)
        codes = tuple(self._view.set(item, access, v, caller) for (item, access), v in pairs)
        done = tuple((Service.SET, item, c) for (item, _), c in zip(items, codes, strict=True))
        return codes, done

    def _begin_set(self, request: apdu.SetRequestWithFirstDataBlock, turn: Turn) -> Served:
        def finish(raw_data: bytes, last_turn: Turn, number: int) -> Served:
            value = decode_data(raw_data)
            code = self._view.set(request.attribute, request.access, value, last_turn.caller)
            response = apdu.SetResponseLastDataBlock(last_turn.invoke, code, number)
            return Served(apdu.encode_apdu(response), ((Service.SET, request.attribute, code),))

        return self._begin(Transfer.SET, request, turn, finish)

    def _begin_set_list(
        self, request: apdu.SetRequestWithListAndFirstDataBlock, turn: Turn
    ) -> Served:
        def finish(raw_data: bytes, last_turn: Turn, number: int) -> Served:
            values = _decode_list(raw_data, len(request.items))
            codes, results = self._write_all(request.items, values, last_turn.caller)
            response = apdu.SetResponseLastDataBlockWithList(last_turn.invoke, codes, number)
            return Served(apdu.encode_apdu(response), results)

        return self._begin(Transfer.SET, request, turn, finish)

    def _next_set_block(self, request: apdu.SetRequestWithDataBlock, turn: Turn) -> Served:
        return self._continue(Transfer.SET, request, turn)

    # ACTION

    def _action(self, request: apdu.ActionRequestNormal, turn: Turn) -> Served:
        self._start_anew()
        outcome = self._view.act(request.method, request.parameters or NULL, turn.caller)
        return self._answer_action(request.method, outcome, turn, confirmed=request.confirmed)

    def _answer_action(
        self,
        method: CosemMethodDescriptor,
        outcome: ActionOutcome,
        turn: Turn,
        *,
        confirmed: bool = True,
    ) -> Served:
        results = ((Service.ACTION, method, outcome.result),)
        response = apdu.ActionResponseNormal(turn.invoke, outcome.result, outcome.returned)
        if not confirmed:
            return Served(None, results)
        return self._answer(Transfer.ACTION, apdu.encode_apdu(response), 3, turn, results)

    def _action_list(self, request: apdu.ActionRequestWithList, turn: Turn) -> Served:
        self._start_anew()
        if len(request.methods) != len(request.parameters):
            return counts_differ(len(request.methods), len(request.parameters))
        return self._act_all(request.methods, request.parameters, turn, request.confirmed)

    def _act_all(
        self,
        methods: Sequence[CosemMethodDescriptor],
        parameters: Sequence[Data],
        turn: Turn,
        confirmed: bool,
    ) -> Served:
        pairs = list(zip(methods, parameters, strict=True))
        outcomes = [self._view.act(method, given, turn.caller) for method, given in pairs]
        results = tuple(
            (Service.ACTION, method, outcome.result)
            for method, outcome in zip(methods, outcomes, strict=True)
        )
        answers = tuple((outcome.result, outcome.returned) for outcome in outcomes)
        response = apdu.ActionResponseWithList(turn.invoke, answers)
        if not confirmed:
            return Served(None, results)
        return self._answer(Transfer.ACTION, apdu.encode_apdu(response), 3, turn, results)

    def _begin_action(self, request: apdu.ActionRequestWithFirstPBlock, turn: Turn) -> Served:
        def finish(raw_data: bytes, last_turn: Turn, _number: int) -> Served:
            parameters = decode_data(raw_data)
            outcome = self._view.act(request.method, parameters, last_turn.caller)
            return self._answer_action(request.method, outcome, last_turn)

        return self._begin(Transfer.ACTION, request, turn, finish)

    def _begin_action_list(
        self, request: apdu.ActionRequestWithListAndFirstPBlock, turn: Turn
    ) -> Served:
        def finish(raw_data: bytes, last_turn: Turn, _number: int) -> Served:
            parameters = _decode_list(raw_data, len(request.methods))
            return self._act_all(request.methods, parameters, last_turn, True)

        return self._begin(Transfer.ACTION, request, turn, finish)

    def _next_action_block(self, request: apdu.ActionRequestWithPBlock, turn: Turn) -> Served:
        return self._continue(Transfer.ACTION, request, turn)

    def _next_action_answer(self, request: apdu.ActionRequestNextPBlock, turn: Turn) -> Served:
        try:
            block = self._next_outgoing(Transfer.ACTION, request.block_number)
        except BlockError as problem:
            ended = apdu.ActionResponseNormal(turn.invoke, action_result(problem.result))
            return block_refused(ended, problem)
        return Served(action_block(turn, block))

    # Long transfers

    def _start_anew(self) -> None:
        self._outgoing = self._incoming = None

    def _answer(
        self,
        transfer: Transfer,
        whole: bytes,
        skip: int,
        turn: Turn,
        results: tuple[tuple[Service, Target, Result], ...],
    ) -> Served:
        """Send ``whole`` if it fits, else its octets from ``skip`` on in blocks."""
        if len(whole) <= turn.room:
            return Served(whole, results)
        needed, encode = OUTGOING[transfer]
        if not needed & self._conformance or turn.room <= BLOCK_OVERHEAD:
            refused = exception(RefusalKind.SERVICE_NOT_NEGOTIATED, "the answer does not fit")
            return Served(refused.response, results, refused.refusal)
        sender = BlockSender(transfer, whole[skip:], turn.room - BLOCK_OVERHEAD)
        self._outgoing = transfer, sender
        return Served(encode(turn, sender.first()), results)

    def _next_outgoing(self, transfer: Transfer, number: int) -> Block:
        """Return the block after ``number``. Raises `BlockError`, and then the transfer is over."""
        outgoing, self._outgoing = self._outgoing, None
        if outgoing is None or outgoing[0] is not transfer:
            raise BlockError.not_in_progress(transfer)
        block = outgoing[1].acknowledged(number)
        if not block.last:
            self._outgoing = outgoing
        return block

    def _begin(
        self,
        transfer: Transfer,
        request: _FirstBlock,
        turn: Turn,
        finish: Callable[[bytes, Turn, int], Served],
    ) -> Served:
        self._start_anew()
        receiver = BlockReceiver(transfer, limit=self._limit)
        self._incoming = _Incoming(transfer, receiver, finish)
        return self._continue(transfer, request, turn)

    def _continue(
        self, transfer: Transfer, request: _FirstBlock | _LaterBlock, turn: Turn
    ) -> Served:
        incoming, self._incoming = self._incoming, None
        number = request.block_number
        try:
            if incoming is None or incoming.transfer is not transfer:
                raise BlockError.not_in_progress(transfer)
            payload = incoming.receiver.receive(Block(number, request.last, request.raw_data))
            if payload is not None:
                return incoming.finish(payload, turn, number)
        except BlockError as problem:
            return block_refused(incoming_ended(transfer, turn, number, problem), problem)
        except CodecError as problem:
            aborted = BlockError.aborted(transfer, str(problem))
            return block_refused(incoming_ended(transfer, turn, number, aborted), aborted)
        self._incoming = incoming
        return Served(acknowledgement(transfer, turn, number))


_FirstBlock: TypeAlias = (
    apdu.SetRequestWithFirstDataBlock
    | apdu.SetRequestWithListAndFirstDataBlock
    | apdu.ActionRequestWithFirstPBlock
    | apdu.ActionRequestWithListAndFirstPBlock
)
_LaterBlock: TypeAlias = apdu.SetRequestWithDataBlock | apdu.ActionRequestWithPBlock


def _decode_list(raw_data: bytes, expected: int) -> tuple[Data, ...]:
    """Read a SEQUENCE OF Data, which is an array without its tag."""
    values = decode_data(ARRAY_TAG + raw_data).value
    if not isinstance(values, tuple) or len(values) != expected:
        raise CodecError(f"not {expected} values", codec="block transfer", path="raw_data")
    return values
