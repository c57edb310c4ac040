"""Read a DLMS server with gurux-dlms, an independent client, and write what it said as JSON.

Run as a process of its own: gurux-dlms is GPL and prints while it deciphers. One argument per
thing to read; the output file holds a list with one entry per argument, in order::

    association-view                                 [[class, logical name, version], ...]
    attribute:CLASS:LOGICAL_NAME:ATTRIBUTE           the value
    clock:LOGICAL_NAME                               POSIX seconds
    list:CLASS:LN:ATTRIBUTE,CLASS:LN:ATTRIBUTE,...   GET with list
    entries:LOGICAL_NAME:FIRST:COUNT                 rows of a profile
    range:LOGICAL_NAME:FROM_POSIX_S:TO_POSIX_S       rows of a profile, by its sort object
    action:CLASS:LOGICAL_NAME:METHOD:INTEGER         nothing (an error when refused)

Octet-strings come as hex, a refusal as {"error": number}.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from gurux_dlms import GXByteBuffer, GXDateTime, GXDLMSException, GXReplyData
from gurux_dlms.enums import (
    Authentication,
    Conformance,
    DataType,
    InterfaceType,
    ObjectType,
    Security,
)
from gurux_dlms.GXDLMSExceptionResponse import GXDLMSExceptionResponse
from gurux_dlms.secure import GXDLMSSecureClient

AUTHENTICATIONS: Final = {
    "none": Authentication.NONE,
    "low": Authentication.LOW,
    "gmac": Authentication.HIGH_GMAC,
}
RECEIVE_SIZE: Final = 65536


class Refusal(Exception):
    """The server answered with a result code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"result {code}")
        self.code = int(code)


class Reader:
    """A connection and a gurux client over it."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.client = make_client(options)
        self.socket = socket.create_connection((options.host, options.port), options.timeout)

    def exchange(self, request: bytes) -> GXReplyData:
        """Send one frame and return the whole answer, later blocks asked for."""
        reply = GXReplyData()
        self._exchange_one(request, reply)
        while reply.isMoreData():
            self._exchange_one(self.client.receiverReady(reply), reply)
        return reply

    def _exchange_one(self, request: bytes, reply: GXReplyData) -> None:
        self.socket.sendall(bytes(request))
        received = GXByteBuffer()
        complete = False
        while not complete:
            data = self.socket.recv(RECEIVE_SIZE)
            if not data:
                raise ConnectionError("the server closed the connection")
            received.set(bytearray(data))
            complete = self.client.getData(received, reply, None)

    def all(self, requests: Any) -> GXReplyData:
        """Send several frames and return the last answer."""
        frames = requests if isinstance(requests, (list, tuple)) else [requests]
        reply = GXReplyData()
        for frame in frames:
            reply = self.all(frame) if isinstance(frame, (list, tuple)) else self.exchange(frame)
        if reply.error:
            raise Refusal(reply.error)
        return reply

    def associate(self) -> None:
        """AARQ, and the two HLS passes when the server wants them."""
        reply = self.all(self.client.aarqRequest())
        self.client.parseAareResponse(reply.data)
        if self.client.isAuthenticationRequired:
            reply = self.all(self.client.getApplicationAssociationRequest())
            self.client.parseApplicationAssociationResponse(reply.data)

    def release(self) -> None:
        """RLRQ, then close."""
        self.all(self.client.releaseRequest())
        self.socket.close()

    def read(self, class_id: int, logical_name: str, attribute: int) -> tuple[Any, Any]:
        """Return the object with the attribute updated, and the attribute's raw value."""
        item = self.client.createObject(ObjectType(class_id))
        item.logicalName = logical_name
        reply = self.all(self.client.read(item, attribute))
        self.client.updateValue(item, attribute, reply.value)
        return item, reply.value

    def do(self, wanted: str) -> Any:
        """Do one thing and return what goes into the output."""
        kind, _, rest = wanted.partition(":")
        return getattr(self, "do_" + kind.replace("-", "_"))(*filter(None, rest.split(":")))

    def do_association_view(self) -> Any:
        reply = self.all(self.client.getObjectsRequest())
        found = self.client.parseObjects(reply.data, True, False)
        return [[int(item.objectType), item.logicalName, item.version] for item in found]

    def do_attribute(self, class_id: str, logical_name: str, attribute: str) -> Any:
        return plain(self.read(int(class_id), logical_name, int(attribute))[1])

    def do_clock(self, logical_name: str) -> Any:
        clock, _ = self.read(8, logical_name, 2)
        return clock.time.value.timestamp()

    def do_list(self, *parts: str) -> Any:
        items = []
        for triple in ":".join(parts).split(","):
            class_id, logical_name, attribute = triple.split(":")
            item = self.client.createObject(ObjectType(int(class_id)))
            item.logicalName = logical_name
            items.append((item, int(attribute)))
        values: list[Any] = []
        for request in self.client.readList(items):
            reply = self.all(request)
            values.extend(reply.value)
        return plain(values)

    def _profile(self, logical_name: str) -> Any:
        """Return the profile with capture objects and sort object read, as gurux wants them."""
        profile, _ = self.read(7, logical_name, 3)
        reply = self.all(self.client.read(profile, 6))
        self.client.updateValue(profile, 6, reply.value)
        return profile

    def do_entries(self, logical_name: str, first: str, count: str) -> Any:
        profile = self._profile(logical_name)
        request = self.client.readRowsByEntry(profile, int(first), int(count))
        return plain(self.all(request).value)

    def do_range(self, logical_name: str, from_s: str, to_s: str) -> Any:
        profile = self._profile(logical_name)
        start, end = (
            GXDateTime(datetime.fromtimestamp(int(limit), UTC)) for limit in (from_s, to_s)
        )
        return plain(self.all(self.client.readRowsByRange(profile, start, end)).value)

    def do_action(self, class_id: str, logical_name: str, method: str, value: str) -> Any:
        item = self.client.createObject(ObjectType(int(class_id)))
        item.logicalName = logical_name
        self.all(self.client.method(item, int(method), int(value), DataType.INT8))
        return None


def plain(value: Any) -> Any:
    """Return ``value`` as JSON can hold it: octets as hex."""
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (bool, float, str)) or value is None:
        return value
    if isinstance(value, int):
        return int(value)
    return str(value)


def make_client(options: argparse.Namespace) -> GXDLMSSecureClient:
    """Return a gurux client as the options want it."""
    client = GXDLMSSecureClient(
        True,
        options.client,
        options.server,
        AUTHENTICATIONS[options.authentication],
        bytes.fromhex(options.secret) or options.password or None,
        InterfaceType.WRAPPER,
    )
    if options.max_pdu_size:
        client.maxReceivePDUSize = options.max_pdu_size
    ciphering = client.ciphering
    ciphering.systemTitle = bytes.fromhex(options.system_title)
    ciphering.blockCipherKey = bytes.fromhex(options.encryption_key)
    ciphering.authenticationKey = bytes.fromhex(options.authentication_key)
    ciphering.invocationCounter = options.invocation_counter
    if options.ciphering != "none":
        ciphering.security = Security.AUTHENTICATION_ENCRYPTION
    if options.ciphering == "general":
        client.proposedConformance |= Conformance.GENERAL_PROTECTION
    else:
        client.proposedConformance &= ~Conformance.GENERAL_PROTECTION
    return client


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--client", type=int, default=16)
    parser.add_argument("--server", type=int, default=1)
    parser.add_argument("--authentication", choices=sorted(AUTHENTICATIONS), default="none")
    parser.add_argument("--password", default="")
    parser.add_argument("--secret", default="", help="a password in hexadecimal")
    parser.add_argument("--ciphering", choices=("none", "service", "general"), default="none")
    parser.add_argument("--system-title", default="4d53480000000001")
    parser.add_argument("--encryption-key", default="00" * 16)
    parser.add_argument("--authentication-key", default="00" * 16)
    parser.add_argument("--invocation-counter", type=int, default=1)
    parser.add_argument("--max-pdu-size", type=int, default=0)
    parser.add_argument("--timeout", type=float, default=20.0)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("wanted", nargs="+")
    return parser.parse_args()


def main() -> int:
    options = parse_arguments()
    reader = Reader(options)
    reader.associate()
    results = []
    for wanted in options.wanted:
        try:
            results.append(reader.do(wanted))
        except Refusal as refusal:
            results.append({"error": refusal.code})
        except GXDLMSException as refusal:
            results.append({"error": int(refusal.errorCode)})
        except GXDLMSExceptionResponse as refusal:
            results.append({"exception": str(refusal)})
    reader.release()
    counter = reader.client.ciphering.invocationCounter
    output = {"results": results, "next_invocation_counter": counter}
    options.output.write_text(json.dumps(output))
    return 0


if __name__ == "__main__":
    sys.exit(main())
