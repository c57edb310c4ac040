"""A client: what it sends, what it believes, how it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.c12.psem import (
    C12_18,
    C12_21,
    C12_21_DEVICE,
    Answered,
    Authentication,
    Control,
    Failed,
    Fault,
    LinkOptions,
    Packet,
    Procedure,
    ProcedureAnswered,
    ProcedureResponse,
    PsemClient,
    PsemServer,
    Refused,
)
from protocols.c12.services import (
    Dialect,
    FullRead,
    FullWrite,
    Identify,
    IdentifyBody,
    LogonBody,
    Negotiate,
    NegotiateBody,
    OffsetRead,
    ReadBody,
    Response,
    ResponseCode,
    Security,
    Terminate,
    TimingSetup,
    TimingSetupBody,
    Wait,
)
from protocols.errors import CodecError, LocalProtocolError
from tests.protocols.c12.psem.line import Line, Tables

ACK = b"\x06"
KEY = bytes.fromhex("133457799bbcdff1")
Ask = Callable[[PsemClient, float], None]

ASKS: list[tuple[Ask, str]] = [
    (lambda c, now: c.identify(now), "20"),
    (lambda c, now: c.negotiate(now), "60 0400 10"),
    (lambda c, now: c.negotiate(now, baud_codes=b"\x06\x0a"), "62 0400 10 060a"),
    (lambda c, now: c.set_timing(TimingSetup(30, 1, 4, 3), now), "71 1e 01 04 03"),
    (lambda c, now: c.wait(60, now), "70 3c"),
    (lambda c, now: c.logon(2, b"0000", now), "50 0002 30303030202020202020"),
    (lambda c, now: c.security(b"pw", now), "51 7077" + "20" * 18),
    (lambda c, now: c.read(1, now), "30 0001"),
    (lambda c, now: c.read_part(1, 4, 8, now), "3f 0001 000004 0008"),
    (lambda c, now: c.read_elements(1, (4,), 8, now), "31 0001 0004 0008"),
    (lambda c, now: c.write(5, b"\x01", now), "40 0005 0001 01 ff"),
    (lambda c, now: c.write_part(5, 3, b"\x01", now), "4f 0005 000003 0001 01 ff"),
    (lambda c, now: c.write_elements(5, (3,), b"\x01", now), "41 0005 0003 0001 01 ff"),
    (lambda c, now: c.run_procedure(Procedure(3, 0), now), "40 0007 0003 030000 fd"),
    (lambda c, now: c.logoff(now), "52"),
    (lambda c, now: c.terminate(now), "21"),
    (lambda c, now: c.disconnect(now), "22"),
]


@pytest.mark.parametrize(("ask", "octets"), ASKS, ids=[octets for _, octets in ASKS])
def test_octets_of_everything_it_asks(ask: Ask, octets: str) -> None:
    client = PsemClient(dialect=Dialect.C12_21)
    ask(client, 0.0)
    sent = Packet.decode(client.data_to_send())
    assert sent == Packet(bytes.fromhex(octets))
    with pytest.raises(LocalProtocolError):
        ask(client, 0.0)


def answer(client: PsemClient, octets: str, *, toggle: bool = False, now: float = 0.0) -> bytes:
    """Acknowledge what was sent and answer with ``octets``; return what is sent then."""
    client.data_to_send()
    packet = Packet(bytes.fromhex(octets), Control(toggle=toggle))
    client.receive_data(ACK + packet.encode(), now)
    return client.data_to_send()


def test_the_published_first_exchange() -> None:
    client = PsemClient()
    client.identify(0.0)
    assert client.data_to_send().hex() == "ee0000000001201310"
    client.receive_data(bytes.fromhex("06ee00000000050000020000a25a"), 0.1)
    assert client.data_to_send() == ACK
    assert client.next_event() == Answered(Identify(), IdentifyBody(0, 2, 0))
    assert client.deadline is None
    assert not client.faults


def test_a_refusal_leaves_the_session() -> None:
    client = PsemClient()
    client.read(1, 0.0)
    answer(client, "03")
    code = ResponseCode.INSUFFICIENT_SECURITY_CLEARANCE
    assert client.next_event() == Refused(FullRead(1), Response(code))
    assert client.faults == {Fault.REFUSED: 1}
    client.read(1, 1.0)


@pytest.mark.parametrize("code", [code for code in ResponseCode if code is not ResponseCode.OK])
def test_every_code_is_told(code: ResponseCode) -> None:
    client = PsemClient()
    client.read(1, 0.0)
    answer(client, f"{code:02x}00000040")
    assert client.next_event() == Refused(FullRead(1), Response(code, b"\x00\x00\x00\x40"))


WRONG: list[tuple[Ask, str]] = [
    (lambda c, now: c.read(1, now), "00"),
    (lambda c, now: c.read(1, now), "00 0001 01 00"),
    (lambda c, now: c.read(1, now), "00 0002 01 ff"),
    (lambda c, now: c.read(1, now), "00 0001 01 ff 00"),
    (lambda c, now: c.read(1, now), "13"),
    (lambda c, now: c.read(1, now), "ff"),
    (lambda c, now: c.read_part(1, 0, 1, now), "00 0002 0101 fe"),
    (lambda c, now: c.write(5, b"", now), "00 00"),
    (lambda c, now: c.identify(now), "00 00 02 00"),
    (lambda c, now: c.identify(now), "00"),
    (lambda c, now: c.negotiate(now), "00 003f 01 06"),
    (lambda c, now: c.negotiate(now), "00 2000 01 06"),
    (lambda c, now: c.negotiate(now), "00 0040 00 06"),
    (lambda c, now: c.logon(1, b"", now), "00 003c"),
    (lambda c, now: c.terminate(now), "00 00"),
    (lambda c, now: c.set_timing(TimingSetup(30, 1, 4, 3), now), "00 1e 01 04"),
]


@pytest.mark.parametrize(("ask", "octets"), WRONG, ids=[octets for _, octets in WRONG])
def test_an_answer_that_is_none_ends_the_session(ask: Ask, octets: str) -> None:
    client = PsemClient(dialect=Dialect.C12_21)
    ask(client, 0.0)
    answer(client, octets)
    event = client.next_event()
    assert isinstance(event, Failed)
    assert event.fault is Fault.WRONG_ANSWER
    assert client.closed
    assert client.deadline is None
    assert client.faults == {Fault.WRONG_ANSWER: 1}
    with pytest.raises(LocalProtocolError):
        ask(client, 1.0)


def test_an_answer_nobody_asked_for_is_counted_and_forgotten() -> None:
    client = PsemClient()
    client.receive_data(Packet(b"\x00").encode(), 0.0)
    assert client.next_event() is None
    assert client.faults == {Fault.WRONG_ANSWER: 1}


@pytest.mark.parametrize(("options", "end"), [(C12_18, 8.0), (C12_21, 16.0)])
def test_no_acknowledgement_ends_the_session(options: LinkOptions, end: float) -> None:
    client = PsemClient(options=options)
    client.identify(0.0)
    now, sent = 0.0, 0
    while client.deadline is not None:
        sent += len(client.data_to_send()) // 9
        now = client.deadline
        client.handle_deadline(now)
    assert (now, sent) == (end, 4)
    event = client.next_event()
    assert isinstance(event, Failed)
    assert (event.request, event.fault) == (Identify(), Fault.LINK_FAILED)


def test_half_a_request_acknowledged_leaves_the_wait_to_the_link() -> None:
    client = PsemClient()
    client.negotiate(0.0)
    answer(client, "00 0040 02 06")
    client.next_event()
    client.write(5, bytes(60), 10.0)
    client.receive_data(ACK, 10.0)
    while client.deadline is not None:
        now = client.deadline
        client.handle_deadline(now)
    event = client.next_event()
    assert isinstance(event, Failed)
    assert (now, event.fault) == (18.0, Fault.LINK_FAILED)


def test_an_acknowledgement_and_then_silence_ends_the_session() -> None:
    client = PsemClient()
    client.identify(0.0)
    client.receive_data(ACK, 1.0)
    assert client.deadline == 7.0
    client.handle_deadline(7.0)
    event = client.next_event()
    assert isinstance(event, Failed)
    assert event.fault is Fault.TRAFFIC_TIMEOUT


def test_the_transport_s_end_tells_what_was_asked() -> None:
    client = PsemClient()
    client.read(1, 0.0)
    client.receive_eof()
    client.receive_eof()
    event = client.next_event()
    assert isinstance(event, Failed)
    assert (event.request, event.fault) == (FullRead(1), Fault.TRANSPORT_CLOSED)
    assert client.next_event() is None


def test_an_answer_larger_than_offered_ends_the_session() -> None:
    client = PsemClient(options=replace(C12_18, packets=1))
    client.read(1, 0.0)
    for sequence in (1, 0):
        control = Control(multiple=True, first=bool(sequence), toggle=not sequence)
        client.receive_data(Packet(b"\x00", control, sequence).encode(), 0.0)
    event = client.next_event()
    assert isinstance(event, Failed)
    assert event.fault is Fault.OVERSIZED_MESSAGE


def test_a_request_too_large_for_the_link_is_our_mistake_and_changes_nothing() -> None:
    client = PsemClient()
    with pytest.raises(LocalProtocolError):
        client.write(5, bytes(100), 0.0)
    with pytest.raises(CodecError):
        client.read(0x10000, 0.0)
    client.identify(0.0)
    assert Packet.decode(client.data_to_send()) == Packet(b"\x20")


def test_a_ticket_must_be_there_before_it_is_encrypted() -> None:
    client = PsemClient(dialect=Dialect.C12_21)
    with pytest.raises(LocalProtocolError):
        client.authenticate(0, KEY, 0.0)


@pytest.mark.parametrize("sequence", ["21", "22"])
def test_table_8_about_another_procedure_is_no_answer(sequence: str) -> None:
    client = PsemClient()
    client.run_procedure(Procedure(10, 0x21), 0.0)
    answer(client, "00")
    # Procedure 10, this sequence number, result 0; checksum over the four octets.
    checksum = -(10 + int(sequence, 16)) & 0xFF
    answer(client, f"00 0004 0a00{sequence}00 {checksum:02x}", toggle=True)
    event = client.next_event()
    if sequence == "21":
        done = ProcedureResponse(0, b"")
        assert event == ProcedureAnswered(Procedure(10, 0x21), done)
    else:
        assert isinstance(event, Failed)
        assert event.fault is Fault.WRONG_ANSWER


def test_a_procedure_refused_at_the_write_is_told_as_the_write() -> None:
    client = PsemClient()
    client.run_procedure(Procedure(10, 1), 0.0)
    answer(client, "03")
    event = client.next_event()
    assert isinstance(event, Refused)
    assert event.request == FullWrite(7, bytes.fromhex("0a0001"))


# Both ends together, over a line that does no harm.


def line(key: bytes = KEY) -> tuple[Line, Tables]:
    tables = Tables({1: bytes(range(32)), 5: b"old id", 64: bytes(range(256)) * 4})
    options = replace(C12_21_DEVICE, authentication=Authentication(keys={1: key}))
    server = PsemServer(tables, random_bytes=lambda size: bytes(range(size)), options=options)
    return Line(PsemClient(dialect=Dialect.C12_21, options=C12_21), server), tables


def test_a_whole_session() -> None:
    it, tables = line()
    client = it.client

    def ask(what: Ask) -> object:
        what(client, it.now)
        return it.run()

    assert isinstance(ask(lambda c, now: c.identify(now)), Answered)
    assert ask(lambda c, now: c.set_timing(TimingSetup(20, 1, 3, 2), now)) == Answered(
        TimingSetup(20, 1, 3, 2), TimingSetupBody(20, 1, 3, 2)
    )
    assert ask(lambda c, now: c.negotiate(now)) == Answered(
        Negotiate(1024, 16), NegotiateBody(1024, 16, 6)
    )
    logon = ask(lambda c, now: c.logon(2, b"0000", now))
    assert isinstance(logon, Answered)
    assert logon.body == LogonBody()
    assert isinstance(ask(lambda c, now: c.authenticate(1, KEY, now)), Answered)
    assert ask(lambda c, now: c.security(b"", now)) == Answered(Security(b" " * 20), None)
    assert ask(lambda c, now: c.read(64, now)) == Answered(
        FullRead(64), ReadBody(tables.tables[64])
    )
    assert ask(lambda c, now: c.read_part(1, 4, 8, now)) == Answered(
        OffsetRead(1, 4, 8), ReadBody(bytes(range(4, 12)))
    )
    ask(lambda c, now: c.write(5, b"new id", now))
    ask(lambda c, now: c.write_part(5, 4, b"ID", now))
    assert tables.tables[5] == b"new ID"
    call = Procedure(10, 0x42, b"abc")
    assert ask(lambda c, now: c.run_procedure(call, now)) == ProcedureAnswered(
        call, ProcedureResponse(0, b"cba")
    )
    assert ask(lambda c, now: c.wait(60, now)) == Answered(Wait(60), None)
    it.now += 55.0
    assert isinstance(ask(lambda c, now: c.read(99, now)), Refused)
    assert isinstance(ask(lambda c, now: c.logoff(now)), Answered)
    assert ask(lambda c, now: c.terminate(now)) == Answered(Terminate(), None)
    assert client.closed
    assert not it.server.faults
    assert client.faults == {Fault.REFUSED: 1}


def test_a_device_that_does_not_know_the_key_is_found_out() -> None:
    it, _ = line(key=bytes(8))
    it.client.identify(it.now)
    it.run()
    it.client.authenticate(1, KEY, it.now)
    assert isinstance(it.run(), Refused)


def test_a_device_that_takes_any_ticket_is_found_out() -> None:
    client = PsemClient(dialect=Dialect.C12_21)
    client.identify(0.0)
    answer(client, "00 02 01 00 02 01 00 08 0102030405060708 00")
    client.next_event()
    client.authenticate(1, KEY, 0.0)
    answer(client, "00 09 01 0000000000000000", toggle=True)
    event = client.next_event()
    assert isinstance(event, Failed)
    assert event.fault is Fault.AUTHENTICATION_FAILED
    assert client.closed


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_any_octets_raise_nothing(pieces: list[bytes]) -> None:
    client = PsemClient()
    client.read(1, 0.0)
    for number, piece in enumerate(pieces):
        client.receive_data(piece, number * 0.1)
        client.data_to_send()
    while (now := client.deadline) is not None:
        client.handle_deadline(now)
        assert client.deadline is None or client.deadline > now
    assert isinstance(client.next_event(), Failed | Refused)


@given(st.binary(max_size=60))
def test_any_answer_is_one_event(body: bytes) -> None:
    client = PsemClient()
    client.read(1, 0.0)
    client.receive_data(ACK + Packet(b"\x00" + body).encode(), 0.0)
    event = client.next_event()
    assert isinstance(event, Failed) or (
        isinstance(event, Answered)
        and isinstance(event.body, ReadBody)
        and event.body.encode() == body
    )
