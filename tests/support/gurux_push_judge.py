"""gurux-dlms as a judge of pushes. A program of its own: gurux is GPL and stays out of our process.

Reads one JSON request from standard input and writes one JSON answer to standard output::

    {"operation": "xml", "apdu": HEX, "system_title": HEX, "block_key": HEX, "auth_key": HEX}
    {"operation": "decode", "apdu": HEX}
    {"operation": "time_decode", "apdu": HEX, "budget_s": 2.0}
    {"operation": "time_encode", "apdu": HEX, "budget_s": 2.0}
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from gurux_dlms import (
    GXByteBuffer,
    GXDLMSClient,
    GXDLMSNotify,
    GXReplyData,
    GXStructure,
    GXUInt8,
    GXUInt32,
)
from gurux_dlms.enums import Authentication, DataType, InterfaceType, Security
from gurux_dlms.GXDLMSTranslator import GXDLMSTranslator
from gurux_dlms.internal._GXCommon import _GXCommon

WRAPPER = bytes.fromhex("0001 0001 0010")


def decode(wire: bytes) -> Any:
    """Return the notification-body as gurux's lists."""
    client = GXDLMSClient(True, 16, 1, Authentication.NONE, None, InterfaceType.WRAPPER)
    reply, notification = GXReplyData(), GXReplyData()
    client.getData(GXByteBuffer(wire), reply, notification)
    return notification.value


def as_json(value: Any) -> Any:
    if isinstance(value, bytes | bytearray):
        return bytes(value).hex()
    return [as_json(item) for item in value] if isinstance(value, list) else value


def typed(body: Any) -> Any:
    """Return a body with the widths of our registers, which Python integers do not have."""
    concentrator, push_setup, rows = body
    return [concentrator, push_setup, [typed_row(row) for row in rows]]


def typed_row(row: Any) -> Any:
    meter, at, status, *values = row
    structure = GXStructure()
    structure.extend([meter, at, GXUInt8(status), *(GXUInt32(value) for value in values)])
    return structure


def encode(body: Any) -> bytes:
    """Return the wrapper PDUs of a push of ``body``, without a date-time."""
    notify = GXDLMSNotify(True, 1, 16, InterfaceType.WRAPPER)
    notify.maxReceivePDUSize = 0xFFFF
    data = GXByteBuffer()
    _GXCommon.setData(notify.settings, data, DataType.STRUCTURE, body)
    messages = notify.generateDataNotificationMessages(None, data)
    return b"".join(bytes(message) for message in messages)


def rate(action: Any, readings: int, budget_s: float) -> float:
    """Return readings a second: the best of the runs that fit into the budget."""
    end, best_s = time.perf_counter() + budget_s, float("inf")
    while time.perf_counter() < end:
        start = time.perf_counter()
        action()
        best_s = min(best_s, time.perf_counter() - start)
    return readings / best_s


def to_xml(request: dict[str, Any]) -> str:
    translator = GXDLMSTranslator()
    if "block_key" in request:
        translator.security = Security.AUTHENTICATION_ENCRYPTION
        translator.systemTitle = bytes.fromhex(request["system_title"])
        translator.blockCipherKey = bytes.fromhex(request["block_key"])
        translator.authenticationKey = bytes.fromhex(request["auth_key"])
        translator.comments = True
    return str(translator.pduToXml(request["apdu"]))


def answer(request: dict[str, Any]) -> dict[str, Any]:
    if request["operation"] == "xml":
        return {"xml": to_xml(request)}
    apdu = bytes.fromhex(request["apdu"])
    wire = WRAPPER + len(apdu).to_bytes(2, "big") + apdu
    body = decode(wire)
    match request["operation"]:
        case "decode":
            return {"body": as_json(body)}
        case "time_decode":
            return {"rate": rate(lambda: decode(wire), len(body[2]), request["budget_s"])}
        case "time_encode":
            values = typed(body)
            timed = rate(lambda: encode(values), len(body[2]), request["budget_s"])
            return {"rate": timed, "wire": encode(values).hex()}
        case operation:
            raise ValueError(operation)


if __name__ == "__main__":
    # gurux prints to standard output when it meets ciphering.
    out, sys.stdout = sys.stdout, sys.stderr
    json.dump(answer(json.load(sys.stdin)), out)
