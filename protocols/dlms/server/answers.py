"""What a server answers with: the octets of responses, acknowledgements and refusals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from protocols.dlms import apdu
from protocols.dlms.apdu import (
    ActionResult,
    Conformance,
    CosemAttributeDescriptor,
    CosemMethodDescriptor,
    DataAccessResult,
)
from protocols.dlms.blocks import Block, BlockError, Transfer
from protocols.dlms.cosem.base import Caller
from protocols.dlms.refusals import RefusalKind
from protocols.dlms.server.events import Service

Result: TypeAlias = DataAccessResult | ActionResult | int
Target: TypeAlias = CosemAttributeDescriptor | CosemMethodDescriptor


@dataclass(frozen=True, slots=True)
class Served:
    """The answer to one request (``None``: none is due), what was done, what was refused."""

    response: bytes | None
    results: tuple[tuple[Service, Target, Result], ...] = ()
    refusal: tuple[RefusalKind, str] | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """One request's surroundings."""

    invoke: int
    caller: Caller
    room: int

    def header(self, tags: bytes) -> bytes:
        """Return how a response of that tag and choice begins."""
        return tags + bytes((self.invoke,))


_Refusal: TypeAlias = (
    apdu.GetResponseWithDataBlock | apdu.SetResponseLastDataBlock | apdu.ActionResponseNormal
)


def exception(
    kind: RefusalKind,
    detail: str,
    state_error: apdu.StateError = apdu.StateError.SERVICE_NOT_ALLOWED,
    service_error: apdu.ServiceError = apdu.ServiceError.SERVICE_NOT_SUPPORTED,
    invocation_counter: int | None = None,
) -> Served:
    """Return an ExceptionResponse as an answer, with its reason for the record."""
    response = apdu.ExceptionResponse(state_error, service_error, invocation_counter)
    return Served(apdu.encode_apdu(response), refusal=(kind, detail))


def counts_differ(targets: int, values: int) -> Served:
    """Refuse a list that has not one value for each target."""
    return exception(
        RefusalKind.MALFORMED_APDU,
        f"{values} values for {targets} targets",
        service_error=apdu.ServiceError.OTHER_REASON,
    )


def get_block(turn: Turn, block: Block) -> bytes:
    """Return one block of a long GET answer."""
    return apdu.encode_apdu(
        apdu.GetResponseWithDataBlock(turn.invoke, block.last, block.number, block.raw_data)
    )


def action_block(turn: Turn, block: Block) -> bytes:
    """Return one block of a long ACTION answer."""
    return apdu.encode_apdu(
        apdu.ActionResponseWithPBlock(turn.invoke, block.last, block.number, block.raw_data)
    )


OUTGOING: Final[Mapping[Transfer, tuple[Conformance, Callable[[Turn, Block], bytes]]]] = {
    Transfer.GET: (Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ, get_block),
    Transfer.ACTION: (Conformance.BLOCK_TRANSFER_WITH_ACTION, action_block),
}


def acknowledgement(transfer: Transfer, turn: Turn, number: int) -> bytes:
    """Return the acknowledgement of a block that arrived."""
    if transfer is Transfer.SET:
        return apdu.encode_apdu(apdu.SetResponseDataBlock(turn.invoke, number))
    return apdu.encode_apdu(apdu.ActionResponseNextPBlock(turn.invoke, number))


def incoming_ended(transfer: Transfer, turn: Turn, number: int, problem: BlockError) -> _Refusal:
    """Return the response that ends a long request."""
    if transfer is Transfer.SET:
        return apdu.SetResponseLastDataBlock(turn.invoke, problem.result, number)
    return apdu.ActionResponseNormal(turn.invoke, action_result(problem.result))


def action_result(result: DataAccessResult) -> ActionResult:
    """Return what ACTION has for a block transfer's result."""
    if result is DataAccessResult.NO_LONG_GET_IN_PROGRESS:
        return ActionResult.NO_LONG_ACTION_IN_PROGRESS
    # ACTION has no "block number invalid" of its own: the transfer is aborted.
    return ActionResult.LONG_ACTION_ABORTED


def block_refused(response: _Refusal, problem: BlockError) -> Served:
    """Return ``response`` as an answer, with what went wrong for the record."""
    refusal = RefusalKind.BLOCK_OUT_OF_TURN, str(problem)
    return Served(apdu.encode_apdu(response), refusal=refusal)
