"""The server's session: the standard's conversations, and everything a peer can do wrong.

Clause numbers are the Green Book's (IEC 62056-5-3).
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.dlms import apdu
from protocols.dlms.apdu import (
    Aare,
    Aarq,
    ActionResult,
    ApplicationContextName,
    AssociationResult,
    ConfirmedServiceError,
    Conformance,
    CosemAttributeDescriptor,
    CosemMethodDescriptor,
    DataAccessResult,
    ExceptionResponse,
    InitiateRequest,
    InitiateResponse,
    MechanismName,
    ServiceError,
    ServiceUserDiagnostic,
    StateError,
    decode_apdu,
    encode_apdu,
)
from protocols.dlms.axdr import encode_data
from protocols.dlms.cosem.access import Level
from protocols.dlms.data import array, boolean, integer, octet_string, structure, unsigned
from protocols.dlms.server import (
    CONFORMANCE,
    AssociationClosed,
    AssociationOpened,
    AssociationRefused,
    ClientPolicy,
    ClosingCause,
    Pair,
    RefusalKind,
    Refused,
    RequestServed,
    ServerEvent,
    ServerSession,
    Service,
)
from protocols.dlms.wrapper import Wpdu, WpduReader
from tests.support.dlms_device import (
    CLIENT_TITLE,
    CLOCK,
    DISCONNECT_CONTROL,
    NOTE,
    PROFILE,
    REGISTER,
    SECRET,
    Premises,
    server,
)
from tests.support.playbook import At, Eof, Receive, Reports, Sends, play

PUBLIC = Pair(16, 1)
MANAGEMENT = Pair(1, 1)
NORMAL = 0xC1
UNCONFIRMED = 0x81

# 11.2, AARQ of a client without security, conformance block 00 7E 1F, PDU size 0x04B0:
AARQ = bytes.fromhex("601d a109 0607 60857405080101 be10 040e 01000000065f1f0400007e1f04b0")
# The AARE of the same example, with what this server has in common and takes (0xFFFF):
AARE = bytes.fromhex(
    "6129 a109 0607 60857405080101 a203 020100 a305 a103 020100"
    "be10 040e 0800065f1f0400001e1dffff0007"
)
GET_CLOCK = bytes.fromhex("c001c1 0008 0000010000ff 02 00")
CLOCK_ANSWER = bytes.fromhex("c401c100 090c 07e7 0b0e02 160f0000 0000 00")
RLRQ = bytes.fromhex("6203 800100")
RLRE = bytes.fromhex("6303 800100")
CLOCK_TIME = CosemAttributeDescriptor(8, CLOCK, 2)

OPENED = Reports(AssociationOpened(PUBLIC, Level.PUBLIC, False, b""))
CLOCK_SERVED = Reports(
    RequestServed(PUBLIC, Service.GET, CLOCK_TIME, DataAccessResult.SUCCESS, None)
)


def ask(octets: bytes, pair: Pair = PUBLIC) -> Receive:
    return Receive(Wpdu(pair.client_sap, pair.server_sap, octets).encode())


def answer(octets: bytes, pair: Pair = PUBLIC) -> Sends:
    return Sends(Wpdu(pair.server_sap, pair.client_sap, octets).encode())


def drain(session: ServerSession) -> list[ServerEvent]:
    events: list[ServerEvent] = []
    while (event := session.next_event()) is not None:
        events.append(event)
    return events


class Peer:
    """A client by hand: one APDU there, one back (or none)."""

    def __init__(self, session: ServerSession, pair: Pair = MANAGEMENT) -> None:
        self.session = session
        self.pair = pair
        self.events: list[ServerEvent] = []
        self._reader = WpduReader()

    def raw(self, octets: bytes) -> bytes | None:
        pdu = Wpdu(self.pair.client_sap, self.pair.server_sap, octets)
        self.session.receive_data(pdu.encode(), 0.0)
        while data := self.session.data_to_send():
            self._reader.feed(data)
        self.events = drain(self.session)
        answered = self._reader.next_pdu()
        assert self._reader.next_pdu() is None
        return None if answered is None else answered.apdu

    def ask(self, message: apdu.Apdu) -> apdu.Apdu:
        answered = self.raw(encode_apdu(message))
        assert answered is not None
        return decode_apdu(answered)

    def refusals(self) -> list[RefusalKind]:
        return [
            event.kind if isinstance(event, Refused) else event.reason
            for event in self.events
            if isinstance(event, (Refused, AssociationRefused))
        ]


def initiate(**changes: object) -> bytes:
    request = InitiateRequest(conformance=CONFORMANCE, max_receive_pdu_size=1024)
    return encode_apdu(replace(request, **changes))  # type: ignore[arg-type]


def lls(**changes: object) -> Aarq:
    aarq = Aarq(
        application_context_name=ApplicationContextName.LOGICAL_NAME.value,
        sender_acse_requirements=True,
        mechanism_name=MechanismName.LLS.value,
        calling_authentication_value=SECRET,
        user_information=initiate(),
    )
    return replace(aarq, **changes)  # type: ignore[arg-type]


def associated(
    premises: Premises | None = None,
    *,
    max_pdu_size: int = 1024,
    conformance: Conformance = CONFORMANCE,
    policy: ClientPolicy | None = None,
    max_transfer_size: int = 1 << 20,
) -> Peer:
    device = (premises or Premises()).device()
    policies = {1: policy or ClientPolicy(frozenset({MechanismName.LLS}))}
    peer = Peer(server(device, policies=policies, max_transfer_size=max_transfer_size))
    proposal = initiate(max_receive_pdu_size=max_pdu_size, conformance=conformance)
    aare = peer.ask(lls(user_information=proposal))
    assert isinstance(aare, Aare)
    assert aare.result == AssociationResult.ACCEPTED
    return peer


# Conversations


def test_a_public_client_associates_reads_and_releases() -> None:
    play(
        server(Premises().device()),
        ask(AARQ),
        OPENED,
        answer(AARE),
        ask(GET_CLOCK),
        CLOCK_SERVED,
        answer(CLOCK_ANSWER),
        ask(RLRQ),
        Reports(AssociationClosed(PUBLIC, ClosingCause.RELEASED)),
        answer(RLRE),
        ask(AARQ),
        OPENED,
        answer(AARE),
        Eof(),
        Reports(AssociationClosed(PUBLIC, ClosingCause.DISCONNECTED)),
        Eof(),
    )


def test_a_silent_client_is_dropped_and_then_the_connection() -> None:
    session = server(Premises().device())
    play(
        session,
        ask(AARQ),
        OPENED,
        answer(AARE),
        At(100.0),
        ask(GET_CLOCK),
        CLOCK_SERVED,
        answer(CLOCK_ANSWER),
        At(219.9),
        At(220.0),
        Reports(AssociationClosed(PUBLIC, ClosingCause.INACTIVE)),
        At(339.9),
    )
    assert not session.closed
    play(session, At(340.0))
    assert session.closed
    assert session.deadline is None


def test_a_connection_without_an_association_is_dropped() -> None:
    session = server(Premises().device(), now=5.0)
    assert session.deadline == 125.0
    session.handle_deadline(125.0)
    assert session.closed


def test_a_new_proposal_replaces_the_association_that_stood() -> None:
    play(
        server(Premises().device()),
        ask(AARQ),
        OPENED,
        answer(AARE),
        ask(AARQ),
        Reports(AssociationClosed(PUBLIC, ClosingCause.REPLACED)),
        OPENED,
        answer(AARE),
    )


def test_pairs_of_wports_are_associations_of_their_own() -> None:
    device = Premises().device()
    session = server(device)
    public, management = Peer(session, PUBLIC), Peer(session, MANAGEMENT)
    public.raw(AARQ)
    get = apdu.GetRequestNormal(NORMAL, CosemAttributeDescriptor(3, REGISTER, 2))
    assert isinstance(management.ask(get), ExceptionResponse)
    assert management.refusals() == [RefusalKind.NOT_ASSOCIATED]
    management.ask(lls())
    assert isinstance(management.ask(get), apdu.GetResponseNormal)
    assert public.raw(GET_CLOCK) == CLOCK_ANSWER
    session.receive_eof()
    closed = [event.pair for event in drain(session) if isinstance(event, AssociationClosed)]
    assert closed == [PUBLIC, MANAGEMENT]


# Proposals that are refused (9.4.2, AARE result and diagnostics)

DIAGNOSTIC = ServiceUserDiagnostic
HLS = {
    "mechanism_name": MechanismName.HLS_GMAC.value,
    "calling_ap_title": CLIENT_TITLE,
    "calling_authentication_value": b"C" * 16,
}


@pytest.mark.parametrize(
    ("changes", "diagnostic", "reason"),
    [
        pytest.param(
            {"application_context_name": ApplicationContextName.SHORT_NAME.value},
            DIAGNOSTIC.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED,
            RefusalKind.CONTEXT_NOT_SUPPORTED,
            id="short names",
        ),
        pytest.param(
            {"mechanism_name": None, "calling_authentication_value": None},
            DIAGNOSTIC.AUTHENTICATION_REQUIRED,
            RefusalKind.AUTHENTICATION_REQUIRED,
            id="no authentication",
        ),
        pytest.param(
            {"mechanism_name": MechanismName.HLS_MD5.value},
            DIAGNOSTIC.AUTHENTICATION_MECHANISM_NAME_NOT_RECOGNISED,
            RefusalKind.MECHANISM_NOT_SUPPORTED,
            id="a mechanism we lack",
        ),
        pytest.param(
            {"calling_authentication_value": b"87654321"},
            DIAGNOSTIC.AUTHENTICATION_FAILURE,
            RefusalKind.AUTHENTICATION_FAILED,
            id="wrong secret",
        ),
        pytest.param(
            {"calling_authentication_value": None},
            DIAGNOSTIC.AUTHENTICATION_FAILURE,
            RefusalKind.AUTHENTICATION_FAILED,
            id="no secret",
        ),
        pytest.param(
            HLS | {"calling_ap_title": None},
            DIAGNOSTIC.CALLING_AP_TITLE_NOT_RECOGNIZED,
            RefusalKind.SYSTEM_TITLE_MISSING,
            id="HLS without a system title",
        ),
        pytest.param(
            HLS | {"calling_authentication_value": b"C" * 7},
            DIAGNOSTIC.AUTHENTICATION_FAILURE,
            RefusalKind.AUTHENTICATION_FAILED,
            id="a short challenge",
        ),
        pytest.param(
            HLS | {"calling_authentication_value": b"C" * 65},
            DIAGNOSTIC.AUTHENTICATION_FAILURE,
            RefusalKind.AUTHENTICATION_FAILED,
            id="a long challenge",
        ),
        pytest.param(
            {"user_information": None},
            DIAGNOSTIC.NO_REASON_GIVEN,
            RefusalKind.MALFORMED_APDU,
            id="no initiate request",
        ),
        pytest.param(
            {"user_information": GET_CLOCK},
            DIAGNOSTIC.NO_REASON_GIVEN,
            RefusalKind.INITIATE_REFUSED,
            id="something else for an initiate request",
        ),
        pytest.param(
            {"user_information": encode_apdu(apdu.GloApdu(0x21, b"\x30" + bytes(30)))},
            DIAGNOSTIC.NO_REASON_GIVEN,
            RefusalKind.INITIATE_REFUSED,
            id="ciphered in a context without ciphering",
        ),
    ],
)
def test_a_proposal_is_refused_with_its_diagnostic(
    changes: dict[str, object], diagnostic: ServiceUserDiagnostic, reason: RefusalKind
) -> None:
    session = server(Premises().device())
    peer = Peer(session)
    aare = peer.ask(lls(**changes))
    assert isinstance(aare, Aare)
    assert aare.result == AssociationResult.REJECTED_PERMANENT
    assert aare.diagnostic == diagnostic
    assert peer.refusals() == [reason]
    get = apdu.GetRequestNormal(NORMAL, CLOCK_TIME)
    assert isinstance(peer.ask(get), ExceptionResponse)
    assert isinstance(peer.ask(lls()), Aare)  # a refusal does not spoil the next proposal
    assert peer.refusals() == []


@pytest.mark.parametrize(
    ("changes", "value"),
    [
        pytest.param({"dlms_version": 5}, 1, id="version too low"),
        pytest.param({"conformance": Conformance.READ}, 2, id="nothing in common"),
        pytest.param({"max_receive_pdu_size": 60}, 3, id="PDUs too short"),
    ],
)
def test_an_initiate_request_is_refused_with_its_error(
    changes: dict[str, object], value: int
) -> None:
    # 9.4.4: ConfirmedServiceError, initiate, in the AARE's user information.
    peer = Peer(server(Premises().device()))
    aare = peer.ask(lls(user_information=initiate(**changes)))
    assert isinstance(aare, Aare)
    assert aare.result == AssociationResult.REJECTED_PERMANENT
    assert decode_apdu(aare.user_information or b"") == ConfirmedServiceError(1, 6, value)
    assert peer.refusals() == [RefusalKind.INITIATE_REFUSED]


@pytest.mark.parametrize(
    ("pair", "reason"),
    [
        (Pair(99, 1), RefusalKind.UNKNOWN_CLIENT),
        (Pair(16, 99), RefusalKind.UNKNOWN_DEVICE),
    ],
)
def test_unknown_clients_and_devices_are_refused(pair: Pair, reason: RefusalKind) -> None:
    peer = Peer(server(Premises().device()), pair)
    aare = decode_apdu(peer.raw(AARQ) or b"")
    assert isinstance(aare, Aare)
    assert aare.result == AssociationResult.REJECTED_PERMANENT
    assert peer.refusals() == [reason]
    assert isinstance(decode_apdu(peer.raw(GET_CLOCK) or b""), ExceptionResponse)
    assert peer.refusals() == [reason]


def test_a_pdu_size_of_zero_means_no_limit() -> None:
    peer = associated(max_pdu_size=0)
    response = peer.ask(apdu.GetRequestNormal(NORMAL, CosemAttributeDescriptor(7, PROFILE, 2)))
    assert isinstance(response, apdu.GetResponseNormal)


def test_the_number_of_associations_is_limited() -> None:
    device = Premises().device()
    session = ServerSession(
        lambda sap: replace(device, sap=sap),
        credentials=server(device)._credentials,
        random_bytes=bytes,
        now=0.0,
        max_associations=2,
    )
    for sap in (1, 2):
        aare = decode_apdu(Peer(session, Pair(16, sap)).raw(AARQ) or b"")
        assert isinstance(aare, Aare)
        assert aare.result == AssociationResult.ACCEPTED
    third = Peer(session, Pair(16, 3))
    third.raw(AARQ)
    assert third.refusals() == [RefusalKind.TOO_MANY_ASSOCIATIONS]


# What is not a service request


@pytest.mark.parametrize(
    ("octets", "kind", "state_error", "service_error"),
    [
        pytest.param(
            b"\xd9\x01",
            RefusalKind.UNKNOWN_APDU,
            StateError.SERVICE_UNKNOWN,
            ServiceError.SERVICE_NOT_SUPPORTED,
            id="ACCESS, which we lack",
        ),
        pytest.param(
            b"\x77",
            RefusalKind.UNKNOWN_APDU,
            StateError.SERVICE_UNKNOWN,
            ServiceError.SERVICE_NOT_SUPPORTED,
            id="no APDU at all",
        ),
        pytest.param(
            b"",
            RefusalKind.UNKNOWN_APDU,
            StateError.SERVICE_UNKNOWN,
            ServiceError.SERVICE_NOT_SUPPORTED,
            id="nothing",
        ),
        pytest.param(
            CLOCK_ANSWER,
            RefusalKind.UNKNOWN_APDU,
            StateError.SERVICE_UNKNOWN,
            ServiceError.SERVICE_NOT_SUPPORTED,
            id="a response",
        ),
        pytest.param(
            GET_CLOCK[:-3],
            RefusalKind.MALFORMED_APDU,
            StateError.SERVICE_NOT_ALLOWED,
            ServiceError.OTHER_REASON,
            id="truncated",
        ),
        pytest.param(
            b"\xc0\x09",
            RefusalKind.MALFORMED_APDU,
            StateError.SERVICE_NOT_ALLOWED,
            ServiceError.OTHER_REASON,
            id="an unknown choice",
        ),
        pytest.param(
            b"\xc8\x00",
            RefusalKind.SERVICE_NOT_NEGOTIATED,
            StateError.SERVICE_NOT_ALLOWED,
            ServiceError.OTHER_REASON,
            id="ciphered without ciphering",
        ),
        pytest.param(
            bytes.fromhex("62"),
            RefusalKind.MALFORMED_APDU,
            StateError.SERVICE_NOT_ALLOWED,
            ServiceError.OTHER_REASON,
            id="half a release",
        ),
    ],
)
def test_other_apdus_get_an_exception_and_the_association_goes_on(
    octets: bytes, kind: RefusalKind, state_error: StateError, service_error: ServiceError
) -> None:
    peer = associated()
    answered = decode_apdu(peer.raw(octets) or b"")
    assert answered == ExceptionResponse(state_error, service_error)
    assert peer.refusals() == [kind]
    assert peer.raw(GET_CLOCK) == CLOCK_ANSWER


def test_an_apdu_larger_than_agreed_is_refused() -> None:
    policy = ClientPolicy(frozenset({MechanismName.LLS}), max_pdu_size=200)
    peer = associated(policy=policy)
    answered = decode_apdu(peer.raw(GET_CLOCK + bytes(200)) or b"")
    assert answered == ExceptionResponse(StateError.SERVICE_NOT_ALLOWED, ServiceError.PDU_TOO_LONG)
    assert peer.refusals() == [RefusalKind.OVERSIZED_APDU]


def test_a_stream_without_frames_ends_the_connection() -> None:
    session = associated().session
    session.receive_data(b"GET / HTTP/1.1\r\n", 1.0)
    refused, closed = drain(session)
    assert isinstance(refused, Refused)
    assert refused.kind is RefusalKind.BAD_FRAME
    assert closed == AssociationClosed(MANAGEMENT, ClosingCause.DISCONNECTED)
    assert session.closed
    session.receive_data(Wpdu(16, 1, AARQ).encode(), 2.0)
    assert session.data_to_send() == b""


def test_a_malformed_aarq_is_answered_by_an_aare() -> None:
    peer = Peer(server(Premises().device()))
    aare = decode_apdu(peer.raw(AARQ[:-4]) or b"")
    assert isinstance(aare, Aare)
    assert aare.result == AssociationResult.REJECTED_PERMANENT
    assert peer.refusals() == [RefusalKind.MALFORMED_APDU]


def test_a_service_that_was_not_negotiated_is_refused() -> None:
    peer = associated(conformance=Conformance.GET)
    attribute = CosemAttributeDescriptor(1, NOTE, 2)
    response = peer.ask(apdu.SetRequestNormal(NORMAL, attribute, None, unsigned(1)))
    assert isinstance(response, ExceptionResponse)
    assert peer.refusals() == [RefusalKind.SERVICE_NOT_NEGOTIATED]
    selective = apdu.GetRequestNormal(NORMAL, CLOCK_TIME, apdu.SelectiveAccess(1, unsigned(1)))
    assert isinstance(peer.ask(selective), ExceptionResponse)


def test_an_unconfirmed_service_is_done_and_not_answered() -> None:
    premises = Premises()
    peer = associated(premises)
    method = CosemMethodDescriptor(70, DISCONNECT_CONTROL, 1)
    request = apdu.ActionRequestNormal(UNCONFIRMED, method, integer(0))
    assert peer.raw(encode_apdu(request)) is None
    assert len(premises.changes) == 1
    attribute = CosemAttributeDescriptor(8, CLOCK, 2)
    write = apdu.SetRequestNormal(UNCONFIRMED, attribute, None, unsigned(1))
    assert peer.raw(encode_apdu(write)) is None
    (served,) = peer.events
    assert isinstance(served, RequestServed)
    assert served.result is DataAccessResult.TYPE_UNMATCHED


def test_lists_answer_item_by_item() -> None:
    peer = associated()
    known, unknown = CLOCK_TIME, CosemAttributeDescriptor(8, bytes(6), 2)
    got = peer.ask(apdu.GetRequestWithList(NORMAL, ((known, None), (unknown, None))))
    assert isinstance(got, apdu.GetResponseWithList)
    assert got.results[1] is DataAccessResult.OBJECT_UNDEFINED
    assert len(peer.events) == 2
    items = ((known, None), (unknown, None))
    done = peer.ask(apdu.SetRequestWithList(NORMAL, items, (unsigned(1), unsigned(1))))
    assert isinstance(done, apdu.SetResponseWithList)
    assert done.results == (DataAccessResult.TYPE_UNMATCHED, DataAccessResult.OBJECT_UNDEFINED)
    methods = (
        CosemMethodDescriptor(70, DISCONNECT_CONTROL, 1),
        CosemMethodDescriptor(70, bytes(6), 1),
    )
    acted = peer.ask(apdu.ActionRequestWithList(NORMAL, methods, (integer(0), integer(0))))
    assert isinstance(acted, apdu.ActionResponseWithList)
    assert [result for result, _ in acted.results] == [
        ActionResult.SUCCESS,
        ActionResult.OBJECT_UNDEFINED,
    ]


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(RLRQ, id="release"),
        pytest.param(GET_CLOCK, id="request"),
        pytest.param(encode_apdu(apdu.GloApdu(0xC8, bytes(30))), id="ciphered"),
    ],
)
def test_without_an_association_nothing_is_done(octets: bytes) -> None:
    peer = Peer(server(Premises().device()))
    assert decode_apdu(peer.raw(octets) or b"") == ExceptionResponse(
        StateError.SERVICE_NOT_ALLOWED, ServiceError.OPERATION_NOT_POSSIBLE
    )
    assert peer.refusals() == [RefusalKind.NOT_ASSOCIATED]


def test_the_hls_method_of_an_association_that_stands_is_denied() -> None:
    method = CosemMethodDescriptor(15, bytes.fromhex("0000280000ff"), 1)
    answered = associated().ask(apdu.ActionRequestNormal(NORMAL, method, octet_string(bytes(17))))
    assert answered == apdu.ActionResponseNormal(NORMAL, ActionResult.READ_WRITE_DENIED, None)


# Long transfers (9.4.6.4 to 9.4.6.6)

PROFILE_BUFFER = apdu.GetRequestNormal(NORMAL, CosemAttributeDescriptor(7, PROFILE, 2))


def begin_long_get(peer: Peer) -> apdu.GetResponseWithDataBlock:
    block = peer.ask(PROFILE_BUFFER)
    assert isinstance(block, apdu.GetResponseWithDataBlock)
    assert (block.block_number, block.last) == (1, False)
    return block


def test_a_long_answer_comes_in_blocks_that_fit() -> None:
    premises = Premises()
    peer = associated(premises, max_pdu_size=200)
    block = begin_long_get(peer)
    assert isinstance(block.result, bytes)
    collected, sizes = block.result, []
    while not block.last:
        octets = peer.raw(encode_apdu(apdu.GetRequestNext(NORMAL, block.block_number))) or b""
        sizes.append(len(octets))
        response = decode_apdu(octets)
        assert isinstance(response, apdu.GetResponseWithDataBlock)
        assert response.block_number == block.block_number + 1
        block = response
        assert isinstance(block.result, bytes)
        collected += block.result
    assert collected == encode_data(array(structure(*row) for row in premises.rows))
    assert max(sizes) <= 200


@pytest.mark.parametrize("number", [0, 2, 3])
def test_a_wrong_block_number_ends_a_long_get(number: int) -> None:
    peer = associated(max_pdu_size=200)
    begin_long_get(peer)
    ended = peer.ask(apdu.GetRequestNext(NORMAL, number))
    assert ended == apdu.GetResponseWithDataBlock(
        NORMAL, True, number, DataAccessResult.DATA_BLOCK_NUMBER_INVALID
    )
    assert peer.refusals() == [RefusalKind.BLOCK_OUT_OF_TURN]
    again = peer.ask(apdu.GetRequestNext(NORMAL, 1))
    assert isinstance(again, apdu.GetResponseWithDataBlock)
    assert again.result == DataAccessResult.NO_LONG_GET_IN_PROGRESS


def test_another_request_ends_a_long_get() -> None:
    peer = associated(max_pdu_size=200)
    begin_long_get(peer)
    assert peer.raw(GET_CLOCK) == CLOCK_ANSWER
    response = peer.ask(apdu.GetRequestNext(NORMAL, 1))
    assert isinstance(response, apdu.GetResponseWithDataBlock)
    assert response.result == DataAccessResult.NO_LONG_GET_IN_PROGRESS


def test_a_long_answer_without_block_transfer_is_refused() -> None:
    peer = associated(max_pdu_size=200, conformance=Conformance.GET)
    assert isinstance(peer.ask(PROFILE_BUFFER), ExceptionResponse)


def test_the_sum_of_a_list_is_bounded() -> None:
    peer = associated(max_transfer_size=5000)
    items = ((PROFILE_BUFFER.attribute, None),) * 50
    block = peer.ask(apdu.GetRequestWithList(NORMAL, items))
    assert isinstance(block, apdu.GetResponseWithDataBlock)
    results = [event.result for event in peer.events if isinstance(event, RequestServed)]
    assert results.count(DataAccessResult.SUCCESS) == 2
    assert results.count(DataAccessResult.OTHER_REASON) == 48


NOTE_VALUE = CosemAttributeDescriptor(1, NOTE, 2)
LONG_NOTE = octet_string(bytes(range(200)))


def writable() -> tuple[Premises, Peer]:
    """A device whose note LLS clients may write: the clock, which they may, is too short."""
    premises = Premises()
    return premises, associated(premises)


def test_a_long_write_is_acknowledged_block_by_block() -> None:
    _, peer = writable()
    raw = encode_data(LONG_NOTE)
    first = peer.ask(
        apdu.SetRequestWithFirstDataBlock(NORMAL, NOTE_VALUE, None, False, 1, raw[:100])
    )
    assert first == apdu.SetResponseDataBlock(NORMAL, 1)
    last = peer.ask(apdu.SetRequestWithDataBlock(NORMAL, True, 2, raw[100:]))
    # An LLS client may not write the note: the result comes with the last block.
    assert last == apdu.SetResponseLastDataBlock(NORMAL, DataAccessResult.READ_WRITE_DENIED, 2)


@pytest.mark.parametrize("number", [1, 3])
def test_a_wrong_block_number_ends_a_long_set(number: int) -> None:
    premises, peer = writable()
    peer.ask(apdu.SetRequestWithFirstDataBlock(NORMAL, NOTE_VALUE, None, False, 1, b"\x09"))
    ended = peer.ask(apdu.SetRequestWithDataBlock(NORMAL, True, number, b"\x00"))
    assert ended == apdu.SetResponseLastDataBlock(
        NORMAL, DataAccessResult.DATA_BLOCK_NUMBER_INVALID, number
    )
    after = peer.ask(apdu.SetRequestWithDataBlock(NORMAL, True, 2, b"\x00"))
    assert after == apdu.SetResponseLastDataBlock(
        NORMAL, DataAccessResult.NO_LONG_SET_IN_PROGRESS, 2
    )
    assert premises.callers == []


def test_a_long_write_of_no_data_is_aborted() -> None:
    _, peer = writable()
    ended = peer.ask(
        apdu.SetRequestWithFirstDataBlock(NORMAL, NOTE_VALUE, None, True, 1, b"\xff\xfe")
    )
    assert isinstance(ended, apdu.SetResponseLastDataBlock)
    # don't-care (0xFF) and an octet too many
    assert ended.result == DataAccessResult.LONG_SET_ABORTED


def test_a_long_write_over_the_limit_is_aborted() -> None:
    peer = associated(max_transfer_size=150)
    peer.ask(apdu.SetRequestWithFirstDataBlock(NORMAL, NOTE_VALUE, None, False, 1, bytes(100)))
    ended = peer.ask(apdu.SetRequestWithDataBlock(NORMAL, False, 2, bytes(100)))
    assert isinstance(ended, apdu.SetResponseLastDataBlock)
    assert ended.result == DataAccessResult.LONG_SET_ABORTED
    assert peer.refusals() == [RefusalKind.BLOCK_OUT_OF_TURN]


def test_a_long_write_of_a_list() -> None:
    peer = associated()
    items = ((NOTE_VALUE, None), (CLOCK_TIME, None))
    raw = b"\x02" + encode_data(LONG_NOTE) + encode_data(boolean(True))
    peer.ask(apdu.SetRequestWithListAndFirstDataBlock(NORMAL, items, False, 1, raw[:60]))
    last = peer.ask(apdu.SetRequestWithDataBlock(NORMAL, True, 2, raw[60:]))
    assert last == apdu.SetResponseLastDataBlockWithList(
        NORMAL, (DataAccessResult.READ_WRITE_DENIED, DataAccessResult.TYPE_UNMATCHED), 2
    )


def test_long_parameters_of_an_action() -> None:
    premises = Premises()
    peer = associated(premises)
    method = CosemMethodDescriptor(70, DISCONNECT_CONTROL, 1)
    first = peer.ask(apdu.ActionRequestWithFirstPBlock(NORMAL, method, False, 1, b"\x0f"))
    assert first == apdu.ActionResponseNextPBlock(NORMAL, 1)
    assert premises.changes == []
    last = peer.ask(apdu.ActionRequestWithPBlock(NORMAL, True, 2, b"\x00"))
    assert last == apdu.ActionResponseNormal(NORMAL, ActionResult.SUCCESS, None)
    assert len(premises.changes) == 1


@pytest.mark.parametrize(
    ("request_", "result"),
    [
        (
            apdu.ActionRequestWithPBlock(NORMAL, True, 2, b"\x00"),
            ActionResult.NO_LONG_ACTION_IN_PROGRESS,
        ),
        (
            apdu.ActionRequestNextPBlock(NORMAL, 1),
            ActionResult.NO_LONG_ACTION_IN_PROGRESS,
        ),
        (
            apdu.ActionRequestWithFirstPBlock(
                NORMAL, CosemMethodDescriptor(70, DISCONNECT_CONTROL, 1), False, 2, b"\x0f"
            ),
            ActionResult.LONG_ACTION_ABORTED,
        ),
    ],
)
def test_p_blocks_out_of_turn(request_: apdu.Apdu, result: ActionResult) -> None:
    peer = associated()
    assert peer.ask(request_) == apdu.ActionResponseNormal(NORMAL, result, None)
    assert peer.refusals() == [RefusalKind.BLOCK_OUT_OF_TURN]


# Load and garbage


def test_answers_wait_for_the_peer_to_take_them() -> None:
    peer = associated(max_pdu_size=0)
    session = peer.session
    frame = Wpdu(1, 1, encode_apdu(PROFILE_BUFFER)).encode()
    session.receive_data(frame * 1000, 0.0)
    before = len(drain(session))
    assert before < 200  # 1,000 answers of 2 KiB each do not fit the outgoing bound
    size = 0
    while data := session.data_to_send():
        assert len(data) < 300_000
        size += len(data)
    assert before + len(drain(session)) == 1000
    assert size > 1_000_000


@given(octets=st.binary(max_size=60), pair=st.sampled_from([PUBLIC, MANAGEMENT, Pair(7, 7)]))
def test_garbage_apdus_are_answered_and_never_raise(octets: bytes, pair: Pair) -> None:
    peer = associated()
    other = Peer(peer.session, pair)
    other.raw(octets)
    assert other.events
    assert not peer.session.closed


@given(octets=st.binary(max_size=60), tag=st.sampled_from([*sorted(apdu.PLAIN_TAGS), 0xDB]))
def test_garbage_in_envelopes_is_refused(octets: bytes, tag: int) -> None:
    peer = associated()
    peer.raw(bytes((tag,)) + octets)
    assert len(peer.refusals()) == 1


@given(parts=st.lists(st.binary(max_size=40), max_size=8))
def test_a_garbage_stream_never_raises(parts: list[bytes]) -> None:
    session = server(Premises().device())
    for part in parts:
        session.receive_data(part, 0.0)
        session.data_to_send()


@given(data=st.data())
def test_any_split_of_the_stream_gives_the_same_answers(data: st.DataObject) -> None:
    stream = b"".join(Wpdu(16, 1, part).encode() for part in (AARQ, GET_CLOCK, b"\x77", RLRQ))
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=12).map(sorted))
    session = server(Premises().device())
    sent = b""
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        session.receive_data(stream[start:end], 0.0)
        sent += session.data_to_send()
    answers = AARE, CLOCK_ANSWER, bytes.fromhex("d80202"), RLRE
    assert sent == b"".join(Wpdu(1, 16, part).encode() for part in answers)


def test_what_the_aare_promises_is_what_the_policy_says() -> None:
    policy = ClientPolicy(
        frozenset({MechanismName.LLS}), conformance=Conformance.GET, max_pdu_size=500
    )
    peer = Peer(server(Premises().device(), policies={1: policy}))
    aare = peer.ask(lls())
    assert isinstance(aare, Aare)
    assert decode_apdu(aare.user_information or b"") == InitiateResponse(
        conformance=Conformance.GET, max_receive_pdu_size=500
    )
