"""A relay's side of a connection that a client opened: many nodes behind one stream.

Theory of operation. Each APDU names the node it is for. A meter behind the relay has an
association of its own, made when the first APDU for it comes; everything else is for the relay:
what names the relay or nobody, and what names somebody who is not here, which the relay's own
association answers with UNKNOWN_APPLICATION_TITLE. Nodes answer in the order in which their
requests are complete.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from protocols.c12.acse import Header, ReadApdu, decode_apdu, interpret_header
from protocols.c12.application import Application
from protocols.c12.association import Channel, Endpoint, Node, Refused, ServerAssociation
from protocols.c12.framing import ApduReader, Oversized
from protocols.c12.meter import Clearance, HandedOver, Meter, Passwords
from protocols.c12.options import ServerOptions
from protocols.c12.plugin.downlink import MAX_ANSWER_SIZE, DeviceVectors, absolute_title
from protocols.c12.plugin.downlink_relay import RelayServices, not_reachable
from protocols.c12.plugin.naming import key_id_of
from protocols.c12.plugin.options import C12Options
from protocols.c12.relay import Place, Router
from protocols.c12.services import Request, Response, ResponseCode
from protocols.c12.titles import ApTitle
from protocols.errors import CodecError
from protocols.plugin import ConcentratorModel, Counters, Credentials, SessionOptions

IDLE_S: Final = 600.0
"""Seconds of silence after which a connection is closed."""
AT_ONCE: Final = -math.inf


class _Noted:
    """An application, with a note of what it refuses."""

    def __init__(self, application: Application, refusals: list[str]) -> None:
        self._application = application
        self._refusals = refusals

    def handle(self, request: Request, *, now: float) -> Response:
        """Return the application's answer."""
        response = self._application.handle(request, now=now)
        if response.code is not ResponseCode.OK:
            self._refusals.append(response.code.name.lower().replace("_", " "))
        return response

    def session_ended(self) -> None:
        """Tell the application."""
        self._application.session_ended()


class _NotedMeter(_Noted):
    """A meter for one message or one session, told what each request came under."""

    def __init__(self, meter: Meter, refusals: list[str], vectors: DeviceVectors) -> None:
        super().__init__(meter, refusals)
        self._meter = meter
        self._vectors = vectors
        self._message = vectors.messages

    def handle(self, request: Request, *, now: float) -> Response:
        """Return the meter's answer."""
        if self._message != self._vectors.messages:
            self._message = self._vectors.messages
            self._meter.look()
        # Within a session a message may have no vector: then that of the Logon stays.
        if self._vectors.accepted_last:
            self._meter.request_counter = self._vectors.accepted_last
        return super().handle(request, now=now)


@dataclass(slots=True)
class _Server:
    """A node and its vectors."""

    endpoint: Endpoint
    vectors: DeviceVectors


class C12ServedSession:
    """The C12.22 servers of a relay and its meters, for one connection.

    ``deadline`` is in the past (at once) until the session has been told the time first, and
    again when the stream has lost its framing; told the time then, or after `IDLE_S` of silence,
    it is ``None``: send what is left and close the connection.
    """

    def __init__(
        self,
        model: ConcentratorModel,
        credentials: Credentials,
        counters: Counters,
        options: SessionOptions,
        random: Callable[[int], bytes],
    ) -> None:
        self.deadline: float | None = AT_ONCE
        self._model = model
        self._credentials = credentials
        self._counters = counters
        self._options = C12Options.of(options)
        self._reader = ApduReader()
        self._servers: dict[int | None, _Server] = {}
        self._refusals: list[str] = []
        self._outgoing: list[bytes] = []
        self._handed = HandedOver(model)
        self._channel_options = self._options.channel
        self._server_options = ServerOptions(
            answers_to_security=self._options.security_answer, max_response_size=MAX_ANSWER_SIZE
        )
        self._deadlines: dict[int | None, float] = {}
        self._idle_at = math.inf
        self._over = False

    def receive_data(self, data: bytes, *, now: float) -> None:
        """Take octets of the client, in any split. Never raises for what they hold."""
        if self._over:
            return
        self._idle_at = now + IDLE_S
        self._reader.feed(data)
        try:
            while (apdu := self._reader.next_apdu()) is not None:
                self._take(apdu, now)
        except CodecError:
            self._refusals.append("malformed")
            self._over = True
        # Before the octets leave, and all meters together.
        self._handed.tell()
        self._note_deadline()

    def receive_eof(self) -> None:
        """Take the end of the stream; what it cut off is refused as truncated."""
        if self._reader.is_cut and not self._over:
            self._refusals.append("truncated")
        self._over = True
        self.deadline = None

    def data_to_send(self) -> bytes:
        """Return the octets to send now, once."""
        outgoing, self._outgoing = self._outgoing, []
        return b"".join(outgoing)

    def handle_deadline(self, now: float) -> None:
        """Take the time; afterwards the deadline is in the future or ``None``."""
        if self._over or now >= self._idle_at:
            self._over = True
            self.deadline = None
            return
        if self._idle_at == math.inf:
            self._idle_at = now + IDLE_S
        for number in list(self._deadlines):
            server = self._servers[number]
            server.endpoint.handle_deadline(now)
            self._collect(number, server)
        self._note_deadline()

    def refusals(self) -> Sequence[str]:
        """Return, once, the causes for which requests were refused since the last call."""
        causes = tuple(self._refusals)
        self._refusals.clear()
        return causes

    def _take(self, octets: bytes | Oversized, now: float) -> None:
        apdu = _read(octets)
        number = self._number(apdu)
        if number is not None and not self._model.meter_state(number).reachable:
            self._answer_for(apdu)
            return
        server = self._servers.get(number)
        if server is None:
            server = self._servers[number] = self._server(number)
        server.vectors.begin()
        if isinstance(octets, Oversized):
            server.endpoint.receive_oversized(octets)
        elif isinstance(apdu, ReadApdu):
            server.endpoint.receive_read(apdu, now)
        else:
            server.endpoint.receive_apdu(octets, now)
        self._collect(number, server)

    def _answer_for(self, apdu: ReadApdu | Header | None) -> None:
        """Say for a meter that it cannot be reached; in clear, as the relay has not its key."""
        self._refusals.append("network not reachable")
        answer = not_reachable(apdu) if isinstance(apdu, ReadApdu) else None
        if answer is not None:
            self._outgoing.append(answer)

    def _number(self, apdu: ReadApdu | Header | None) -> int | None:
        """Return which meter an APDU is for. Whoever is not here is the relay's to say so."""
        if apdu is None:
            return None
        route = self._router.route(
            apdu.header.called if isinstance(apdu, ReadApdu) else apdu.called
        )
        return None if isinstance(route, Place) else route

    @cached_property
    def _router(self) -> Router:
        """Who is behind the relay; made when first needed, because it costs every meter's keys."""
        nodes = {
            absolute_title(member): meter for meter, member in enumerate(self._credentials.members)
        }
        return Router(absolute_title(self._credentials), nodes)

    def _server(self, meter: int | None) -> _Server:
        """Return the association of a meter, or of the relay."""
        own = self._credentials if meter is None else self._credentials.members[meter]
        vectors = DeviceVectors(self._counters, own)
        key_ids = (None, key_id_of(own.system_title))
        node = Node(
            absolute_title(own),
            lambda _peer, key_id: own.encryption_key if key_id in key_ids else None,
            vectors,
            vectors,
            vectors.utc_s,
        )
        channel = Channel(node, self._channel_options)

        def application(_peer: ApTitle) -> Application:
            if meter is None:
                return _Noted(RelayServices(own.system_title, self._router), self._refusals)
            return _NotedMeter(self._meter(meter, own), self._refusals, vectors)

        association = ServerAssociation(channel, application, self._server_options)
        return _Server(Endpoint(channel, server=association), vectors)

    def _meter(self, number: int, own: Credentials) -> Meter:
        open_to_all = self._options.authentication == "none"
        granted = Clearance.FULL if open_to_all else Clearance.NONE
        passwords = Passwords.of(own)
        return Meter(
            self._model,
            number,
            passwords,
            granted=granted,
            settings=self._options.settings,
            handed=self._handed,
        )

    def _collect(self, number: int | None, server: _Server) -> None:
        self._outgoing += server.endpoint.data_to_send()
        deadline = server.endpoint.deadline
        if deadline is not None:
            self._deadlines[number] = deadline
        else:
            self._deadlines.pop(number, None)
        while (event := server.endpoint.next_event()) is not None:
            if isinstance(event, Refused):
                self._refusals.append(event.kind.value)

    def _note_deadline(self) -> None:
        earliest = min(self._deadlines.values(), default=math.inf)
        self.deadline = AT_ONCE if self._over else min(earliest, self._idle_at)


def _read(octets: bytes | Oversized) -> ReadApdu | Header | None:
    """Return an APDU, or the header of one that is too long; ``None``: it cannot be read."""
    try:
        if isinstance(octets, Oversized):
            return interpret_header(octets.head)
        return decode_apdu(octets)
    except CodecError:
        return None
