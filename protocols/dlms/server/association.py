"""One association at the server: AARQ, HLS, ciphering and the state machine around the services.

Octets of one APDU come in, octets of its answer (or nothing) go out. Whatever a peer sends is
answered the way the standard answers it; nothing here raises for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from protocols.dlms import apdu
from protocols.dlms.apdu import (
    Aarq,
    ActionRequestNormal,
    InitiateResponse,
    MechanismName,
    Rlrq,
    ServiceError,
    ServiceUserDiagnostic,
    SetRequestNormal,
    StateError,
    WithInvokeId,
)
from protocols.dlms.association import (
    Aborted,
    Association,
    AssociationAccepted,
    AssociationPending,
    AssociationRejected,
    AssociationRequest,
    HlsAccepted,
    HlsRejected,
    HlsReply,
    ReleaseRequest,
    ReleaseResponse,
    Role,
    ServiceRequest,
    ServiceResponse,
    State,
    UnconfirmedRequest,
)
from protocols.dlms.ciphering import (
    Ciphered,
    Envelope,
    Opened,
    Protection,
    refusal_kind,
)
from protocols.dlms.cosem.device import LogicalDevice
from protocols.dlms.hls import CHALLENGE_SIZE, REPLY_TO_HLS
from protocols.dlms.refusals import RefusalKind
from protocols.dlms.security import ReplayError, SecurityError
from protocols.dlms.server import events
from protocols.dlms.server.aare import AARQ_TAG, accepted, rejected
from protocols.dlms.server.answers import Served, exception
from protocols.dlms.server.events import ClosingCause, Pair, ServerEvent
from protocols.dlms.server.opening import Agreement, Rejection, judge
from protocols.dlms.server.policy import ClientPolicy, Credentials
from protocols.dlms.server.services import NEEDED
from protocols.dlms.server.standing import Standing
from protocols.errors import CodecError, LocalProtocolError

CLIENT, SERVER = Role.CLIENT, Role.SERVER
Emit: TypeAlias = Callable[[ServerEvent], None]
RandomBytes: TypeAlias = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a peer may make us hold or wait for: octets of a long transfer, seconds of silence."""

    transfer_size: int
    inactivity_timeout_s: float


class ServerAssociation:
    """The association of one pair of wPorts, from proposal to release, and the next one."""

    def __init__(
        self,
        pair: Pair,
        device: LogicalDevice,
        policy: ClientPolicy,
        credentials: Credentials,
        limits: Limits,
        random_bytes: RandomBytes,
        emit: Emit,
    ) -> None:
        self.pair = pair
        self.drop = False
        """Whether policy wants the connection to end."""
        self._device = device
        self._policy = policy
        self._credentials = credentials
        self._limits = limits
        self._random_bytes = random_bytes
        self._emit = emit
        self._machine = Association(
            SERVER, inactivity_timeout_s=limits.inactivity_timeout_s, response_timeout_s=None
        )
        self._standing: Standing | None = None

    @property
    def deadline(self) -> float | None:
        """When the association has to be told the time."""
        return self._machine.deadline

    @property
    def idle(self) -> bool:
        """Whether nothing stands here (any more)."""
        return self._standing is None

    def handle_deadline(self, now: float) -> None:
        """End the association if its client was silent for too long."""
        if self._machine.expired(now):
            self._machine.apply(SERVER, Aborted, now)
            self._end(ClosingCause.INACTIVE)

    def disconnect(self) -> None:
        """The transport is gone. Safe to call twice."""
        if self._machine.close(CLIENT):
            self._end(ClosingCause.DISCONNECTED)

    def receive(self, octets: bytes, now: float) -> bytes | None:
        """Take one APDU and return the answer's octets, or ``None`` when none is due."""
        if len(octets) > self._policy.max_pdu_size:
            return self._refuse(
                RefusalKind.OVERSIZED_APDU, f"{len(octets)} octets", ServiceError.PDU_TOO_LONG
            )
        try:
            message = apdu.decode_apdu(octets)
        except CodecError as problem:
            return self._refuse_octets(octets, problem)
        match message:
            case Aarq():
                return self._propose(message, now)
            case Rlrq():
                return self._release(message, now)
            case apdu.GloApdu() | apdu.GeneralGloCiphering():
                return self._open(message, now)
            case WithInvokeId() if type(message) in NEEDED:
                if self._policy.protection and self._standing is not None:
                    return self._refuse(RefusalKind.NOT_PROTECTED_ENOUGH, "request in clear")
                return self._request(message, Opened(octets, Envelope.PLAIN), now)
        return self._refuse_unknown(octets)

    # AARQ and AARE

    def _propose(self, aarq: Aarq, now: float) -> bytes | None:
        self._end(ClosingCause.REPLACED)
        self._machine.apply(CLIENT, AssociationRequest, now)
        try:
            agreement = judge(aarq, self._policy, self._credentials)
        except Rejection as rejection:
            self._machine.apply(SERVER, AssociationRejected, now)
            self._emit(events.AssociationRefused(self.pair, rejection.kind, rejection.detail))
            self._drop_if_wrong_key(rejection.kind)
            return rejected(rejection.diagnostic, rejection.error)
        return self._accept(agreement, now)

    def _accept(self, agreement: Agreement, now: float) -> bytes | None:
        pending = agreement.mechanism == MechanismName.HLS_GMAC
        challenge = self._random_bytes(CHALLENGE_SIZE) if pending else b""
        self._standing = Standing.of(
            self.pair,
            agreement,
            challenge,
            self._device,
            max_receive_pdu_size=self._policy.max_pdu_size,
            transfer_size=self._limits.transfer_size,
        )
        self._machine.apply(SERVER, AssociationPending if pending else AssociationAccepted, now)
        if not pending:
            self._report_opened(agreement)
        return self._aare(agreement, challenge)

    def _aare(self, agreement: Agreement, challenge: bytes) -> bytes | None:
        response = InitiateResponse(
            conformance=agreement.conformance, max_receive_pdu_size=self._policy.max_pdu_size
        )
        sealed = self._seal(apdu.encode_apdu(response), agreement.envelope, agreement.protection)
        if sealed is None:
            return None
        security = self._credentials.security if agreement.cipher else None
        return accepted(agreement, challenge, security.system_title if security else None, sealed)

    def _report_opened(self, agreement: Agreement) -> None:
        self._emit(
            events.AssociationOpened(
                self.pair, agreement.level, agreement.ciphered, agreement.client_system_title
            )
        )

    # HLS, passes three and four

    def _authenticate(self, request: WithInvokeId, opened: Opened, now: float) -> bytes | None:
        standing = self._standing
        assert standing is not None  # the state machine says an association is pending
        self._machine.apply(CLIENT, HlsReply, now)
        served = self._served(standing, request, opened, now)
        if standing.proof.done:
            self._machine.apply(SERVER, HlsAccepted, now)
            self._report_opened(standing.agreement)
            return self._seal_answer(served, opened)
        self._machine.apply(SERVER, HlsRejected, now)
        refused = events.AssociationRefused(
            self.pair, RefusalKind.AUTHENTICATION_FAILED, "wrong answer to the challenge"
        )
        self._emit(refused)
        answer = self._seal_answer(served, opened)
        self._standing = None
        return answer

    # Services

    def _open(self, message: Ciphered, now: float) -> bytes | None:
        standing = self._standing
        if standing is None:
            return self._refuse_unassociated("ciphered APDU")
        agreement = standing.agreement
        if agreement.cipher is None or not agreement.ciphered:
            return self._refuse(RefusalKind.SERVICE_NOT_NEGOTIATED, "ciphering was not agreed")
        try:
            opened = agreement.cipher.open(message)
            request = apdu.decode_apdu(opened.octets)
        except SecurityError as problem:
            return self._refuse_ciphered(problem)
        except CodecError as problem:
            return self._refuse(RefusalKind.MALFORMED_APDU, str(problem))
        if self._policy.protection & ~opened.protection:
            return self._refuse(RefusalKind.NOT_PROTECTED_ENOUGH, f"only {opened.protection!r}")
        if not isinstance(request, WithInvokeId) or type(request) not in NEEDED:
            return self._refuse_unknown(opened.octets)
        return self._request(request, opened, now)

    def _request(self, request: WithInvokeId, opened: Opened, now: float) -> bytes | None:
        if self._machine.state is State.HLS_PENDING and _replies_to_hls(request):
            return self._authenticate(request, opened, now)
        unanswered = _unconfirmed(request)
        event = UnconfirmedRequest if unanswered else ServiceRequest
        standing = self._standing
        if standing is None or not self._machine.allows(CLIENT, event):
            return self._refuse_unassociated(type(request).__name__)
        self._machine.apply(CLIENT, event, now)
        served = self._served(standing, request, opened, now)
        if not unanswered:
            self._machine.apply(SERVER, ServiceResponse, now)
        self._report(served, opened)
        return None if unanswered else self._seal_answer(served, opened)

    def _served(
        self, standing: Standing, request: WithInvokeId, opened: Opened, now: float
    ) -> Served:
        caller = standing.caller(now, opened.counter)
        return standing.services.serve(request, caller, standing.room(opened.envelope))

    def _report(self, served: Served, opened: Opened) -> None:
        for service, target, result in served.results:
            self._emit(events.RequestServed(self.pair, service, target, result, opened.counter))
        if served.refusal is not None:
            self._emit(events.Refused(self.pair, *served.refusal))

    def _seal_answer(self, served: Served, opened: Opened) -> bytes | None:
        if served.response is None:
            return None
        return self._seal(served.response, opened.envelope, opened.protection)

    def _seal(self, octets: bytes, envelope: Envelope, protection: Protection) -> bytes | None:
        """Return ``octets`` protected the way the request was; ``None`` if no counter is left."""
        assert self._standing is not None
        try:
            return self._standing.seal(octets, envelope, protection)
        except LocalProtocolError as problem:
            self._emit(events.Refused(self.pair, RefusalKind.COUNTER_USED_UP, str(problem)))
            self.drop = True
            return None

    # RLRQ and RLRE

    def _release(self, rlrq: Rlrq, now: float) -> bytes | None:
        if self._standing is None or not self._machine.allows(CLIENT, ReleaseRequest):
            return self._refuse_unassociated("release")
        self._machine.apply(CLIENT, ReleaseRequest, now)
        self._machine.apply(SERVER, ReleaseResponse, now)
        self._end(ClosingCause.RELEASED)
        return apdu.encode_apdu(apdu.Rlre(reason=rlrq.reason))

    def _end(self, cause: ClosingCause) -> None:
        if self._standing is not None and self._standing.proof.done:
            self._emit(events.AssociationClosed(self.pair, cause))
        self._standing = None

    # Refusals

    def _refuse(
        self,
        kind: RefusalKind,
        detail: str,
        service_error: ServiceError = ServiceError.OTHER_REASON,
        invocation_counter: int | None = None,
    ) -> bytes | None:
        served = exception(
            kind, detail, StateError.SERVICE_NOT_ALLOWED, service_error, invocation_counter
        )
        self._emit(events.Refused(self.pair, kind, detail))
        return served.response

    def _refuse_ciphered(self, problem: SecurityError) -> bytes | None:
        kind = refusal_kind(problem)
        if isinstance(problem, ReplayError):
            counter = problem.lowest_acceptable
            error = ServiceError.INVOCATION_COUNTER_ERROR
            return self._refuse(kind, str(problem), error, counter)
        self._drop_if_wrong_key(kind)
        return self._refuse(kind, str(problem), ServiceError.DECIPHERING_ERROR)

    def _drop_if_wrong_key(self, kind: RefusalKind) -> None:
        if kind is RefusalKind.WRONG_MAC and self._policy.drop_on_wrong_key:
            self.drop = True

    def _refuse_octets(self, octets: bytes, problem: CodecError) -> bytes | None:
        if octets[:1] == AARQ_TAG:
            refused = events.AssociationRefused(self.pair, RefusalKind.MALFORMED_APDU, str(problem))
            self._emit(refused)
            return rejected(ServiceUserDiagnostic.NO_REASON_GIVEN)
        if problem.path == "tag":
            return self._refuse_unknown(octets)
        return self._refuse(RefusalKind.MALFORMED_APDU, str(problem))

    def _refuse_unknown(self, octets: bytes) -> bytes | None:
        detail = f"APDU beginning {octets[:4].hex() or 'with nothing'}"
        served = exception(RefusalKind.UNKNOWN_APDU, detail, StateError.SERVICE_UNKNOWN)
        self._emit(events.Refused(self.pair, RefusalKind.UNKNOWN_APDU, detail))
        return served.response

    def _refuse_unassociated(self, what: str) -> bytes | None:
        associated = self._machine.state is not State.IDLE
        kind = RefusalKind.OUT_OF_TURN if associated else RefusalKind.NOT_ASSOCIATED
        detail = f"{what} in {self._machine.state.name}"
        return self._refuse(kind, detail, ServiceError.OPERATION_NOT_POSSIBLE)


def _replies_to_hls(request: WithInvokeId) -> bool:
    return isinstance(request, ActionRequestNormal) and request.method == REPLY_TO_HLS


def _unconfirmed(request: WithInvokeId) -> bool:
    unanswerable = (
        SetRequestNormal,
        apdu.SetRequestWithList,
        ActionRequestNormal,
        apdu.ActionRequestWithList,
    )
    return isinstance(request, unanswerable) and not request.confirmed
