"""Replay, rollback, wrong keys and tags, stripped protection: at the server and at the client."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.dlms import apdu
from protocols.dlms.apdu import (
    CosemAttributeDescriptor,
    CosemMethodDescriptor,
    ExceptionResponse,
    MechanismName,
    ServiceError,
    StateError,
    decode_apdu,
    encode_apdu,
)
from protocols.dlms.ciphering import (
    AUTHENTICATED_AND_ENCRYPTED,
    Cipher,
    Envelope,
    Protection,
    ReceiveCounters,
    SecurityContext,
    overhead,
)
from protocols.dlms.client import (
    Associated,
    AssociationFailed,
    ClientSession,
    GetResult,
    Refused,
    ServiceRefused,
)
from protocols.dlms.data import integer
from protocols.dlms.refusals import RefusalKind
from protocols.dlms.security import ReplayError, SecurityError, SecurityKeys, SendCounter
from protocols.dlms.server import (
    AssociationClosed,
    AssociationRefused,
    ClientPolicy,
    ClosingCause,
    RequestServed,
    ServerEvent,
)
from protocols.dlms.server import Refused as ServerRefused
from protocols.dlms.wrapper import HEADER_SIZE, Wpdu, WpduReader
from tests.support.dlms_device import (
    CLIENT_TITLE,
    CLOCK,
    DISCONNECT_CONTROL,
    KEYS,
    SERVER_TITLE,
    Premises,
    Wire,
    client,
    gmac,
    security,
    server,
)

CLOCK_TIME = CosemAttributeDescriptor(8, CLOCK, 2)
DISCONNECT = CosemMethodDescriptor(70, DISCONNECT_CONTROL, 1)
GET = apdu.GetRequestNormal(0xC1, CLOCK_TIME)
CIPHERED = (Envelope.GENERAL, Envelope.SERVICE_SPECIFIC)
STRICT = ClientPolicy(frozenset({MechanismName.HLS_GMAC}), protection=AUTHENTICATED_AND_ENCRYPTED)
LENIENT = replace(STRICT, protection=Protection.NONE)
WRONG = SecurityKeys(bytes(16), KEYS.authentication)
WRONG_AUTHENTICATION = SecurityKeys(KEYS.unicast_encryption, bytes(16))

each_envelope = pytest.mark.parametrize("envelope", CIPHERED)


class Bench:
    """A ciphered association that stands, and what crosses it."""

    def __init__(self, envelope: Envelope, policy: ClientPolicy = STRICT) -> None:
        self.premises = Premises()
        self.own = security(CLIENT_TITLE)
        self.devices = security(SERVER_TITLE)
        self.policy = policy
        self.envelope = envelope
        self.wire = self.connect()
        self.wire.client.associate(0.0)
        assert isinstance(self.wire.run()[0], Associated), self.wire.client_events
        self.wire.server_events.clear()

    def connect(self, keys: SecurityKeys = KEYS, next_counter: int | None = None) -> Wire:
        """Join a new client and a new server session over the device's counters."""
        own = self.own
        if keys is not KEYS or next_counter is not None:
            own = security(CLIENT_TITLE, keys, next_counter or 1)
        device = self.premises.device()
        session = server(device, context=self.devices, policies={1: self.policy})
        return Wire(client(gmac(self.envelope, own)), session)

    def sealed(
        self,
        message: apdu.Apdu = GET,
        *,
        keys: SecurityKeys = KEYS,
        title: bytes = CLIENT_TITLE,
        counter: int | None = None,
        protection: Protection = AUTHENTICATED_AND_ENCRYPTED,
    ) -> bytes:
        """Return ``message`` ciphered as a client would, or as it should not."""
        send = self.own.send_counter if counter is None else SendCounter(counter)
        context = SecurityContext(title, keys, send, ReceiveCounters())
        cipher = Cipher(context, SERVER_TITLE)
        return cipher.seal(encode_apdu(message), self.envelope, protection)[0]

    def ask(self, octets: bytes) -> bytes:
        """Send one APDU past the client and return the answer."""
        self.wire.server.receive_data(Wpdu(1, 1, octets).encode(), 0.0)
        reader = WpduReader()
        reader.feed(self.wire.server.data_to_send())
        while (event := self.wire.server.next_event()) is not None:
            self.wire.server_events.append(event)
        answer = reader.next_pdu()
        return b"" if answer is None else answer.apdu

    def refused(self, octets: bytes) -> tuple[list[RefusalKind], object]:
        """Send one APDU; return why it was refused and the answer."""
        self.wire.server_events.clear()
        answer = self.ask(octets)
        assert not [e for e in self.wire.server_events if isinstance(e, RequestServed)]
        return kinds(self.wire.server_events), decode_apdu(answer) if answer else None

    def still_serves(self) -> None:
        """The association goes on: the real client is answered."""
        self.wire.client.get(CLOCK_TIME, 0.0)
        assert isinstance(self.wire.run()[-1], GetResult)


def kinds(events: list[ServerEvent]) -> list[RefusalKind]:
    return [
        event.kind if isinstance(event, ServerRefused) else event.reason
        for event in events
        if isinstance(event, (ServerRefused, AssociationRefused))
    ]


def exception(error: ServiceError, counter: int | None = None) -> ExceptionResponse:
    return ExceptionResponse(StateError.SERVICE_NOT_ALLOWED, error, counter)


# At the server


@each_envelope
def test_a_replayed_command_is_refused_and_not_executed_again(envelope: Envelope) -> None:
    bench = Bench(envelope)
    command = bench.sealed(apdu.ActionRequestNormal(0xC1, DISCONNECT, integer(0)))
    bench.ask(command)
    assert len(bench.premises.callers) == 1
    expected = bench.own.send_counter.next_value
    # Green Book 9.5: invocation-counter-error tells the counter that is expected.
    assert bench.refused(command) == (
        [RefusalKind.REPLAYED],
        exception(ServiceError.INVOCATION_COUNTER_ERROR, expected),
    )
    assert len(bench.premises.callers) == 1
    bench.still_serves()


@each_envelope
def test_a_lowered_counter_is_refused_with_the_right_key(envelope: Envelope) -> None:
    bench = Bench(envelope)
    kind, _ = bench.refused(bench.sealed(counter=1))
    assert kind == [RefusalKind.REPLAYED]
    bench.still_serves()


@each_envelope
def test_a_whole_session_cannot_be_replayed_in_the_next_one(envelope: Envelope) -> None:
    bench = Bench(envelope)
    joined = bench.connect()
    joined.client.associate(0.0)
    aarq = joined.client.data_to_send()
    joined.server.receive_data(aarq, 0.0)
    assert joined.server.data_to_send()
    again = bench.connect()
    again.server.receive_data(aarq, 0.0)
    again.run()
    assert kinds(again.server_events) == [RefusalKind.REPLAYED]


@each_envelope
def test_a_client_that_lost_its_counter_is_refused_until_it_has_caught_up(
    envelope: Envelope,
) -> None:
    bench = Bench(envelope)
    behind = bench.connect(next_counter=1)
    behind.client.associate(0.0)
    (failed,) = behind.run()
    assert isinstance(failed, AssociationFailed)
    assert kinds(behind.server_events) == [RefusalKind.REPLAYED]
    ahead = bench.connect(next_counter=1000)
    ahead.client.associate(0.0)
    assert isinstance(ahead.run()[0], Associated)


@each_envelope
@pytest.mark.parametrize(
    "keys", [WRONG, WRONG_AUTHENTICATION], ids=["encryption", "authentication"]
)
def test_another_key_is_refused_and_moves_no_counter(
    envelope: Envelope, keys: SecurityKeys
) -> None:
    bench = Bench(envelope)
    before = bench.devices.receive_counter(CLIENT_TITLE).last_accepted
    assert bench.refused(bench.sealed(keys=keys, counter=2**31)) == (
        [RefusalKind.WRONG_MAC],
        exception(ServiceError.DECIPHERING_ERROR),
    )
    assert bench.devices.receive_counter(CLIENT_TITLE).last_accepted == before
    bench.still_serves()


@each_envelope
@pytest.mark.parametrize(
    "keys", [WRONG, WRONG_AUTHENTICATION], ids=["encryption", "authentication"]
)
def test_a_client_with_another_key_does_not_get_an_association(
    envelope: Envelope, keys: SecurityKeys
) -> None:
    bench = Bench(envelope)
    joined = bench.connect(keys, next_counter=1000)
    joined.client.associate(0.0)
    (failed,) = joined.run()
    assert isinstance(failed, AssociationFailed)
    assert failed.diagnostic == apdu.ServiceUserDiagnostic.AUTHENTICATION_FAILURE
    assert kinds(joined.server_events) == [RefusalKind.WRONG_MAC]


@each_envelope
def test_policy_may_drop_the_connection_at_a_wrong_tag(envelope: Envelope) -> None:
    bench = Bench(envelope, replace(STRICT, drop_on_wrong_key=True))
    octets = bytearray(bench.sealed())
    octets[-1] ^= 1
    kind, _ = bench.refused(bytes(octets))
    assert kind == [RefusalKind.WRONG_MAC]
    assert bench.wire.server.closed
    closed = bench.wire.server_events[-1]
    assert isinstance(closed, AssociationClosed)
    assert closed.cause is ClosingCause.DISCONNECTED


BENCHES = {envelope: Bench(envelope) for envelope in CIPHERED}


@given(data=st.data(), envelope=st.sampled_from(CIPHERED))
def test_a_frame_with_any_bit_changed_is_not_served(
    data: st.DataObject, envelope: Envelope
) -> None:
    bench = BENCHES[envelope]
    octets = bytearray(bench.sealed())
    bit = data.draw(st.integers(0, len(octets) * 8 - 1))
    octets[bit // 8] ^= 1 << bit % 8
    reasons, _ = bench.refused(bytes(octets))
    assert len(reasons) == 1


@given(data=st.data(), envelope=st.sampled_from(CIPHERED))
def test_a_truncated_frame_is_not_served(data: st.DataObject, envelope: Envelope) -> None:
    bench = BENCHES[envelope]
    octets = bench.sealed()
    size = data.draw(st.integers(0, len(octets) - 1))
    reasons, _ = bench.refused(octets[:size])
    assert reasons in ([RefusalKind.MALFORMED_APDU], [RefusalKind.UNKNOWN_APDU])


@each_envelope
def test_a_short_content_is_malformed(envelope: Envelope) -> None:
    bench = Bench(envelope)
    content = b"\x30\x00\x00\x01\x00\xaa"
    if envelope is Envelope.GENERAL:
        message: apdu.Apdu = apdu.GeneralGloCiphering(CLIENT_TITLE, content)
    else:
        message = apdu.GloApdu(0xC8, content)
    assert bench.refused(encode_apdu(message))[0] == [RefusalKind.MALFORMED_APDU]


def test_another_system_title_is_refused() -> None:
    bench = Bench(Envelope.GENERAL)
    reasons, _ = bench.refused(bench.sealed(title=b"STRANGER"))
    assert reasons == [RefusalKind.WRONG_SYSTEM_TITLE]


def test_the_envelope_of_one_service_around_another_is_refused() -> None:
    bench = Bench(Envelope.SERVICE_SPECIFIC)
    octets = bytearray(bench.sealed(apdu.ActionRequestNormal(0xC1, DISCONNECT, integer(0))))
    octets[0] = apdu.GLO_TAGS[0xC0]
    assert bench.refused(bytes(octets))[0] == [RefusalKind.WRONG_MAC]
    assert bench.premises.callers == []


def test_a_dedicated_key_that_was_not_agreed_is_refused() -> None:
    bench = Bench(Envelope.SERVICE_SPECIFIC)
    octets = bytearray(bench.sealed())
    octets[0] = apdu.DED_TAGS[0xC0]
    assert bench.refused(bytes(octets))[0] == [RefusalKind.SECURITY_NOT_SUPPORTED]


@each_envelope
@pytest.mark.parametrize(
    ("policy", "protection", "served"),
    [
        pytest.param(STRICT, AUTHENTICATED_AND_ENCRYPTED, True, id="both, both wanted"),
        pytest.param(STRICT, Protection.AUTHENTICATION, False, id="authenticated, both wanted"),
        pytest.param(LENIENT, Protection.AUTHENTICATION, True, id="authenticated, none wanted"),
        # Encryption alone proves nothing: the counter could be moved by anybody.
        pytest.param(LENIENT, Protection.ENCRYPTION, False, id="encrypted only, none wanted"),
    ],
)
def test_protection_is_held_against_the_policy(
    envelope: Envelope, policy: ClientPolicy, protection: Protection, served: bool
) -> None:
    bench = Bench(envelope, policy)
    sealed = bench.sealed(protection=protection)
    if served:
        bench.ask(sealed)
        assert isinstance(bench.wire.server_events[-1], RequestServed)
    else:
        assert bench.refused(sealed)[0] == [RefusalKind.NOT_PROTECTED_ENOUGH]


@each_envelope
def test_a_request_in_clear_is_refused_where_protection_is_wanted(envelope: Envelope) -> None:
    bench = Bench(envelope)
    reasons, answer = bench.refused(encode_apdu(GET))
    assert reasons == [RefusalKind.NOT_PROTECTED_ENOUGH]
    assert answer == exception(ServiceError.OTHER_REASON)
    bench.still_serves()


def test_a_proposal_in_clear_is_refused_where_protection_is_wanted() -> None:
    device = Premises().device()
    joined = Wire(client(gmac(Envelope.PLAIN)), server(device, policies={1: STRICT}))
    joined.client.associate(0.0)
    (failed,) = joined.run()
    assert isinstance(failed, AssociationFailed)
    assert kinds(joined.server_events) == [RefusalKind.CONTEXT_NOT_SUPPORTED]


@pytest.mark.parametrize("envelope", Envelope)
def test_before_the_third_pass_nothing_is_served(envelope: Envelope) -> None:
    bench = Bench(envelope, LENIENT)
    bench.wire = bench.connect()
    bench.wire.client.associate(0.0)
    bench.wire.server.receive_data(bench.wire.client.data_to_send(), 0.0)
    assert bench.wire.server.data_to_send()
    request = encode_apdu(GET) if envelope is Envelope.PLAIN else bench.sealed()
    assert bench.refused(request)[0] == [RefusalKind.OUT_OF_TURN]


@pytest.mark.parametrize("envelope", Envelope)
def test_a_wrong_answer_to_the_challenge_ends_the_proposal(envelope: Envelope) -> None:
    bench = Bench(envelope, LENIENT)
    joined = bench.connect()
    joined.client._random_bytes = lambda size: b"C" * size
    joined.client.associate(0.0)
    joined.server._associations.clear()
    joined.server.receive_data(joined.client.data_to_send(), 0.0)
    aare = joined.server.data_to_send()
    changed = aare.replace(b"S" * 16, b"T" * 16)
    assert changed != aare
    joined.client.receive_data(changed, 0.0)
    events = joined.run()
    assert isinstance(events[-1], AssociationFailed)
    assert events[-1].kind is RefusalKind.AUTHENTICATION_FAILED
    assert kinds(joined.server_events) == [RefusalKind.AUTHENTICATION_FAILED]
    assert joined.server._associations == {}


@each_envelope
def test_a_proposal_protected_less_than_wanted_is_refused(envelope: Envelope) -> None:
    bench = Bench(envelope)
    half = replace(gmac(envelope, bench.own), protection=Protection.AUTHENTICATION)
    joined = replace(bench.connect(), client=client(half))
    joined.client.associate(0.0)
    (failed,) = joined.run()
    assert isinstance(failed, AssociationFailed)
    assert failed.kind is RefusalKind.REFUSED_BY_PEER
    (refused,) = joined.server_events
    assert isinstance(refused, AssociationRefused)  # at the AARQ, not at the third pass
    assert refused.reason is RefusalKind.NOT_PROTECTED_ENOUGH


@each_envelope
def test_policy_may_drop_the_connection_at_a_proposal_under_another_key(
    envelope: Envelope,
) -> None:
    bench = Bench(envelope, replace(STRICT, drop_on_wrong_key=True))
    joined = bench.connect(WRONG, next_counter=1000)
    joined.client.associate(0.0)
    assert isinstance(joined.run()[0], AssociationFailed)
    assert joined.server.closed


def test_a_server_without_counters_left_ends_the_connection() -> None:
    own, devices = security(CLIENT_TITLE), security(SERVER_TITLE, next_counter=2**32 - 3)
    session = server(Premises().device(), context=devices, policies={1: STRICT})
    joined = Wire(client(gmac(Envelope.GENERAL, own)), session)
    joined.client.associate(0.0)
    joined.run()
    assert joined.server.closed
    assert kinds(joined.server_events) == [RefusalKind.COUNTER_USED_UP]


# At the client


def exchange(bench: Bench) -> bytes:
    """Let the client ask and return the server's frame before the client sees it."""
    bench.wire.client.get(CLOCK_TIME, 0.0)
    bench.wire.server.receive_data(bench.wire.client.data_to_send(), 0.0)
    return bench.wire.server.data_to_send()


def heard(session: ClientSession, frame: bytes) -> list[object]:
    session.receive_data(frame, 0.0)
    events: list[object] = []
    while (event := session.next_event()) is not None:
        events.append(event)
    return events


@each_envelope
def test_a_replayed_answer_is_refused_and_the_right_one_still_taken(envelope: Envelope) -> None:
    bench = Bench(envelope)
    old = exchange(bench)
    assert isinstance(heard(bench.wire.client, old)[0], GetResult)
    new = exchange(bench)
    (refused,) = heard(bench.wire.client, old)
    assert isinstance(refused, Refused)
    assert refused.kind is RefusalKind.REPLAYED
    assert isinstance(heard(bench.wire.client, new)[0], GetResult)


@each_envelope
def test_a_changed_answer_is_refused(envelope: Envelope) -> None:
    bench = Bench(envelope)
    frame = bytearray(exchange(bench))
    frame[-1] ^= 1
    (refused,) = heard(bench.wire.client, bytes(frame))
    assert isinstance(refused, Refused)
    assert refused.kind is RefusalKind.WRONG_MAC


@each_envelope
def test_an_answer_in_clear_is_refused_but_an_exception_is_heard(envelope: Envelope) -> None:
    bench = Bench(envelope)
    exchange(bench)
    clear = encode_apdu(apdu.GetResponseNormal(0xC1, integer(1)))
    (refused,) = heard(bench.wire.client, Wpdu(1, 1, clear).encode())
    assert isinstance(refused, Refused)
    assert refused.kind is RefusalKind.NOT_PROTECTED_ENOUGH
    told = encode_apdu(exception(ServiceError.DECIPHERING_ERROR))
    (excepted,) = heard(bench.wire.client, Wpdu(1, 1, told).encode())
    assert isinstance(excepted, ServiceRefused)


def proposal_answered(bench: Bench, change: Callable[[apdu.Aare], apdu.Aare]) -> list[object]:
    """Let a client propose, and change the AARE on its way back."""
    bench.wire = bench.connect()
    bench.wire.client.associate(0.0)
    bench.wire.server.receive_data(bench.wire.client.data_to_send(), 0.0)
    aare = decode_apdu(bench.wire.server.data_to_send()[HEADER_SIZE:])
    assert isinstance(aare, apdu.Aare)
    return heard(bench.wire.client, Wpdu(1, 1, encode_apdu(change(aare))).encode())


PLAIN_INITIATE = encode_apdu(
    apdu.InitiateResponse(conformance=apdu.Conformance.GET, max_receive_pdu_size=1024)
)


@each_envelope
@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"user_information": PLAIN_INITIATE}, RefusalKind.NOT_PROTECTED_ENOUGH),
        ({"user_information": b"\x28\x00"}, RefusalKind.MALFORMED_APDU),
        ({"responding_ap_title": None}, RefusalKind.SYSTEM_TITLE_MISSING),
        ({"responding_ap_title": b"STRANGER"}, None),
        ({"diagnostic": 0}, RefusalKind.AUTHENTICATION_FAILED),
        ({"responding_authentication_value": b"short"}, RefusalKind.AUTHENTICATION_FAILED),
    ],
)
def test_an_aare_that_lacks_what_was_agreed_is_not_believed(
    envelope: Envelope, changes: dict[str, object], kind: RefusalKind | None
) -> None:
    bench = Bench(envelope)
    (failed,) = proposal_answered(bench, lambda aare: replace(aare, **changes))  # type: ignore[arg-type]
    assert isinstance(failed, AssociationFailed)
    if kind is not None:
        assert failed.kind is kind
    assert not bench.wire.client.associated


@each_envelope
def test_an_aare_protected_less_than_agreed_is_not_believed(envelope: Envelope) -> None:
    bench = Bench(envelope)
    half = Cipher(bench.devices, CLIENT_TITLE)

    def weaken(aare: apdu.Aare) -> apdu.Aare:
        sealed, _ = half.seal(PLAIN_INITIATE, envelope, Protection.AUTHENTICATION)
        return replace(aare, user_information=sealed)

    (failed,) = proposal_answered(bench, weaken)
    assert isinstance(failed, AssociationFailed)
    assert failed.kind is RefusalKind.NOT_PROTECTED_ENOUGH


@each_envelope
def test_an_old_aare_is_not_believed(envelope: Envelope) -> None:
    bench = Bench(envelope)
    kept: list[apdu.Aare] = []

    def keep(aare: apdu.Aare) -> apdu.Aare:
        kept.append(aare)
        return aare

    assert proposal_answered(bench, keep) == []  # believed: the third pass is on its way
    (failed,) = proposal_answered(bench, lambda _aare: kept[0])
    assert isinstance(failed, AssociationFailed)
    assert failed.kind is RefusalKind.REPLAYED


@pytest.mark.parametrize("envelope", Envelope)
def test_a_server_that_cannot_prove_itself_is_not_believed(envelope: Envelope) -> None:
    bench = Bench(envelope, LENIENT)
    joined = bench.connect()
    joined.client.associate(0.0)
    joined.client._challenge = b"X" * 16  # as if the server had answered another challenge
    (failed,) = joined.run()
    assert isinstance(failed, AssociationFailed)
    assert failed.kind is RefusalKind.AUTHENTICATION_FAILED
    assert "did not prove itself" in failed.detail


# The pieces


@given(
    octets=st.binary(max_size=200).map(lambda tail: b"\xc0" + tail),
    envelope=st.sampled_from(CIPHERED),
    protection=st.sampled_from([Protection.AUTHENTICATION, AUTHENTICATED_AND_ENCRYPTED]),
)
def test_what_is_sealed_is_opened(
    octets: bytes, envelope: Envelope, protection: Protection
) -> None:
    sender = Cipher(security(CLIENT_TITLE), SERVER_TITLE)
    receiver = Cipher(security(SERVER_TITLE), CLIENT_TITLE)
    sealed, counter = sender.seal(octets, envelope, protection)
    assert len(sealed) <= len(octets) + overhead(envelope)
    message = decode_apdu(sealed)
    assert isinstance(message, (apdu.GloApdu, apdu.GeneralGloCiphering))
    opened = receiver.open(message)
    assert opened.octets == octets
    assert (opened.envelope, opened.protection) == (envelope, protection)
    assert opened.counter == counter
    with pytest.raises(ReplayError):
        receiver.open(message)


def test_an_hls_answer_is_good_once_and_for_its_challenge_only() -> None:
    sender = Cipher(security(CLIENT_TITLE), SERVER_TITLE)
    receiver = Cipher(security(SERVER_TITLE), CLIENT_TITLE)
    proof = sender.answer(b"challenge")
    with pytest.raises(SecurityError):
        receiver.check_answer(b"another challenge", proof)
    receiver.check_answer(b"challenge", proof)
    with pytest.raises(ReplayError):
        receiver.check_answer(b"challenge", proof)


def test_strangers_take_no_memory() -> None:
    counters = ReceiveCounters()
    context = replace(security(SERVER_TITLE), receive_counter=counters)
    stranger = Cipher(security(b"STRANGER", WRONG), SERVER_TITLE)
    sealed, _ = stranger.seal(encode_apdu(GET), Envelope.GENERAL, AUTHENTICATED_AND_ENCRYPTED)
    message = decode_apdu(sealed)
    assert isinstance(message, apdu.GeneralGloCiphering)
    with pytest.raises(SecurityError):
        Cipher(context, b"STRANGER").open(message)
    assert counters._counters == {}


def test_counters_can_be_kept_and_taken_up_again() -> None:
    counters = ReceiveCounters()
    counters(CLIENT_TITLE).accept(41)
    counters(b"SILENT!!")
    assert counters.snapshot() == {CLIENT_TITLE: 41}
    again = ReceiveCounters(counters.snapshot())
    assert again(CLIENT_TITLE).lowest_acceptable == 42


@pytest.mark.parametrize(
    ("title", "keys"),
    [(b"short", KEYS), (CLIENT_TITLE, SecurityKeys(b"short", KEYS.authentication))],
)
def test_a_context_that_could_open_nothing_is_refused(title: bytes, keys: SecurityKeys) -> None:
    with pytest.raises(ValueError, match="octets"):
        security(title, keys)
