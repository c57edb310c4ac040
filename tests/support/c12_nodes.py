"""Two C12.22 nodes and a way between them that a test can look at and disturb."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from protocols.c12.association import (
    Channel,
    ClientAssociation,
    Endpoint,
    Event,
    Node,
    RefusalKind,
    ServerAssociation,
)
from protocols.c12.options import (
    CHANNEL_OPTIONS,
    CLIENT_OPTIONS,
    SERVER_OPTIONS,
    ChannelOptions,
    ClientOptions,
    ServerOptions,
)
from protocols.c12.services import (
    FullRead,
    FullWrite,
    Logoff,
    Logon,
    LogonBody,
    Request,
    Response,
    ResponseCode,
    Security,
    ok,
    read_response,
)
from protocols.c12.titles import ApTitle, head_end_title, meter_title
from tests.support.c12_vectors import SendVectors, VectorMemory

KEY = bytes(range(1, 17))
METER = meter_title(0)
HEAD_END = head_end_title(0)
UTC_S = 0x65000000
PASSWORD = b"password".ljust(20)


@dataclass
class Meter:
    """An application with a table of 50 octets that wants a password before it lets write."""

    handled: list[Request] = field(default_factory=list)
    sessions_ended: int = 0
    trusted: bool = False
    table: bytes = bytes(range(50))
    logon: Response | None = None

    def handle(self, request: Request, *, now: float) -> Response:
        self.handled.append(request)
        match request:
            case Logon():
                return self.logon or ok(LogonBody(request.timeout_s))
            case Logoff():
                return ok()
            case Security():
                self.trusted = request.password == PASSWORD
                return ok() if self.trusted else Response(ResponseCode.ERROR)
            case FullRead(table=1):
                return read_response(self.table)
            case FullWrite() if not self.trusted:
                return Response(ResponseCode.INSUFFICIENT_SECURITY_CLEARANCE)
            case FullWrite():
                self.table = request.data
                return ok()
            case _:
                return Response(ResponseCode.INAPPROPRIATE_ACTION_REQUESTED)

    def session_ended(self) -> None:
        self.sessions_ended += 1
        self.trusted = False


def node(title: ApTitle, key: bytes | None = KEY, utc_s: float = UTC_S) -> Node:
    """Return a node that shares ``key`` with everybody."""

    def keys(peer: ApTitle, key_id: int | None) -> bytes | None:
        return key

    return Node(title.absolute(), keys, SendVectors(), VectorMemory(), lambda: utc_s)


class Pair:
    """A head-end that asks and a meter that answers."""

    def __init__(
        self,
        *,
        server: ServerOptions = SERVER_OPTIONS,
        client: ClientOptions = CLIENT_OPTIONS,
        meter_channel: ChannelOptions = CHANNEL_OPTIONS,
        head_end_channel: ChannelOptions = CHANNEL_OPTIONS,
        meter_key: bytes | None = KEY,
    ) -> None:
        self.application = Meter()
        self.meter_channel = Channel(node(METER, meter_key), meter_channel)
        self.server = ServerAssociation(self.meter_channel, self._application, server)
        self.meter = Endpoint(self.meter_channel, server=self.server)
        self.head_end_channel = Channel(node(HEAD_END), head_end_channel)
        self.client = ClientAssociation(self.head_end_channel, client)
        self.head_end = Endpoint(self.head_end_channel, client=self.client)
        self.peers: list[ApTitle] = []

    def _application(self, peer: ApTitle) -> Meter:
        self.peers.append(peer)
        return self.application

    @property
    def refused(self) -> Counter[RefusalKind]:
        return self.meter_channel.counts

    def run(
        self,
        now: float = 0.0,
        disturb: Callable[[list[bytes]], list[bytes]] = list,
        disturb_answers: Callable[[list[bytes]], list[bytes]] = list,
    ) -> list[Event]:
        """Carry APDUs until there are none; return what the head-end reports."""
        while requests := self.head_end.data_to_send():
            for apdu in disturb(requests):
                self.meter.receive_apdu(apdu, now)
            for apdu in disturb_answers(self.meter.data_to_send()):
                self.head_end.receive_apdu(apdu, now)
        return events_of(self.head_end)


def events_of(endpoint: Endpoint) -> list[Event]:
    """Return all that ``endpoint`` has to report."""
    return list(iter(endpoint.next_event, None))
