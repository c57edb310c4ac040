"""A head-end's side of a connection to a concentrator: one request at a time, to any meter.

Theory of operation. Every logical device has an association of its own, and all of them share the
connection, the keys and the counters. `open` associates with the management logical device; the
first request to a meter associates with the meter's before it goes out, so that one request is
one or more round trips but always one outcome.

A command's invocation counter is promised before anything is sent, because the head-end journals
it first. The counters that a missing association takes (its proposal, its two HLS passes) are
settled together with the command's, and the command's is the last of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from protocols.dlms.apdu import MechanismName
from protocols.dlms.ciphering import Envelope
from protocols.dlms.client import (
    ActionAnswer,
    Associated,
    AssociationFailed,
    ClientEvent,
    ClientSession,
    ClientSettings,
    Disconnected,
    GetResult,
    Notified,
    Refused,
    Released,
    ServiceRefused,
    SetResult,
    TimedOut,
)
from protocols.dlms.concentrator_profile import PushDecoder
from protocols.dlms.cosem.base import Encoded
from protocols.dlms.plugin.addresses import MANAGEMENT_DEVICE, meter_address, name_of
from protocols.dlms.plugin.control_log import read_log_rows
from protocols.dlms.plugin.protection import (
    SendsUnder,
    mechanism,
    protection,
    security_context,
)
from protocols.dlms.plugin.requests import EXECUTIONS, INTERVALS, between, command_request
from protocols.dlms.server import MANAGEMENT_CLIENT
from protocols.dlms.wrapper import Wpdu, WpduReader
from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.plugin import (
    Closed,
    Command,
    Counters,
    Credentials,
    Declined,
    Executed,
    LogRead,
    Opened,
    Outcome,
    ReadDone,
    SessionOptions,
)

Start: TypeAlias = Callable[[ClientSession, float], None]
Finish: TypeAlias = Callable[[ClientEvent], Outcome]


@dataclass(frozen=True, slots=True)
class _Request:
    """What is under way: with which logical device, what to send there, what to make of it."""

    address: int
    start: Start | None
    finish: Finish


class DlmsPollSession:
    """A DLMS client for one connection, with as many associations as it needs.

    When an answer does not come in time the session is over: no outcome, no deadline, and every
    further request raises. Frames that are not believed (wrong MAC, replayed) do not end the
    wait; if they are all that came, running out of time raises and says so.
    """

    def __init__(
        self,
        credentials: Credentials,
        own_title: bytes,
        counters: Counters,
        options: SessionOptions,
        random: Callable[[int], bytes],
        decoder: PushDecoder,
    ) -> None:
        self.deadline: float | None = None
        self._name = name_of(credentials.system_title)
        self._decoder = decoder
        self._random = random
        self._sending = SendsUnder(counters)
        self._mechanism = mechanism(options)
        self._protection = protection(options)
        self._envelope = Envelope.SERVICE_SPECIFIC if self._protection else Envelope.PLAIN
        self._security = security_context(own_title, credentials, counters, self._sending)
        self._secret = credentials.secret
        self._timeout_s = options.timeout_s
        self._clients: dict[int, ClientSession] = {}
        self._reader = WpduReader()
        self._request: _Request | None = None
        self._releasing: set[int] = set()
        self._outcome: Outcome | None = None
        self._disbelieved: Refused | None = None
        self._over = False

    # What is asked

    def open(self, *, now: float) -> None:
        """Associate with the management logical device. Outcome: `Opened` or `Declined`."""
        self._ask(_Request(MANAGEMENT_DEVICE, None, lambda _event: Opened()), now)

    def read(
        self, from_s: int, to_s: int, *, meters: Sequence[int] | None = None, now: float
    ) -> None:
        """Ask for the interval buffer by range, bounds included (POSIX seconds), of all meters.

        Outcome: `ReadDone`, or `Declined`. Raises `CodecError` for bounds that are no dates.
        """
        access = between(from_s, to_s)

        def start(client: ClientSession, at: float) -> None:
            client.get(INTERVALS, at, access=access, encoded=True)

        self._ask(_Request(MANAGEMENT_DEVICE, start, self._readings), now)

    def read_log(self, meter: int, *, now: float) -> None:
        """Ask for a meter's control log. Outcome: `LogRead`, or `Declined`."""

        def start(client: ClientSession, at: float) -> None:
            client.get(EXECUTIONS, at, encoded=True)

        self._ask(_Request(meter_address(meter), start, _log), now)

    def execute(self, meter: int, command: Command, *, now: float) -> int:
        """Ask a meter to do something; return the counter that the request goes out under.

        In the clear a request has no counter, and the control log holds 0 for it: what is
        returned then was never used before and is found in no log. Outcome: `Executed`, or
        `Declined` when the request did not get as far as the meter; a parameter that no request
        can carry is answered here.
        """
        self._require_free()
        request = command_request(command)
        if request is None:
            self._finish(Executed(False, "parameter out of range"))
            return self._sending.take()
        address = meter_address(meter)
        takes = 0 if self._standing(address) else self._takes_of_opening()
        promised = self._sending.reserve(takes + 1)

        def start(client: ClientSession, at: float) -> None:
            request.send(client, at)
            if self._envelope is Envelope.PLAIN:
                self._sending.release()
            elif client.last_invocation_counter != promised:
                raise LocalProtocolError(f"promised {promised}, not kept")

        self._ask(_Request(address, start, _executed), now)
        return promised

    def close(self, *, now: float) -> None:
        """Release every association. Outcome: `Closed`."""
        self._require_free()
        standing = [address for address in self._clients if self._standing(address)]
        for address in standing:
            self._clients[address].release(now)
        self._releasing = set(standing)
        if not standing:
            self._outcome = Closed()
        self._note_deadline()

    # Octets, time, outcome

    def receive_data(self, data: bytes, *, now: float) -> None:
        """Take octets of the concentrator.

        Raises:
            ProtocolError: what came cannot be understood; close the connection.
        """
        self._reader.feed(data)
        while (pdu := self._reader.next_pdu()) is not None:
            self._receive(pdu, now)
        self._note_deadline()

    def data_to_send(self) -> bytes:
        """Return the octets to send now, once."""
        return b"".join(client.data_to_send() for client in self._clients.values())

    def handle_deadline(self, now: float) -> None:
        """Take the time; an answer that is overdue ends the session.

        Raises:
            RemoteProtocolError: only frames came that could not be believed.
        """
        for address, client in list(self._clients.items()):
            client.handle_deadline(now)
            self._take_events(address, client, now)
        self._note_deadline()
        if self._over and self._disbelieved is not None:
            kind = self._disbelieved.kind.name.lower().replace("_", " ")
            raise RemoteProtocolError(f"no answer but {kind}: {self._disbelieved.detail}")

    def outcome(self) -> Outcome | None:
        """Return the outcome of the request under way, once it is there."""
        outcome, self._outcome = self._outcome, None
        return outcome

    # Requests

    def _ask(self, request: _Request, now: float) -> None:
        self._require_free()
        self._outcome = self._disbelieved = None
        self._request = request
        if self._standing(request.address):
            self._start(request, now)
        else:
            client = self._clients[request.address] = self._client(request.address)
            client.associate(now)
        self._note_deadline()

    def _start(self, request: _Request, now: float) -> None:
        if request.start is None:
            self._finish(Opened())
        else:
            request.start(self._clients[request.address], now)

    def _finish(self, outcome: Outcome) -> None:
        self._request = None
        self._sending.release()
        self._outcome = outcome

    def _require_free(self) -> None:
        if self._over:
            raise LocalProtocolError("the session is over")
        if self._request is not None or self._releasing:
            raise LocalProtocolError("a request is under way")

    def _standing(self, address: int) -> bool:
        client = self._clients.get(address)
        return client is not None and client.associated

    def _client(self, address: int) -> ClientSession:
        settings = ClientSettings(
            MANAGEMENT_CLIENT,
            address,
            mechanism=self._mechanism,
            secret=self._secret,
            security=self._security,
            envelope=self._envelope,
            protection=self._protection,
            response_timeout_s=self._timeout_s,
        )
        return ClientSession(settings, random_bytes=self._random)

    def _takes_of_opening(self) -> int:
        """Return how many counters an association takes before its first request."""
        ciphered = self._envelope is not Envelope.PLAIN
        if self._mechanism is MechanismName.HLS_GMAC:
            return 1 + 2 * ciphered  # the answer to the challenge; proposal and reply ciphered
        return int(ciphered)

    # Answers

    def _receive(self, pdu: Wpdu, now: float) -> None:
        client = self._clients.get(pdu.source)
        if client is None:
            raise RemoteProtocolError(f"an answer from logical device {pdu.source}, never asked")
        client.receive_data(pdu.encode(), now)
        self._take_events(pdu.source, client, now)

    def _take_events(self, address: int, client: ClientSession, now: float) -> None:
        while (event := client.next_event()) is not None:
            self._take(address, event, now)

    def _take(self, address: int, event: ClientEvent, now: float) -> None:
        request = self._request
        match event:
            case Notified():
                pass  # pushes go to the listener; what comes unasked here answers nothing
            case Refused():
                self._disbelieved = event
            case TimedOut() | Disconnected():
                self._over = True
                self._request = None
            case Released():
                self._released(address)
            case AssociationFailed(kind=kind, detail=detail) if request is not None:
                del self._clients[address]
                words = kind.name.lower().replace("_", " ")
                self._finish(Declined(f"no association with device {address}: {words}: {detail}"))
            case Associated() if request is not None:
                self._start(request, now)
            case ServiceRefused(response=response) if request is not None:
                self._finish(Declined(f"refused: {response}"))
            case _ if request is not None:
                self._finish(request.finish(event))

    def _released(self, address: int) -> None:
        del self._clients[address]
        self._releasing.discard(address)
        if not self._releasing:
            self._outcome = Closed()

    def _note_deadline(self) -> None:
        waiting = [item.deadline for item in self._clients.values() if item.deadline is not None]
        self.deadline = None if self._over else min(waiting, default=None)

    def _readings(self, event: ClientEvent) -> Outcome:
        match event:
            case GetResult(value=Encoded(octets=octets)):
                return ReadDone(self._decoder.decode_buffer(self._name, octets))
            case GetResult(value=result):
                return Declined(f"interval buffer: {_words(result)}")
        raise RemoteProtocolError(f"{type(event).__name__} in place of the interval buffer")


def _log(event: ClientEvent) -> Outcome:
    match event:
        case GetResult(value=Encoded(octets=octets)):
            return LogRead(read_log_rows(octets))
        case GetResult(value=result):
            return Declined(f"control log: {_words(result)}")
    raise RemoteProtocolError(f"{type(event).__name__} in place of the control log")


def _executed(event: ClientEvent) -> Outcome:
    match event:
        case ActionAnswer(result=result) | SetResult(result=result):
            return Executed(result == SUCCESS, _words(result))
    raise RemoteProtocolError(f"{type(event).__name__} in place of a result")


SUCCESS: Final = 0
"""The same in both enumerations of results."""


def _words(result: object) -> str:
    name = getattr(result, "name", None)
    return f"result {result}" if name is None else str(name).lower().replace("_", " ")
