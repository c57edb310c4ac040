"""DLMS/COSEM messages in words: wrapper, envelope, APDU (IEC 62056-47, 62056-5-3).

Secrets are never told: an authentication value and a dedicated key stand as "(not shown)".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields
from functools import singledispatch
from typing import Final

from harness.explain.decoded import HIDDEN, Captured, CarriedReading, Decoded, carried, counted
from protocols.dlms import apdu
from protocols.dlms.apdu import DataNotification, GeneralGloCiphering, GloApdu, decode_apdu
from protocols.dlms.clock import decode_date_time
from protocols.dlms.concentrator_profile import PushDecoder
from protocols.dlms.data import Data, DataType
from protocols.dlms.plugin.addresses import name_of
from protocols.dlms.security import DecipherError, read_header, unprotect
from protocols.dlms.wrapper import Wpdu
from protocols.errors import ProtocolError
from protocols.plugin import Credentials

ENVELOPES: Final = (GeneralGloCiphering, GloApdu)
ANSWERS: Final = (
    apdu.GetResponseNormal,
    apdu.GetResponseWithDataBlock,
    apdu.GetResponseWithList,
    apdu.ActionResponseNormal,
    apdu.SetResponseNormal,
    apdu.Aare,
    apdu.Rlre,
    apdu.DataNotificationConfirm,
)
GET_RESPONSE_HEADER: Final = 4
"""Octets before the data of a get-response-normal: tag, choice, invoke id, choice of the result."""


class DlmsDecoder:
    """Reads the messages of a run.

    Args:
        concentrators: what each shares with the head-end, by number; none where the keys are no
            test keys.
        head_ends: system titles of the head-end's shards.
    """

    def __init__(self, concentrators: Sequence[Credentials], head_ends: Sequence[bytes]) -> None:
        self._concentrators = concentrators
        self._head_ends = head_ends
        self._pushes = PushDecoder()
        self._blocks: dict[object, bytes] = {}

    def decode(self, message: Captured) -> Decoded:
        """Return what a wrapper PDU says. Never raises for what it holds."""
        layers: list[str] = []
        try:
            octets = self._plain(message, layers)
            said = decode_apdu(octets)
            readings = self._readings(message, said, octets)
        except (ProtocolError, ValueError) as error:
            return Decoded(tuple(layers), problem=str(error) or type(error).__name__)
        layers.append(_told(said) + (f": {counted(readings)}" if readings else ""))
        return Decoded(tuple(layers), readings, is_answer=isinstance(said, ANSWERS))

    def _plain(self, message: Captured, layers: list[str]) -> bytes:
        """Return the APDU out of its wrapper and envelope, and tell of both."""
        pdu = Wpdu.decode(message.packet.octets)
        layers.append(f"wrapper: wPort {pdu.source} to {pdu.destination}, {len(pdu.apdu)} octets")
        octets = pdu.apdu
        outer = decode_apdu(octets)
        if isinstance(outer, ENVELOPES):
            layers.append(_envelope(outer))
            octets = self._opened(message, outer)
        return octets

    def _readings(
        self, message: Captured, said: apdu.Apdu, octets: bytes
    ) -> tuple[CarriedReading, ...]:
        """Return the readings in a push or in what was read of an interval buffer."""
        match said:
            case DataNotification():
                return carried(self._pushes.decode_push(octets))
            case apdu.GetResponseNormal(result=Data(type=DataType.ARRAY)):
                return self._buffer(octets[GET_RESPONSE_HEADER:])
            case apdu.GetResponseWithDataBlock(result=bytes(block)):
                whole = self._blocks.pop(message.connection, b"") + block
                if said.last:
                    return self._buffer(whole)
                self._blocks[message.connection] = whole
        return ()

    def _buffer(self, data: bytes) -> tuple[CarriedReading, ...]:
        """Return the readings of an interval buffer; any other array has none."""
        try:
            return carried(self._pushes.decode_buffer(b"", data))
        except ProtocolError:
            return ()

    def _opened(self, message: Captured, envelope: GeneralGloCiphering | GloApdu) -> bytes:
        if not self._concentrators:
            raise ValueError("not opened: the run's keys are no test keys")
        shared = self._concentrators[message.concentrator]
        titles: Sequence[bytes] = [shared.system_title] if message.up else [*self._head_ends]
        if isinstance(envelope, GeneralGloCiphering):
            titles = [envelope.system_title]
        for title in titles:
            try:
                return unprotect(
                    shared.encryption_key, shared.authentication_key, title, envelope.content
                )[1]
            except DecipherError:
                continue
        raise ValueError("the authentication tag is wrong under the run's keys")


def _envelope(envelope: GeneralGloCiphering | GloApdu) -> str:
    header = read_header(envelope.content)
    control = header.control
    done = [
        word
        for word, is_done in (
            ("authenticated", control.authentication),
            ("encrypted", control.encryption),
        )
        if is_done
    ]
    how = f"{' and '.join(done) or 'not protected'}, invocation counter {header.invocation_counter}"
    if isinstance(envelope, GloApdu):
        return f"service-specific ciphering (tag {envelope.tag:#04x}): {how}"
    return f"general-glo-ciphering from {_device(envelope.system_title)}: {how}"


def _device(system_title: bytes) -> str:
    try:
        return name_of(system_title).decode("ascii")
    except (ValueError, UnicodeDecodeError):
        return system_title.hex()


@singledispatch
def _told(item: object) -> str:
    """Tell an APDU by its name and its fields."""
    values = [f"{field.name} {_value(getattr(item, field.name))}" for field in fields(item)]  # type: ignore[arg-type]
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", type(item).__name__).lower()
    return f"{words} ({', '.join(values)})"


@_told.register
def _(item: apdu.DataNotification) -> str:
    wants = "to be confirmed" if item.confirmed else "not to be confirmed"
    return f"data-notification {item.long_invoke_id}, {wants}"


@_told.register
def _(item: apdu.DataNotificationConfirm) -> str:
    return f"data-notification-confirm of {item.long_invoke_id}"


@_told.register
def _(item: apdu.Aarq) -> str:
    title = item.calling_ap_title
    caller = f" from {_device(title)}" if title else ""
    return f"AARQ{caller}{_proof(item.mechanism_name, item.calling_authentication_value)}"


@_told.register
def _(item: apdu.Aare) -> str:
    result = item.result
    word = result.name.lower() if isinstance(result, apdu.AssociationResult) else f"result {result}"
    return f"AARE: {word.replace('_', ' ')}, diagnostic {item.diagnostic}"


@_told.register
def _(item: apdu.GetRequestNormal) -> str:
    chosen = f", selector {item.access.selector}" if item.access else ""
    return f"get-request {_attribute(item.attribute)}{chosen}"


@_told.register
def _(item: apdu.GetRequestNext) -> str:
    return f"get-request, next block after {item.block_number}"


@_told.register
def _(item: apdu.GetResponseWithDataBlock) -> str:
    size = f"{len(item.result)} octets" if isinstance(item.result, bytes) else _value(item.result)
    return f"get-response, block {item.block_number}{' (last)' * item.last}: {size}"


@_told.register
def _(item: apdu.GetResponseNormal) -> str:
    return f"get-response: {_value(item.result)}"


@_told.register
def _(item: apdu.ActionRequestNormal) -> str:
    method = item.method
    return (
        f"action-request class {method.class_id}, {_obis(method.instance_id)}, "
        f"method {method.method_id}"
    )


@_told.register
def _(item: apdu.SetRequestNormal) -> str:
    return f"set-request {_attribute(item.attribute)}"


def _proof(mechanism: bytes | None, value: bytes | None) -> str:
    words = next((it.name for it in apdu.MechanismName if it.value == mechanism), "")
    told = f", mechanism {words}" if words else ""
    return told + (f", authentication value {HIDDEN}" if value else "")


def _attribute(item: apdu.CosemAttributeDescriptor) -> str:
    return f"class {item.class_id}, {_obis(item.instance_id)}, attribute {item.attribute_id}"


def _obis(octets: bytes) -> str:
    if len(octets) != 6:
        return octets.hex()
    a, b, *rest = octets
    return f"{a}-{b}:{'.'.join(map(str, rest))}"


def _value(value: object) -> str:
    match value:
        case Data(type=DataType.ARRAY | DataType.STRUCTURE, value=tuple(items)):
            return f"{len(items)} elements"
        case Data(type=DataType.OCTET_STRING, value=bytes(octets)):
            return _octets(octets)
        case Data():
            return str(value.value)
        case bytes():
            return f"{len(value)} octets"
        case tuple():
            return f"{len(value)} items"
        case apdu.CosemAttributeDescriptor():
            return _attribute(value)
        case apdu.DataAccessResult() | apdu.ActionResult():
            return value.name.lower().replace("_", "-")
    return str(value)


def _octets(octets: bytes) -> str:
    if len(octets) == 12:
        try:
            return f"{decode_date_time(octets)}"
        except ProtocolError:
            pass
    return f"{len(octets)} octets"
