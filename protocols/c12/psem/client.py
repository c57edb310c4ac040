"""A client's end of a C12.18 or C12.21 line, for one session.

Theory of operation
-------------------
The caller asks, one request at a time, and gets exactly one event for it: `Answered` with what the
device brought, `Refused` with its code, or `Failed`, after which the session is over (`closed`) and
nothing is known of the device's state. A procedure is a write of table 7 and a read of table 8,
with one event for both::

    client.identify(now)
    send(client.data_to_send())
    client.receive_data(data, now)
    while event := client.next_event(): ...

An answer that is not one (malformed, a wrong checksum, more than was asked for) fails the session
too: it may have been meant for another request.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from types import MappingProxyType

from protocols.c12.psem.answers import decode_answer
from protocols.c12.psem.assembly import Message, OversizedMessage
from protocols.c12.psem.authentication import encrypt_ticket
from protocols.c12.psem.client_events import (
    Answered,
    ClientEvent,
    Failed,
    ProcedureAnswered,
    Refused,
)
from protocols.c12.psem.faults import Fault
from protocols.c12.psem.link import Link, LinkEvent, LinkFailed
from protocols.c12.psem.options import C12_18, LinkOptions
from protocols.c12.psem.procedure import INITIATE_TABLE, RESPONSE_TABLE, Procedure
from protocols.c12.services import (
    Authenticate,
    AuthenticateBody,
    AuthenticationTicket,
    Body,
    Dialect,
    Disconnect,
    FullRead,
    FullWrite,
    Identify,
    IdentifyBody,
    IndexRead,
    IndexWrite,
    Logoff,
    Logon,
    Negotiate,
    NegotiateBody,
    OffsetRead,
    OffsetWrite,
    ReadBody,
    Request,
    ResponseCode,
    Security,
    Terminate,
    TimingSetup,
    TimingSetupBody,
    Wait,
    decode_response,
    encode_request,
)
from protocols.errors import CodecError, LocalProtocolError


class PsemClient:
    """Sans-IO client for one session. Times are seconds of any monotonic clock.

    Every method that asks raises `LocalProtocolError` while an answer is owed, after the end, and
    for a request too large for the link; `CodecError` for a value that does not fit its field.
    """

    def __init__(self, *, dialect: Dialect = Dialect.C12_18, options: LinkOptions = C12_18) -> None:
        self.closed = False
        self._dialect = dialect
        self._options = options
        self._faults: Counter[Fault] = Counter()
        self._link = Link(options, self._faults)
        self._events: deque[ClientEvent] = deque()
        self._pending: Request | None = None
        self._procedure: Procedure | None = None
        self._proof: bytes | None = None
        self._ticket: bytes | None = None
        self._answer_deadline: float | None = None

    @property
    def faults(self) -> Mapping[Fault, int]:
        """How often each thing went wrong so far."""
        return MappingProxyType(self._faults)

    @property
    def deadline(self) -> float | None:
        """When `handle_deadline` wants to be called; ``None``: nothing is waited for."""
        deadlines = (self._link.deadline, self._answer_deadline)
        return (
            None if self.closed else min((at for at in deadlines if at is not None), default=None)
        )

    # What the caller may ask.

    def request(self, request: Request, now: float) -> None:
        """Ask anything; the methods below say it shorter."""
        if self.closed or self._pending is not None:
            raise LocalProtocolError("over" if self.closed else "an answer is owed")
        self._link.send(encode_request(request, self._dialect), now)
        self._pending = request

    def identify(self, now: float) -> None:
        """Begin: ask who the device is."""
        self.request(Identify(), now)

    def negotiate(self, now: float, *, baud_codes: bytes = b"") -> None:
        """Offer our packets, and these baud rates; what is answered then holds."""
        packet_size, packets = self._options.packet_size, self._options.packets
        self.request(Negotiate(packet_size, packets, baud_codes), now)

    def set_timing(self, timing: TimingSetup, now: float) -> None:
        """Propose times; what is answered then holds for both sides."""
        self.request(timing, now)

    def wait(self, seconds: int, now: float) -> None:
        """Ask the device to bear a silence of ``seconds`` (u8)."""
        self.request(Wait(seconds), now)

    def logon(self, user_id: int, user: bytes, now: float, *, timeout_s: int | None = None) -> None:
        """Open the session; ``user`` is filled up to 10 octets with spaces."""
        self.request(Logon(user_id, user.ljust(10), timeout_s), now)

    def security(self, password: bytes, now: float) -> None:
        """Give the password, filled up to 20 octets with spaces."""
        self.request(Security(password.ljust(20)), now)

    def authenticate(self, key_id: int, key: bytes, now: float) -> None:
        """Encrypt the ticket of Identify; the device's own proof is checked (C12.21)."""
        if self._ticket is None:
            raise LocalProtocolError("the device gave no ticket")
        ticket = encrypt_ticket(key, self._ticket)
        self.request(Authenticate(key_id, ticket), now)
        self._proof = encrypt_ticket(key, ticket)

    def read(self, table: int, now: float) -> None:
        """Read ``table`` whole."""
        self.request(FullRead(table), now)

    def read_part(self, table: int, offset: int, count: int, now: float) -> None:
        """Read ``count`` octets from ``offset`` on."""
        self.request(OffsetRead(table, offset, count), now)

    def read_elements(self, table: int, indexes: tuple[int, ...], count: int, now: float) -> None:
        """Read ``count`` elements from where ``indexes`` point."""
        self.request(IndexRead(table, indexes, count), now)

    def write(self, table: int, data: bytes, now: float) -> None:
        """Write ``table`` whole."""
        self.request(FullWrite(table, data), now)

    def write_part(self, table: int, offset: int, data: bytes, now: float) -> None:
        """Write ``data`` to ``offset``."""
        self.request(OffsetWrite(table, offset, data), now)

    def write_elements(self, table: int, indexes: tuple[int, ...], data: bytes, now: float) -> None:
        """Write ``data`` to where ``indexes`` point."""
        self.request(IndexWrite(table, indexes, data), now)

    def run_procedure(self, procedure: Procedure, now: float) -> None:
        """Write table 7 and read table 8: one `ProcedureAnswered` for both."""
        self.write(INITIATE_TABLE, procedure.initiate(), now)
        self._procedure = procedure

    def logoff(self, now: float) -> None:
        """Close the session; another logon may follow."""
        self.request(Logoff(), now)

    def terminate(self, now: float) -> None:
        """End everything; the answer closes this client."""
        self.request(Terminate(), now)

    def disconnect(self, now: float) -> None:
        """End everything and hang up (C12.21); the answer closes this client."""
        self.request(Disconnect(), now)

    # The line.

    def receive_data(self, data: bytes, now: float) -> None:
        """Take octets from the line, in any split. Never raises for what they hold."""
        if not self.closed:
            self._link.receive_data(data, now)
            self._take_events(now)

    def receive_eof(self) -> None:
        """The transport is gone. Safe to call twice."""
        if not self.closed:
            self._fail(Fault.TRANSPORT_CLOSED, "the transport is gone")

    def data_to_send(self) -> bytes:
        """Return octets for the line, once."""
        return self._link.data_to_send()

    def next_event(self) -> ClientEvent | None:
        """Return the next thing that happened, or ``None``."""
        return self._events.popleft() if self._events else None

    def handle_deadline(self, now: float) -> None:
        """Tell the client the time; does nothing before `deadline`."""
        if self.closed:
            return
        self._link.handle_deadline(now)
        self._take_events(now)
        if self._answer_deadline is not None and now >= self._answer_deadline:
            self._fail(Fault.TRAFFIC_TIMEOUT, "no answer")

    def _take_events(self, now: float) -> None:
        heard, self._link.heard = self._link.heard, None
        if heard is not None and self._pending is not None and not self._link.sending:
            # Until then the link's retries limit the wait.
            self._answer_deadline = heard + self._link.timing.traffic_s
        while (event := self._link.next_event()) is not None and not self.closed:
            self._take(event, now)

    def _take(self, event: LinkEvent, now: float) -> None:
        match event:
            case LinkFailed():
                self._fail(Fault.LINK_FAILED, "the request was never acknowledged")
            case OversizedMessage():
                self._fail(Fault.OVERSIZED_MESSAGE, "more than was offered to take")
            case Message(octets) if self._pending is not None:
                self._take_answer(self._pending, octets, now)
            case Message():
                # Nobody asked: what an earlier session left on the line.
                self._faults[Fault.WRONG_ANSWER] += 1

    def _take_answer(self, request: Request, octets: bytes, now: float) -> None:
        try:
            response = decode_response(octets)
            ok = response.code is ResponseCode.OK
            body = decode_answer(request, response.body, self._dialect) if ok else None
        except CodecError as problem:
            self._fail(Fault.WRONG_ANSWER, str(problem))
            return
        if not ok:
            self._faults[Fault.REFUSED] += 1
            self._settle(Refused(request, response))
        elif self._procedure is not None:
            self._continue_procedure(self._procedure, body, now)
        elif isinstance(body, AuthenticateBody) and body.ticket != self._proof:
            self._fail(Fault.AUTHENTICATION_FAILED, "the device does not know the key")
        else:
            self._apply(request, body)
            self._settle(Answered(request, body))

    def _settle(self, event: ClientEvent) -> None:
        """Report what came of the request and be ready for the next."""
        self._events.append(event)
        self._pending = self._procedure = self._proof = self._answer_deadline = None

    def _continue_procedure(self, procedure: Procedure, body: Body | None, now: float) -> None:
        """After the write comes the read; after the read the outcome."""
        if not isinstance(body, ReadBody):
            self._pending = self._answer_deadline = None
            self.read(RESPONSE_TABLE, now)
            return
        try:
            response = procedure.read_response(body.data)
        except CodecError as problem:
            self._fail(Fault.WRONG_ANSWER, str(problem))
            return
        if response is None:
            self._fail(Fault.WRONG_ANSWER, "table 8 is about another procedure")
        else:
            self._settle(ProcedureAnswered(procedure, response))

    def _apply(self, request: Request, body: Body | None) -> None:
        """Let hold what was agreed."""
        match body:
            case IdentifyBody(features=features):
                tickets = [f.ticket for f in features if isinstance(f, AuthenticationTicket)]
                self._ticket = tickets[0] if tickets else None
            case NegotiateBody(packet_size, packets):
                self._link.negotiated(packet_size, packets)
            case TimingSetupBody():
                self._link.timing = self._link.timing.changed(body)
            case _:
                self.closed = isinstance(request, Terminate | Disconnect)

    def _fail(self, fault: Fault, detail: str) -> None:
        self._faults[fault] += 1
        self._settle(Failed(self._pending, fault, detail))
        self._link.abandon()
        self.closed = True
