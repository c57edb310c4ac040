"""The client's session, joined to the server's in memory, over any split of the stream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocols.dlms import apdu
from protocols.dlms.apdu import (
    ActionResult,
    CosemAttributeDescriptor,
    CosemMethodDescriptor,
    DataAccessResult,
    MechanismName,
    SelectiveAccess,
    encode_apdu,
)
from protocols.dlms.axdr import encode_data
from protocols.dlms.ciphering import Envelope, SecurityContext
from protocols.dlms.client import (
    ActionAnswer,
    Associated,
    AssociationFailed,
    ClientEvent,
    ClientSession,
    ClientSettings,
    Disconnected,
    GetListResult,
    GetResult,
    Notified,
    Refused,
    Released,
    ServiceRefused,
    SetResult,
    TimedOut,
)
from protocols.dlms.cosem.base import ActionOutcome, CosemObject, Encoded
from protocols.dlms.cosem.classes import SCRIPT_TABLE
from protocols.dlms.cosem.device import CURRENT_ASSOCIATION, LogicalDevice
from protocols.dlms.cosem.disconnect import ControlState
from protocols.dlms.cosem.profile import by_entry, by_range
from protocols.dlms.data import (
    Data,
    array,
    enum,
    integer,
    long_unsigned,
    octet_string,
    structure,
    unsigned,
)
from protocols.dlms.hls import REPLY_TO_HLS
from protocols.dlms.refusals import RefusalKind
from protocols.dlms.server import ClientPolicy, RequestServed
from protocols.dlms.wrapper import Wpdu
from protocols.errors import LocalProtocolError
from tests.support.dlms_device import (
    CLIENT_TITLE,
    CLOCK,
    COLUMNS,
    DISCONNECT_CONTROL,
    LLS,
    NOTE,
    PROFILE,
    PUBLIC,
    REGISTER,
    SCRIPTS,
    SECURITY,
    SERVER_TITLE,
    Premises,
    Wire,
    client,
    gmac,
    security,
    server,
)
from tests.support.playbook import At, Do, Eof, Receive, Reports, Sends, play

CLOCK_TIME = CosemAttributeDescriptor(8, CLOCK, 2)
NOTE_VALUE = CosemAttributeDescriptor(1, NOTE, 2)
REGISTER_VALUE = CosemAttributeDescriptor(3, REGISTER, 2)
BUFFER = CosemAttributeDescriptor(7, PROFILE, 2)
DISCONNECT = CosemMethodDescriptor(70, DISCONNECT_CONTROL, 1)

WAYS = [
    pytest.param(lambda: LLS, id="LLS"),
    *(
        pytest.param(lambda envelope=envelope: gmac(envelope), id=f"GMAC, {envelope.name}")
        for envelope in Envelope
    ),
]


def wire(
    how: ClientSettings,
    premises: Premises | None = None,
    *,
    context: SecurityContext | None = None,
    policy: ClientPolicy | None = None,
) -> Wire:
    allowed = frozenset({MechanismName.LLS, MechanismName.HLS_GMAC})
    policies = {
        1: policy or ClientPolicy(allowed),
        16: ClientPolicy(frozenset({MechanismName.LOWEST})),
    }
    device = (premises or Premises()).device()
    return Wire(client(how), server(device, context=context, policies=policies))


def associated(
    how: ClientSettings,
    premises: Premises | None = None,
    *,
    context: SecurityContext | None = None,
    policy: ClientPolicy | None = None,
) -> Wire:
    joined = wire(how, premises, context=context, policy=policy)
    joined.client.associate(0.0)
    (event,) = joined.run()
    assert isinstance(event, Associated), event
    return joined


def get(
    joined: Wire,
    attribute: CosemAttributeDescriptor,
    access: SelectiveAccess | None = None,
    *,
    encoded: bool = False,
) -> object:
    joined.client.get(attribute, 0.0, access=access, encoded=encoded)
    (event,) = joined.run()
    assert isinstance(event, GetResult), event
    return event.value


def buffer(premises: Premises, rows: range = range(96)) -> Data:
    return array(structure(*premises.rows[i]) for i in rows)


@pytest.mark.parametrize("how", WAYS)
def test_a_whole_conversation(how: object) -> None:
    assert callable(how)
    small = replace(how(), max_pdu_size=180)  # long answers come in blocks
    premises = Premises()
    joined = associated(small, premises)
    assert get(joined, BUFFER) == buffer(premises)
    assert get(joined, BUFFER, by_entry(2, 40)) == buffer(premises, range(1, 40))
    bounds = premises.rows[3][1], premises.rows[5][1]
    assert get(joined, BUFFER, by_range(COLUMNS[1], *bounds)) == buffer(premises, range(3, 6))
    assert get(joined, BUFFER, encoded=True) == Encoded(encode_data(buffer(premises)))
    assert get(joined, BUFFER, by_entry(1, 1), encoded=True) == Encoded(
        encode_data(buffer(premises, range(1)))
    )
    joined.client.get_with_list([(REGISTER_VALUE, None), (BUFFER, by_entry(1, 30))], 0.0)
    (both,) = joined.run()
    assert isinstance(both, GetListResult)
    assert both.values[1] == buffer(premises, range(30))
    joined.client.action(DISCONNECT, 0.0, integer(0))
    assert joined.run() == [ActionAnswer(ActionResult.SUCCESS, None)]
    assert premises.state is ControlState.DISCONNECTED
    joined.client.release(0.0)
    assert joined.run() == [Released()]
    joined.client.associate(0.0)
    assert isinstance(joined.run()[0], Associated)


@pytest.mark.parametrize("envelope", Envelope)
def test_a_long_value_is_written_in_blocks(envelope: Envelope) -> None:
    premises = Premises()
    policy = ClientPolicy(frozenset({MechanismName.HLS_GMAC}), max_pdu_size=150)
    joined = associated(gmac(envelope), premises, policy=policy)
    note = octet_string(bytes(i % 251 for i in range(2000)))
    joined.client.set(NOTE_VALUE, note, 0.0)
    assert joined.run() == [SetResult(DataAccessResult.SUCCESS)]
    assert premises.note == note
    joined.client.action(DISCONNECT, 0.0, note)  # long parameters; the method ignores them
    assert joined.run() == [ActionAnswer(ActionResult.SUCCESS, None)]
    assert len(premises.changes) == 1


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=30)
@given(data=st.data(), envelope=st.sampled_from(Envelope))
def test_any_split_of_either_stream_changes_nothing(
    data: st.DataObject, envelope: Envelope
) -> None:
    def split(octets: bytes) -> list[bytes]:
        cuts = data.draw(st.lists(st.integers(0, len(octets)), max_size=4).map(sorted))
        return [octets[a:b] for a, b in zip([0, *cuts], [*cuts, len(octets)], strict=True)]

    premises = Premises()
    joined = wire(replace(gmac(envelope), max_pdu_size=400), premises)
    joined.split = split
    joined.client.associate(0.0)
    joined.run()
    assert get(joined, BUFFER) == buffer(premises)
    joined.client.action(DISCONNECT, 0.0, integer(0))
    assert joined.run() == [ActionAnswer(ActionResult.SUCCESS, None)]


def test_result_codes_come_as_they_are() -> None:
    joined = associated(LLS)
    assert get(joined, replace(CLOCK_TIME, class_id=3)) is (
        DataAccessResult.OBJECT_CLASS_INCONSISTENT
    )
    joined.client.set(NOTE_VALUE, unsigned(1), 0.0)
    assert joined.run() == [SetResult(DataAccessResult.READ_WRITE_DENIED)]
    joined.client.action(replace(DISCONNECT, method_id=9), 0.0, integer(0))
    assert joined.run() == [ActionAnswer(ActionResult.OBJECT_UNDEFINED, None)]


def test_an_exception_response_is_a_result_and_the_association_goes_on() -> None:
    policy = ClientPolicy(frozenset({MechanismName.LLS}), conformance=apdu.Conformance.GET)
    joined = associated(LLS, policy=policy)
    joined.client.set(NOTE_VALUE, unsigned(1), 0.0)
    (refused,) = joined.run()
    assert isinstance(refused, ServiceRefused)
    assert isinstance(get(joined, CLOCK_TIME), Data)


def test_the_association_shows_what_was_agreed() -> None:
    joined = associated(gmac(Envelope.GENERAL))
    shown = {
        number: get(joined, CosemAttributeDescriptor(15, CURRENT_ASSOCIATION, number))
        for number in (3, 4, 6, 8, 9)
    }
    assert shown == {
        3: structure(integer(1), long_unsigned(1)),
        4: octet_string(apdu.ApplicationContextName.LOGICAL_NAME_CIPHERED.value),
        6: octet_string(MechanismName.HLS_GMAC.value),
        8: enum(2),
        9: octet_string(SECURITY),
    }


def test_the_counter_of_a_command_can_be_read_and_is_what_the_server_saw() -> None:
    joined = associated(gmac(Envelope.GENERAL))
    joined.client.action(DISCONNECT, 0.0, integer(0))
    sent_under = joined.client.last_invocation_counter
    joined.run()
    served = joined.server_events[-1]
    assert isinstance(served, RequestServed)
    assert sent_under is not None
    assert served.invocation_counter == sent_under


def test_without_ciphering_there_is_no_counter() -> None:
    joined = associated(LLS)
    get(joined, CLOCK_TIME)
    assert joined.client.last_invocation_counter is None


def test_counters_go_on_in_the_next_session() -> None:
    own, devices = security(CLIENT_TITLE), security(SERVER_TITLE)
    seen = []
    for _ in range(3):
        joined = associated(gmac(Envelope.SERVICE_SPECIFIC, own), context=devices)
        get(joined, CLOCK_TIME)
        seen.append((joined.client.last_invocation_counter, devices.send_counter.next_value))
    assert seen == sorted(set(seen))
    assert devices.receive_counter(CLIENT_TITLE).last_accepted == seen[-1][0]


@pytest.mark.parametrize("how", WAYS)
def test_who_is_associated_proves_nothing_again(how: Callable[[], ClientSettings]) -> None:
    joined = associated(how())
    joined.client.action(REPLY_TO_HLS, 1.0, octet_string(bytes(17)))
    (answer,) = joined.run()
    assert isinstance(answer, ActionAnswer)
    assert answer.result is ActionResult.READ_WRITE_DENIED


def test_two_requests_at_a_time_are_our_own_mistake() -> None:
    joined = associated(LLS)
    joined.client.get(CLOCK_TIME, 0.0)
    sent = joined.client.data_to_send()
    with pytest.raises(LocalProtocolError, match="ServiceRequest in AWAITING_RESPONSE"):
        joined.client.get(CLOCK_TIME, 0.0)
    with pytest.raises(LocalProtocolError, match="ReleaseRequest"):
        joined.client.release(0.0)
    assert joined.client.data_to_send() == b""
    joined.server.receive_data(sent, 0.0)
    assert isinstance(joined.run()[0], GetResult)  # the first one is not harmed


def test_nothing_can_be_asked_before_the_association_stands() -> None:
    session = client(PUBLIC)
    with pytest.raises(LocalProtocolError, match="ServiceRequest in IDLE"):
        session.get(CLOCK_TIME, 0.0)
    with pytest.raises(LocalProtocolError):
        session.release(0.0)
    session.receive_eof()
    with pytest.raises(LocalProtocolError, match="closed"):
        session.associate(0.0)


def test_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValueError, match="security context"):
        ClientSettings(1, 1, mechanism=MechanismName.HLS_GMAC)


# Playbooks: the client against octets written by hand

# 11.2: AARQ without security; conformance and PDU size as this client offers them.
AARQ = bytes.fromhex("601d a109 0607 60857405080101 be10 040e 01000000065f1f0400401e9dffff")
AARE = bytes.fromhex(
    "6129 a109 0607 60857405080101 a203 020100 a305 a103 020100"
    "be10 040e 0800065f1f0400001e1d04000007"
)
GET_CLOCK = bytes.fromhex("c001c1 0008 0000010000ff 02 00")
CLOCK_ANSWER = bytes.fromhex("c401c100 1105")
ASSOCIATED = Associated(apdu.Conformance(0x001E1D), 1024, b"")


def asks(octets: bytes) -> Sends:
    return Sends(Wpdu(16, 1, octets).encode())


def answers(octets: bytes, source: int = 1) -> Receive:
    return Receive(Wpdu(source, 16, octets).encode())


def public() -> ClientSession:
    return client(PUBLIC)


def test_a_public_client_by_the_octet() -> None:
    session = public()
    play(
        session,
        Do("associate", session.associate),
        asks(AARQ),
        answers(AARE),
        Reports(ASSOCIATED),
        Do("get", lambda now: session.get(CLOCK_TIME, now)),
        asks(GET_CLOCK),
        answers(CLOCK_ANSWER),
        Reports(GetResult(unsigned(5))),
        Do("release", session.release),
        asks(bytes.fromhex("6203 800100")),
        answers(bytes.fromhex("6303 800100")),
        Reports(Released()),
        Eof(),
        Reports(Disconnected()),
        Eof(),
    )


def test_an_answer_that_does_not_come_closes_the_session() -> None:
    session = public()
    play(
        session,
        Do("associate", session.associate),
        asks(AARQ),
        At(20.0),
        answers(AARE),
        Reports(ASSOCIATED),
        At(49.0),  # nothing is owed: no timer runs
        Do("get", lambda now: session.get(CLOCK_TIME, now)),
        asks(GET_CLOCK),
        At(78.9),
        At(79.0),
        Reports(TimedOut()),
    )
    assert session.closed
    assert session.deadline is None


def test_a_refusal_says_why() -> None:
    session = public()
    aare = bytes.fromhex("6117 a109 0607 60857405080101 a203 020101 a305 a103 02010d")
    failure = AssociationFailed(
        RefusalKind.REFUSED_BY_PEER, "result 1, diagnostic 13", result=1, diagnostic=13
    )
    play(
        session,
        Do("associate", session.associate),
        asks(AARQ),
        answers(aare),
        Reports(failure),
        Do("associate again", session.associate),
        asks(AARQ),
        answers(AARE),
        Reports(ASSOCIATED),
    )


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        pytest.param(answers(b"\xc4\x01\xc2\x00\x11\x05"), RefusalKind.OUT_OF_TURN, id="late"),
        pytest.param(answers(b"\xc5\x01\xc1\x00"), RefusalKind.OUT_OF_TURN, id="to a SET"),
        pytest.param(answers(b"\xc4\x01"), RefusalKind.MALFORMED_APDU, id="truncated"),
        pytest.param(answers(b"\x77"), RefusalKind.UNKNOWN_APDU, id="unknown"),
        pytest.param(answers(b""), RefusalKind.UNKNOWN_APDU, id="empty"),
        pytest.param(answers(CLOCK_ANSWER, source=2), RefusalKind.OUT_OF_TURN, id="stranger"),
        pytest.param(answers(AARE), RefusalKind.OUT_OF_TURN, id="an AARE"),
        pytest.param(answers(b"\xcc\x00"), RefusalKind.OUT_OF_TURN, id="ciphered"),
    ],
)
def test_what_is_no_answer_is_ignored_and_the_wait_goes_on(
    frame: Receive, kind: RefusalKind
) -> None:
    session = public()
    session.associate(0.0)
    session.receive_data(answers(AARE).data, 0.0)
    session.get(CLOCK_TIME, 0.0)
    session.receive_data(frame.data, 1.0)
    assert session.next_event() == ASSOCIATED
    refused = session.next_event()
    assert isinstance(refused, Refused)
    assert refused.kind is kind
    assert session.deadline == 30.0
    session.receive_data(answers(CLOCK_ANSWER).data, 2.0)
    assert session.next_event() == GetResult(unsigned(5))


def test_a_notification_in_between_does_not_count_as_an_answer() -> None:
    session = public()
    session.associate(0.0)
    session.receive_data(answers(AARE).data, 0.0)
    session.get(CLOCK_TIME, 0.0)
    push = apdu.DataNotification(1, b"", unsigned(9))
    session.receive_data(answers(encode_apdu(push)).data, 10.0)
    assert session.next_event() == ASSOCIATED
    assert session.next_event() == Notified(push)
    assert session.deadline == 30.0
    session.receive_data(answers(CLOCK_ANSWER).data, 20.0)
    assert session.next_event() == GetResult(unsigned(5))


@pytest.mark.parametrize(
    "numbers", [pytest.param((1, 1), id="repeated"), pytest.param((1, 3), id="skipped"), (2,)]
)
def test_blocks_out_of_turn_end_the_transfer(numbers: tuple[int, ...]) -> None:
    session = public()
    session.associate(0.0)
    session.receive_data(answers(AARE).data, 0.0)
    session.get(BUFFER, 0.0)
    for number in numbers:
        block = apdu.GetResponseWithDataBlock(0xC1, False, number, b"\x01")
        session.receive_data(answers(encode_apdu(block)).data, 0.0)
    events = [session.next_event() for _ in range(3)]
    assert isinstance(events[1], Refused)
    assert events[1].kind is RefusalKind.BLOCK_OUT_OF_TURN
    assert events[2] == GetResult(DataAccessResult.DATA_BLOCK_NUMBER_INVALID)
    session.get(CLOCK_TIME, 0.0)  # the association goes on


def test_a_long_answer_is_bounded() -> None:
    session = client(replace(PUBLIC, max_transfer_size=100))
    session.associate(0.0)
    session.receive_data(answers(AARE).data, 0.0)
    session.get(BUFFER, 0.0)
    for number in (1, 2):
        block = apdu.GetResponseWithDataBlock(0xC1, False, number, bytes(60))
        session.receive_data(answers(encode_apdu(block)).data, 0.0)
    events = [session.next_event() for _ in range(3)]
    assert events[2] == GetResult(DataAccessResult.LONG_GET_ABORTED)


def test_a_server_that_ends_a_transfer_is_heard() -> None:
    session = public()
    session.associate(0.0)
    session.receive_data(answers(AARE).data, 0.0)
    session.get(BUFFER, 0.0)
    ended = apdu.GetResponseWithDataBlock(0xC1, True, 1, DataAccessResult.LONG_GET_ABORTED)
    session.receive_data(answers(encode_apdu(ended)).data, 0.0)
    assert session.next_event() == ASSOCIATED
    assert session.next_event() == GetResult(DataAccessResult.LONG_GET_ABORTED)


def test_the_answer_to_an_action_may_come_in_blocks() -> None:
    session = public()
    session.associate(0.0)
    session.receive_data(answers(AARE).data, 0.0)
    session.action(DISCONNECT, 0.0, integer(0))
    session.data_to_send()
    payload = encode_apdu(apdu.ActionResponseNormal(0xC1, ActionResult.SUCCESS, unsigned(7)))[3:]
    first = apdu.ActionResponseWithPBlock(0xC1, False, 1, payload[:2])
    session.receive_data(answers(encode_apdu(first)).data, 0.0)
    asked = encode_apdu(apdu.ActionRequestNextPBlock(0xC1, 1))
    assert session.data_to_send() == asks(asked).data
    last = apdu.ActionResponseWithPBlock(0xC1, True, 2, payload[2:])
    session.receive_data(answers(encode_apdu(last)).data, 0.0)
    assert session.next_event() == ASSOCIATED
    assert session.next_event() == ActionAnswer(ActionResult.SUCCESS, unsigned(7))


def test_a_stream_without_frames_ends_the_session() -> None:
    session = public()
    session.associate(0.0)
    session.receive_data(b"HTTP/1.1 400", 0.0)
    refused = session.next_event()
    assert isinstance(refused, Refused)
    assert refused.kind is RefusalKind.BAD_FRAME
    assert session.next_event() == Disconnected()
    assert session.closed


@given(octets=st.binary(max_size=60), envelope=st.sampled_from(Envelope))
def test_garbage_from_a_server_never_raises(octets: bytes, envelope: Envelope) -> None:
    joined = associated(gmac(envelope))
    joined.client.get(CLOCK_TIME, 0.0)
    joined.client.receive_data(Wpdu(1, 1, octets).encode(), 0.0)
    reported: list[ClientEvent] = []
    while (event := joined.client.next_event()) is not None:
        reported.append(event)
    assert len(reported) == 1


def answering(answer: Data) -> CosemObject:
    """Return an object whose method answers with ``answer``."""
    return CosemObject(
        SCRIPT_TABLE,
        SCRIPTS,
        {},
        methods={1: lambda _parameters, _caller: ActionOutcome(ActionResult.SUCCESS, answer)},
    )


@pytest.mark.parametrize("envelope", Envelope)
def test_a_method_may_answer_at_length(envelope: Envelope) -> None:
    answer = octet_string(bytes(i % 251 for i in range(1000)))
    device = LogicalDevice(b"MST", 1, {SCRIPTS: answering(answer)})
    joined = Wire(client(replace(gmac(envelope), max_pdu_size=150)), server(device))
    joined.client.associate(0.0)
    joined.run()
    joined.client.action(CosemMethodDescriptor(9, SCRIPTS, 1), 0.0)
    assert joined.run() == [ActionAnswer(ActionResult.SUCCESS, answer)]


@pytest.mark.parametrize(
    ("wrong", "event"),
    [
        pytest.param(
            apdu.SetResponseDataBlock(0xC1, 5),
            SetResult(DataAccessResult.DATA_BLOCK_NUMBER_INVALID),
            id="SET",
        ),
        pytest.param(
            apdu.ActionResponseNextPBlock(0xC1, 5),
            ActionAnswer(ActionResult.LONG_ACTION_ABORTED, None),
            id="ACTION",
        ),
    ],
)
def test_an_acknowledgement_of_another_block_ends_the_transfer(
    wrong: apdu.SetResponseDataBlock | apdu.ActionResponseNextPBlock, event: ClientEvent
) -> None:
    session = public()
    session.associate(0.0)
    session.receive_data(answers(AARE).data, 0.0)
    long_value = octet_string(bytes(3000))  # the server takes 1024 octets
    if isinstance(wrong, apdu.SetResponseDataBlock):
        session.set(NOTE_VALUE, long_value, 0.0)
    else:
        session.action(DISCONNECT, 0.0, long_value)
    session.receive_data(answers(encode_apdu(wrong)).data, 0.0)
    assert session.next_event() == ASSOCIATED
    assert isinstance(session.next_event(), Refused)
    assert session.next_event() == event


def test_a_refused_initiate_request_says_its_error() -> None:
    joined = wire(replace(LLS, max_pdu_size=100))
    joined.client.associate(0.0)
    (failed,) = joined.run()
    assert isinstance(failed, AssociationFailed)
    assert failed.error == apdu.ConfirmedServiceError(1, 6, 3)


def test_a_list_with_results_missing_is_not_taken() -> None:
    session = public()
    session.associate(0.0)
    session.receive_data(answers(AARE).data, 0.0)
    session.get_with_list([(CLOCK_TIME, None), (REGISTER_VALUE, None)], 0.0)
    short = apdu.GetResponseWithList(0xC1, (unsigned(1),))
    session.receive_data(answers(encode_apdu(short)).data, 0.0)
    assert session.next_event() == ASSOCIATED
    refused = session.next_event()
    assert isinstance(refused, Refused)
    assert refused.kind is RefusalKind.MALFORMED_APDU


def test_what_comes_unasked_is_refused_and_after_the_end_nothing_is_heard() -> None:
    session = public()
    session.associate(0.0)
    for octets in (b"\xd8\x01\x01", b"\xc4\x01\xc1\x00\x11\x05", b"\x63\x00"):
        session.receive_data(answers(octets).data, 0.0)
        refused = session.next_event()
        assert isinstance(refused, Refused)
        assert refused.kind is RefusalKind.OUT_OF_TURN
    session.receive_eof()
    assert session.next_event() == Disconnected()
    session.receive_data(answers(AARE).data, 0.0)
    assert session.next_event() is None
