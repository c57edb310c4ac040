"""One request and its answer, blocks included, at the client.

An exchange gives the octets of its next APDU and takes the server's; it ends with an event. The
session keeps the state machine, the time and the ciphering around it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from protocols.dlms import apdu
from protocols.dlms.apdu import (
    ActionRequestNormal,
    ActionResult,
    GetRequestNormal,
    GetRequestWithList,
    SetRequestNormal,
    WithInvokeId,
)
from protocols.dlms.axdr import decode_data, encode_data
from protocols.dlms.blocks import Block, BlockError, BlockReceiver, BlockSender, Transfer
from protocols.dlms.client.events import (
    ActionAnswer,
    ClientEvent,
    GetListResult,
    GetResult,
    SetResult,
)
from protocols.dlms.cosem.base import Encoded
from protocols.errors import CodecError, RemoteProtocolError

FIRST_BLOCK_EXTRA: Final = 9
"""What a first block adds to its request besides the raw data: last, number, length."""
GET_NORMAL: Final = 0xC4, 0x01
DATA_CHOICE_OFFSET: Final = 3


@dataclass(frozen=True, slots=True)
class Step:
    """What follows from one of the server's APDUs: octets to send, or the event that ends it."""

    octets: bytes | None = None
    event: ClientEvent | None = None


class Exchange:
    """Base: one outstanding request of one invoke id."""

    def __init__(self, invoke: int) -> None:
        self.invoke = invoke

    def start(self, room: int) -> bytes:
        """Return the first APDU, in at most ``room`` octets where the service has blocks."""
        raise NotImplementedError

    def receive(self, octets: bytes) -> Step:
        """Take the server's APDU.

        Raises `CodecError`, `RemoteProtocolError` for an answer to something else, and
        `BlockError` for a block out of turn.
        """
        response = apdu.decode_apdu(octets)
        if not isinstance(response, WithInvokeId) or response.invoke_id != self.invoke & 0x0F:
            raise RemoteProtocolError(f"{type(response).__name__} is not the answer")
        return self.answer(response)

    def failed(self, problem: BlockError) -> ClientEvent:
        """Return the event for a transfer that the server broke."""
        raise NotImplementedError

    def answer(self, response: Any) -> Step:  # noqa: ANN401 - narrowed by match
        """Take the answer, or raise `RemoteProtocolError` if it is none to this request."""
        raise RemoteProtocolError(f"{type(response).__name__} in a {type(self).__name__}")


class GetExchange(Exchange):
    """GET of one attribute; with ``encoded`` the value stays A-XDR."""

    def __init__(
        self, request: GetRequestNormal | GetRequestWithList, limit: int, *, encoded: bool = False
    ) -> None:
        super().__init__(request.invoke_id_and_priority)
        self._request = request
        self._encoded = encoded
        self._blocks = BlockReceiver(Transfer.GET, limit=limit)

    def start(self, room: int) -> bytes:
        """Return the request; GET has no blocks in this direction."""
        del room
        return apdu.encode_apdu(self._request)

    def receive(self, octets: bytes) -> Step:
        """Take the server's APDU, without decoding a value that is to stay encoded."""
        head = octets[: DATA_CHOICE_OFFSET + 1]
        if self._encoded and head == bytes((*GET_NORMAL, self.invoke, 0)):
            return Step(event=GetResult(Encoded(octets[DATA_CHOICE_OFFSET + 1 :])))
        return super().receive(octets)

    def failed(self, problem: BlockError) -> ClientEvent:
        """Return the event for a transfer that the server broke."""
        return GetResult(problem.result)

    def answer(self, response: Any) -> Step:  # noqa: ANN401 - narrowed by match
        """Take a whole answer or a block."""
        match response:
            case apdu.GetResponseNormal(result=result):
                return Step(event=GetResult(result))
            case apdu.GetResponseWithDataBlock(result=bytes(raw_data)):
                return self._block(Block(response.block_number, response.last, raw_data))
            case apdu.GetResponseWithDataBlock(result=int(result)):
                return Step(event=GetResult(result))
        return super().answer(response)

    def _block(self, block: Block) -> Step:
        payload = self._blocks.receive(block)
        if payload is None:
            return Step(apdu.encode_apdu(apdu.GetRequestNext(self.invoke, block.number)))
        return Step(event=self._whole(payload))

    def _whole(self, payload: bytes) -> ClientEvent:
        return GetResult(Encoded(payload) if self._encoded else decode_data(payload))


class GetListExchange(GetExchange):
    """GET of several attributes."""

    def __init__(self, request: GetRequestWithList, limit: int) -> None:
        super().__init__(request, limit)
        self._expected = len(request.items)

    def answer(self, response: Any) -> Step:  # noqa: ANN401 - narrowed by match
        """Take a whole answer or a block."""
        if isinstance(response, apdu.GetResponseWithList):
            return Step(event=self._results(response))
        return super().answer(response)

    def _whole(self, payload: bytes) -> ClientEvent:
        response = apdu.decode_apdu(bytes((0xC4, 0x03, self.invoke)) + payload)
        if not isinstance(response, apdu.GetResponseWithList):
            raise CodecError("not a list of results", codec="block transfer", path="raw_data")
        return self._results(response)

    def _results(self, response: apdu.GetResponseWithList) -> GetListResult:
        if len(response.results) != self._expected:
            detail = f"{len(response.results)} results for {self._expected} attributes"
            raise CodecError(detail, codec="get-response-with-list", path="results")
        return GetListResult(response.results)


class SetExchange(Exchange):
    """SET of one attribute, in blocks when it does not fit."""

    def __init__(self, request: SetRequestNormal) -> None:
        super().__init__(request.invoke_id_and_priority)
        self._request = request
        self._sender: BlockSender | None = None

    def start(self, room: int) -> bytes:
        """Return the request, or its first block."""
        whole = apdu.encode_apdu(self._request)
        if len(whole) <= room:
            return whole
        value = encode_data(self._request.value)
        size = room - (len(whole) - len(value)) - FIRST_BLOCK_EXTRA
        self._sender = BlockSender(Transfer.SET, value, size)
        block = self._sender.first()
        attribute, access = self._request.attribute, self._request.access
        return apdu.encode_apdu(
            apdu.SetRequestWithFirstDataBlock(
                self.invoke, attribute, access, block.last, block.number, block.raw_data
            )
        )

    def failed(self, problem: BlockError) -> ClientEvent:
        """Return the event for a transfer that the server broke."""
        return SetResult(problem.result)

    def answer(self, response: Any) -> Step:  # noqa: ANN401 - narrowed by match
        """Take the result, or the acknowledgement of a block."""
        match response:
            case apdu.SetResponseNormal(result=result):
                return Step(event=SetResult(result))
            case apdu.SetResponseLastDataBlock(result=result):
                return Step(event=SetResult(result))
            case apdu.SetResponseDataBlock(block_number=number) if self._sender is not None:
                block = self._sender.acknowledged(number)
                return Step(
                    apdu.encode_apdu(
                        apdu.SetRequestWithDataBlock(
                            self.invoke, block.last, block.number, block.raw_data
                        )
                    )
                )
        return super().answer(response)


class ActionExchange(Exchange):
    """ACTION of one method, parameters and answer in blocks when they do not fit."""

    def __init__(self, request: ActionRequestNormal, limit: int) -> None:
        super().__init__(request.invoke_id_and_priority)
        self._request = request
        self._sender: BlockSender | None = None
        self._blocks = BlockReceiver(Transfer.ACTION, limit=limit)

    def start(self, room: int) -> bytes:
        """Return the request, or its first block."""
        whole = apdu.encode_apdu(self._request)
        if len(whole) <= room or self._request.parameters is None:
            return whole
        parameters = encode_data(self._request.parameters)
        size = room - (len(whole) - len(parameters)) - FIRST_BLOCK_EXTRA
        self._sender = BlockSender(Transfer.ACTION, parameters, size)
        block = self._sender.first()
        return apdu.encode_apdu(
            apdu.ActionRequestWithFirstPBlock(
                self.invoke, self._request.method, block.last, block.number, block.raw_data
            )
        )

    def failed(self, problem: BlockError) -> ClientEvent:
        """Return the event for a transfer that the server broke."""
        del problem
        return ActionAnswer(ActionResult.LONG_ACTION_ABORTED, None)

    def answer(self, response: Any) -> Step:  # noqa: ANN401 - narrowed by match
        """Take the result, a block of it, or the acknowledgement of a block."""
        match response:
            case apdu.ActionResponseNormal(result=result, returned=returned):
                return Step(event=ActionAnswer(result, returned))
            case apdu.ActionResponseWithPBlock():
                return self._block(Block(response.block_number, response.last, response.raw_data))
            case apdu.ActionResponseNextPBlock(block_number=number) if self._sender is not None:
                block = self._sender.acknowledged(number)
                return Step(
                    apdu.encode_apdu(
                        apdu.ActionRequestWithPBlock(
                            self.invoke, block.last, block.number, block.raw_data
                        )
                    )
                )
        return super().answer(response)

    def _block(self, block: Block) -> Step:
        payload = self._blocks.receive(block)
        if payload is None:
            return Step(apdu.encode_apdu(apdu.ActionRequestNextPBlock(self.invoke, block.number)))
        whole = apdu.decode_apdu(bytes((0xC7, 0x01, self.invoke)) + payload)
        return self.answer(whole)
