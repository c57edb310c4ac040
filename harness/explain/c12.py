"""ANSI C12.22 messages in words: ACSE header, protection, services (C12.22, C12.19).

Secrets are never told: a password stands as "(not shown)".
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from harness.explain.decoded import HIDDEN, Captured, CarriedReading, Decoded, carried, counted
from protocols.c12 import services as c12
from protocols.c12.acse import AuthenticationValue, Header, ReadApdu, decode_apdu
from protocols.c12.eax_prime import WrongMacError
from protocols.c12.epsem import SecurityMode
from protocols.c12.message import Message, Sealed, seal_of
from protocols.c12.meter import block_layout, decode_blocks
from protocols.c12.meter.load_profile import DATA as LOAD_PROFILE
from protocols.c12.plugin.naming import element_of, name_of
from protocols.c12.plugin.options import C12Options
from protocols.c12.plugin.push_decoding import PushDecoder, Pushed
from protocols.c12.services import Dialect, Request
from protocols.c12.tables.configuration import MANUFACTURER_BASE
from protocols.c12.titles import ApTitle
from protocols.errors import ProtocolError
from protocols.plugin import SessionOptions
from protocols.readings import ReadingBatch

MODES: Final = {
    SecurityMode.CLEAR: "in clear",
    SecurityMode.AUTHENTICATED: "authenticated",
    SecurityMode.CIPHERED: "encrypted and authenticated",
}
REQUESTS_REMEMBERED: Final = 10_000
SESSION_VALUES: Final = 16
"""Authentication values tried for a message of a session, which has none of its own."""
_WRITES: Final = (c12.FullWrite, c12.OffsetWrite)


class C12Decoder:
    """Reads the messages of a run; an answer is told with what was asked, if that was captured.

    Args:
        keys: the key of each node and relay, by title element; none where they are no test keys.
        options: how the run's sessions were protected, and what meters capture.
    """

    def __init__(self, keys: Mapping[bytes, bytes], options: SessionOptions) -> None:
        self._keys = keys
        self._schema = C12Options.of(options).schema
        self._pushes = PushDecoder(self._schema)
        self._asked: OrderedDict[tuple[object, ...], Sequence[Request]] = OrderedDict()
        self._sessions: dict[tuple[object, ...], list[AuthenticationValue]] = {}

    def decode(self, message: Captured) -> Decoded:
        """Return what an APDU says. Never raises for what it holds."""
        layers: list[str] = []
        try:
            apdu = decode_apdu(message.packet.octets)
        except ProtocolError as error:
            return Decoded((), problem=str(error))
        title = apdu.header.calling if message.up else apdu.header.called
        node, is_answer = _name(title).decode("ascii"), apdu.header.is_response
        try:
            readings = self._read(message, apdu, layers)
        except (ProtocolError, ValueError) as error:
            problem = str(error) or type(error).__name__
            return Decoded(tuple(layers), (), node, is_answer, problem)
        return Decoded(tuple(layers), readings, node, is_answer)

    def _read(
        self, message: Captured, apdu: ReadApdu, layers: list[str]
    ) -> tuple[CarriedReading, ...]:
        header = apdu.header
        kind = "answer" if header.is_response else "message"
        layers.append(
            f"ACSE: {kind} from {_node(header.calling)} to {_node(header.called)}, "
            f"{len(apdu.octets)} octets"
        )
        if apdu.segment is not None:
            layers.append(
                f"segment: octets from {apdu.segment.offset} of {apdu.segment.total_size}"
            )
            return ()
        sealed = seal_of(apdu)
        vector = header.authentication
        layers.append(
            f"EPSEM: {MODES[sealed.control.security]}"
            + (f", initialization vector {vector.vector}" if vector else "")
        )
        opened = self._opened(message, sealed)
        return self._services(message, header, opened.epsem.services, layers)

    def _opened(self, message: Captured, sealed: Sealed) -> Message:
        """Open a message; one of a session goes by what the session's first ones said."""
        header = sealed.header
        key = self._key(header, sealed.control.security)
        node = header.calling if message.up else header.called
        of_session = self._sessions.setdefault((message.connection, node), [])
        if header.authentication is not None:
            of_session.append(header.authentication)
            del of_session[:-SESSION_VALUES]
            return sealed.open(key)
        for implied in reversed(of_session):
            try:
                return sealed.open(key, implied=implied)
            except WrongMacError:
                continue
        return sealed.open(key)

    def _key(self, header: Header, security: SecurityMode) -> bytes | None:
        if security is SecurityMode.CLEAR:
            return None
        if not self._keys:
            raise ValueError("not opened: the run's keys are no test keys")
        for title in (header.calling, header.called):
            if title is not None and (key := self._keys.get(element_of(title))):
                return key
        raise ValueError("not opened: neither end is a node of this run")

    def _services(
        self, message: Captured, header: Header, found: Sequence[bytes], layers: list[str]
    ) -> tuple[CarriedReading, ...]:
        if header.is_response:
            key = (message.connection, header.called_invocation, header.calling)
            asked = self._asked.get(key, ())
            return self._answers(header, asked, found, layers)
        requests = [c12.decode_request(octets, Dialect.C12_22) for octets in found]
        self._asked[message.connection, header.calling_invocation, header.called] = requests
        while len(self._asked) > REQUESTS_REMEMBERED:
            self._asked.popitem(last=False)
        readings: tuple[CarriedReading, ...] = ()
        if message.up and any(isinstance(request, _WRITES) for request in requests):
            batch, _ = self._pushes.decode(b"", [Pushed(_name(header.calling), tuple(found))])
            readings = carried(batch)
        layers.append("; ".join(map(_told, requests)) + _with(readings))
        return readings

    def _answers(
        self,
        header: Header,
        asked: Sequence[Request],
        found: Sequence[bytes],
        layers: list[str],
    ) -> tuple[CarriedReading, ...]:
        told, readings = [], list[CarriedReading]()
        if len(found) < len(asked):
            # A sessionless Security request need not have a response of its own.
            asked = [request for request in asked if not isinstance(request, c12.Security)]
        for place, octets in enumerate(found):
            response = c12.decode_response(octets)
            request = asked[place] if place < len(asked) else None
            to = f" to {_told(request)}" if request is not None else ""
            size = f", {len(response.body)} octets" if response.body else ""
            code = response.code
            told.append(f"<{code.abbreviation}> {code.name.lower().replace('_', ' ')}{to}{size}")
            if isinstance(request, c12.OffsetRead) and request.table == LOAD_PROFILE:
                readings += self._blocks(_name(header.calling), response.body)
        layers.append("; ".join(told) + _with(readings))
        return tuple(readings)

    def _blocks(self, name: bytes, body: bytes) -> Sequence[CarriedReading]:
        """Return the readings in a part of ST64, where it is whole blocks."""
        data = c12.decode_table_data(body) if body else b""
        if not data or len(data) % block_layout(self._schema).size:
            return ()
        captures = decode_blocks(self._schema, data)
        names = [name] * len(captures.captured_at_s)
        batch = ReadingBatch(
            b"", _names(names), captures.captured_at_s, captures.status, captures.values
        )
        return carried(batch)


def _names(names: Sequence[bytes]) -> NDArray[np.bytes_]:
    return np.array(names, "S16")


def _with(readings: Sequence[CarriedReading]) -> str:
    return f": {counted(readings)}" if readings else ""


def _name(title: ApTitle | None) -> bytes:
    return (title is not None and name_of(element_of(title))) or b""


def _node(title: ApTitle | None) -> str:
    return "nobody" if title is None else _name(title).decode("ascii") or str(title)


def _told(request: Request) -> str:
    match request:
        case c12.FullRead(table=table):
            return f"full read of {_table(table)}"
        case c12.OffsetRead(table=table, offset=offset, count=count):
            return f"read of {_table(table)}, {count} octets from {offset}"
        case c12.FullWrite(table=table, data=data):
            return f"full write of {_table(table)}, {len(data)} octets"
        case c12.OffsetWrite(table=table, offset=offset, data=data):
            return f"write of {_table(table)}, {len(data)} octets from {offset}"
        case c12.Register(title=title, period_s=period_s):
            node = _node(ApTitle.decode(title)) if title else "its own title"
            return f"registration of {node} for {period_s} s"
        case c12.Deregister(title=title):
            return f"deregistration of {_node(ApTitle.decode(title))}"
        case c12.Logon(user_id=user_id):
            return f"logon as user {user_id}"
        case c12.Security():
            return f"security, password {HIDDEN}"
        case c12.Authenticate():
            return f"authenticate, ticket {HIDDEN}"
    return type(request).__name__.lower()


def _table(number: int) -> str:
    return f"ST{number}" if number < MANUFACTURER_BASE else f"MT{number - MANUFACTURER_BASE}"
