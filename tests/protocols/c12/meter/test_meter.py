"""What a meter answers, request by request."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.c12.meter import (
    CONTROL_LOG,
    Clearance,
    Meter,
    MeterSettings,
    MeterSwitches,
    Passwords,
)
from protocols.c12.services import (
    Authenticate,
    DefaultRead,
    Deregister,
    Dialect,
    FullRead,
    FullWrite,
    Identify,
    IndexRead,
    IndexWrite,
    Logoff,
    Logon,
    LogonBody,
    OffsetRead,
    OffsetWrite,
    ReadBody,
    Request,
    Response,
    ResponseCode,
    Security,
    SizeLimitBody,
    Terminate,
    Wait,
)
from protocols.plugin import Credentials
from tests.support.c12_meter_model import AnsiConcentrator, granted, logged

CREDENTIALS: Final = Credentials(b"T", b"", b"", b"open sesame")
FULL, READ = b"open sesame".ljust(20), b"just looking".ljust(20)
PASSWORDS: Final = Passwords.of(CREDENTIALS, read=b"just looking")
LOGON: Final = Logon(7, b"READER    ", 60)
OK, ISC, ONP = (
    ResponseCode.OK,
    ResponseCode.INSUFFICIENT_SECURITY_CLEARANCE,
    ResponseCode.OPERATION_NOT_POSSIBLE,
)
IAR = ResponseCode.INAPPROPRIATE_ACTION_REQUESTED
ISSS = ResponseCode.INVALID_SERVICE_SEQUENCE_STATE
BLOCK = 4 + 5 * 8 + 3 + 5 * 4


def session(model: AnsiConcentrator, dialect: Dialect = Dialect.C12_22) -> Meter:
    """Return a meter with which nobody has logged on."""
    return Meter(model, 1, PASSWORDS, dialect=dialect)


def ask(meter: Meter, request: Request) -> ResponseCode:
    return meter.handle(request, now=0.0).code


def data(response: Response) -> bytes:
    assert response.code is OK
    return ReadBody.decode(response.body).data


class TestSessions:
    """Who is logged on, and what that allows."""

    def test_nothing_is_told_before_logon(self) -> None:
        meter = session(AnsiConcentrator())
        for request in (FullRead(0), FullWrite(5, bytes(20)), Security(FULL), Logoff()):
            assert ask(meter, request) is ISSS

    def test_logon_alone_shows_the_public_tables(self) -> None:
        meter = session(AnsiConcentrator())
        assert meter.handle(LOGON, now=0.0) == Response(OK, LogonBody(60).encode())
        assert ask(meter, FullRead(0)) is OK
        assert ask(meter, FullRead(1)) is OK
        assert ask(meter, FullRead(23)) is ISC
        assert ask(meter, FullWrite(5, bytes(20))) is ISC

    def test_in_c12_18_logon_answers_with_nothing_more(self) -> None:
        meter = session(AnsiConcentrator(), Dialect.C12_18)
        assert meter.handle(Logon(2, b"0000      "), now=0.0) == Response(OK)

    def test_the_password_for_reading_reads_and_the_other_writes(self) -> None:
        meter = session(AnsiConcentrator())
        ask(meter, LOGON)
        assert ask(meter, Security(READ)) is OK
        assert ask(meter, FullRead(23)) is OK
        assert ask(meter, FullWrite(5, bytes(20))) is ISC
        assert ask(meter, Security(FULL)) is OK
        assert ask(meter, FullWrite(5, bytes(20))) is OK

    @pytest.mark.parametrize("wrong", [bytes(20), b" " * 20, FULL[:-1] + b"x", b""])
    def test_a_wrong_password_takes_away_what_a_right_one_gave(self, wrong: bytes) -> None:
        meter = session(AnsiConcentrator())
        ask(meter, LOGON)
        ask(meter, Security(FULL))
        assert ask(meter, Security(wrong)) is ISC
        assert ask(meter, FullRead(23)) is ISC

    def test_there_is_no_password_by_default(self) -> None:
        meter = Meter(AnsiConcentrator(), 1, Passwords.of(Credentials(b"T", b"", b"", b"")))
        ask(meter, LOGON)
        for guess in (b"", bytes(20), b" " * 20):
            assert ask(meter, Security(guess)) is ISC

    def test_nobody_logs_on_twice(self) -> None:
        meter = session(AnsiConcentrator())
        assert ask(meter, LOGON) is OK
        assert ask(meter, LOGON) is ISSS

    def test_logoff_and_the_end_of_the_session_forget_who_it_was(self) -> None:
        meter = session(AnsiConcentrator())
        for end in (lambda: ask(meter, Logoff()), meter.session_ended):
            ask(meter, LOGON)
            ask(meter, Security(FULL))
            end()
            assert ask(meter, FullRead(0)) is ISSS

    def test_whoever_was_logged_on_is_not_named_afterwards(self) -> None:
        meter = granted(AnsiConcentrator(), 1)
        ask(meter, LOGON)
        meter.session_ended()
        ask(meter, FullWrite(5, bytes(20)))
        entry = data(meter.handle(IndexRead(74, (5, 1), 1), now=0.0))
        assert entry[6:8] == bytes(2)

    def test_a_ticket_that_the_server_found_right_gives_everything(self) -> None:
        meter = session(AnsiConcentrator(), Dialect.C12_21)
        assert ask(meter, Authenticate(0, bytes(8))) is ISSS
        ask(meter, LOGON)
        assert ask(meter, Authenticate(0, bytes(8))) is OK
        assert ask(meter, FullWrite(5, bytes(20))) is OK

    def test_where_the_network_vouches_no_logon_is_needed(self) -> None:
        reader = Meter(AnsiConcentrator(), 1, PASSWORDS, granted=Clearance.READ)
        assert ask(reader, FullRead(23)) is OK
        assert ask(reader, FullWrite(5, bytes(20))) is ISC
        assert ask(reader, Security(FULL, user_id=3)) is OK
        assert ask(reader, FullWrite(5, bytes(20))) is OK

    @pytest.mark.parametrize("request_", [Identify(), Terminate(), Wait(3), Deregister(b"\x80\0")])
    def test_what_belongs_to_the_link_or_a_relay_is_not_served(self, request_: Request) -> None:
        meter = granted(AnsiConcentrator(), 1)
        assert ask(meter, request_) is ResponseCode.SERVICE_NOT_SUPPORTED

    def test_no_secret_shows(self) -> None:
        assert "sesame" not in repr(PASSWORDS)


class TestReading:
    """Whole, by offset, by index, the default table."""

    @pytest.mark.parametrize("table", [0, 1, 5, 23, 61, 63, 64, 74, 76, CONTROL_LOG])
    def test_parts_by_offset_are_those_of_the_whole(self, table: int) -> None:
        meter = granted(AnsiConcentrator(intervals=1000), 1)
        whole = data(meter.handle(FullRead(table), now=0.0))
        size = len(whole)
        for offset, count in ((0, size), (0, 1), (size - 1, 1), (size, 0), (size // 3, size // 2)):
            part = data(meter.handle(OffsetRead(table, offset, count), now=0.0))
            assert part == whole[offset : offset + count]

    @pytest.mark.parametrize(("offset", "count"), [(0, 21), (20, 1), (21, 0), (0xFFFFFF, 0xFFFF)])
    def test_past_the_end_of_a_table_nothing_is_read(self, offset: int, count: int) -> None:
        assert ask(granted(AnsiConcentrator(), 1), OffsetRead(5, offset, count)) is ONP

    def test_elements_are_read_by_index(self) -> None:
        meter = granted(AnsiConcentrator(), 1)
        whole = data(meter.handle(FullRead(64), now=0.0))
        two = data(meter.handle(IndexRead(64, (0, 570), 2), now=0.0))
        assert two == whole[570 * BLOCK :][: 2 * BLOCK]
        readings = data(meter.handle(IndexRead(64, (0, 570, 1), 1), now=0.0))
        assert readings == two[4:44]
        serial = data(meter.handle(IndexRead(1, (6,), 1), now=0.0))
        assert serial == b"MST0000000000002"

    @pytest.mark.parametrize(
        ("table", "indexes", "count"),
        [(64, (1,), 1), (64, (0, 960), 1), (64, (0, 959), 2), (5, (0, 0), 1), (5, (0,), 0)],
    )
    def test_an_index_that_is_not_there(
        self, table: int, indexes: tuple[int, ...], count: int
    ) -> None:
        assert ask(granted(AnsiConcentrator(), 1), IndexRead(table, indexes, count)) is ONP

    def test_a_list_without_a_fixed_length_has_no_indexes(self) -> None:
        assert ask(granted(AnsiConcentrator(), 1), IndexRead(CONTROL_LOG, (0,), 1)) is ONP

    def test_the_default_table_is_the_identification(self) -> None:
        meter = granted(AnsiConcentrator(), 1)
        assert meter.handle(DefaultRead(), now=0.0) == meter.handle(FullRead(1), now=0.0)

    @pytest.mark.parametrize("table", [2, 24, 65, 77, 2048, 2051, 4095, 0xFFFF])
    def test_a_table_that_does_not_exist(self, table: int) -> None:
        meter = granted(AnsiConcentrator(), 1)
        for request in (FullRead(table), OffsetRead(table, 0, 1), FullWrite(table, b"")):
            assert ask(meter, request) is IAR

    def test_an_answer_that_would_be_too_large_says_what_would_do(self) -> None:
        small = MeterSettings(max_read=1000)
        meter = Meter(AnsiConcentrator(), 1, PASSWORDS, granted=Clearance.FULL, settings=small)
        limit = Response(ResponseCode.RESPONSE_TOO_LARGE, SizeLimitBody(1000).encode())
        assert meter.handle(FullRead(64), now=0.0) == limit
        assert meter.handle(OffsetRead(64, 0, 1001), now=0.0) == limit
        assert ask(meter, OffsetRead(64, 0, 1000)) is OK

    def test_where_there_is_no_such_answer_it_is_not_possible(self) -> None:
        small = MeterSettings(max_read=1000)
        meter = Meter(
            AnsiConcentrator(),
            1,
            PASSWORDS,
            granted=Clearance.FULL,
            dialect=Dialect.C12_18,
            settings=small,
        )
        assert meter.handle(FullRead(64), now=0.0) == Response(ONP)

    def test_only_blocks_read_whole_are_handed_over(self) -> None:
        model = AnsiConcentrator()
        meter = granted(model, 1)
        first = 569 * BLOCK
        meter.handle(OffsetRead(64, first + 1, 3 * BLOCK), now=0.0)
        times = [batch.captured_at_s.tolist() for batch in model.handed]
        heard = model.buffer(0, 1 << 40, range(1, 2)).captured_at_s.tolist()
        assert times == [heard[1:3]]
        assert set(model.handed[0].meter_ids.tolist()) == {b"MST0000000000002"}


class TestWriting:
    """Programmable tables keep what was written, the others refuse."""

    def test_what_was_written_reads_back_in_every_session(self) -> None:
        model = AnsiConcentrator()
        assert ask(granted(model, 1), FullWrite(5, b"HOUSE 12".ljust(20))) is OK
        again = granted(model, 1).handle(FullRead(5), now=0.0)
        assert data(again) == b"HOUSE 12".ljust(20)
        other = granted(model, 2).handle(FullRead(5), now=0.0)
        assert data(other).startswith(b"MST0000000000003")

    def test_a_part_is_written_by_offset_and_by_index(self) -> None:
        meter = granted(AnsiConcentrator(), 1)
        assert ask(meter, OffsetWrite(6, 40, b"X" * 20)) is OK
        assert ask(meter, IndexWrite(6, (3,), b"Y" * 40)) is OK
        written = data(meter.handle(OffsetRead(6, 38, 64), now=0.0))
        assert written == bytes(2) + b"X" * 20 + b"Y" * 40 + bytes(2)

    @pytest.mark.parametrize(
        "request_",
        [
            FullWrite(5, bytes(19)),
            FullWrite(5, bytes(21)),
            OffsetWrite(5, 1, bytes(20)),
            IndexWrite(6, (3,), bytes(19)),
            IndexWrite(6, (3,), b""),
            IndexWrite(6, (99,), bytes(20)),
            FullWrite(7, b"\0"),
            OffsetWrite(7, 1, bytes(3)),
            IndexWrite(7, (0,), bytes(2)),
        ],
    )
    def test_what_does_not_fit_is_not_written(self, request_: Request) -> None:
        model = AnsiConcentrator()
        assert ask(granted(model, 1), request_) is ONP
        assert not model.meter_state(1).written

    @pytest.mark.parametrize("table", [0, 1, 3, 8, 23, 64, 74, 76, CONTROL_LOG])
    def test_a_table_that_is_only_read(self, table: int) -> None:
        assert ask(granted(AnsiConcentrator(), 1), FullWrite(table, bytes(4))) is IAR

    def test_the_history_names_the_user(self) -> None:
        model = AnsiConcentrator()
        meter = session(model)
        ask(meter, LOGON)
        ask(meter, Security(FULL))
        ask(meter, FullWrite(5, bytes(20)))
        # Header, then element 1: time, sequence, user 7, code 10, table 5.
        entry = data(meter.handle(IndexRead(74, (5, 1), 1), now=0.0))
        assert entry[4:] == bytes.fromhex("0100 0700 0a00 05000000")


class TestNotJustNow:
    """Busy, not ready, locked."""

    def test_a_busy_meter_answers_so_to_everything_about_tables(self) -> None:
        model = AnsiConcentrator()
        meter = session(model)
        model.meter_state(1).busy = True
        assert ask(meter, LOGON) is ResponseCode.DEVICE_BUSY
        model.meter_state(1).busy = False
        ask(meter, LOGON)
        ask(meter, Security(FULL))
        model.meter_state(1).busy = True
        for request in (FullRead(0), FullRead(64), FullWrite(5, bytes(20))):
            assert ask(meter, request) is ResponseCode.DEVICE_BUSY
        assert ask(meter, Logoff()) is OK

    def test_data_that_is_not_ready(self) -> None:
        model = AnsiConcentrator()
        model.meter_state(1).ready = False
        meter = granted(model, 1)
        assert ask(meter, FullRead(3)) is OK
        for table in (23, 63, 64, 76):
            assert ask(meter, FullRead(table)) is ResponseCode.DATA_NOT_READY

    def test_data_that_is_locked(self) -> None:
        model = AnsiConcentrator()
        model.meter_state(1).locked = True
        meter = granted(model, 1)
        assert ask(meter, FullRead(3)) is OK
        for request in (FullRead(23), FullRead(64), FullWrite(5, bytes(20))):
            assert ask(meter, request) is ResponseCode.DATA_LOCKED
        assert ask(granted(model, 2), FullRead(64)) is OK


def test_where_sources_differ_answers_are_switches() -> None:
    switches = MeterSwitches(unknown_table=ONP, read_only_table=ISC, outside_table=IAR)
    meter = Meter(
        AnsiConcentrator(),
        1,
        PASSWORDS,
        granted=Clearance.FULL,
        settings=MeterSettings(switches=switches),
    )
    assert ask(meter, FullRead(999)) is ONP
    assert ask(meter, FullWrite(0, b"")) is ISC
    assert ask(meter, OffsetRead(5, 99, 1)) is IAR


octets = st.binary(max_size=40)
tables = st.one_of(
    st.sampled_from([0, 1, 3, 5, 6, 7, 8, 11, 16, 22, 23, 25, 28, 55, 62, 63, 64, 74, 76, 2049]),
    st.integers(0, 0xFFFF),
)
indexes = st.lists(st.integers(0, 12), min_size=1, max_size=9).map(tuple)
requests = st.one_of(
    st.builds(FullRead, tables),
    st.builds(OffsetRead, tables, st.integers(0, 0xFFFFFF), st.integers(0, 0xFFFF)),
    st.builds(OffsetRead, tables, st.integers(0, 200), st.integers(0, 200)),
    st.builds(IndexRead, tables, indexes, st.integers(0, 0xFFFF)),
    st.builds(IndexRead, tables, indexes, st.integers(0, 3)),
    st.builds(FullWrite, tables, octets),
    st.builds(FullWrite, st.just(7), octets),
    st.builds(OffsetWrite, tables, st.integers(0, 0xFFFFFF), octets),
    st.builds(OffsetWrite, tables, st.integers(0, 40), octets),
    st.builds(IndexWrite, tables, indexes, octets),
    st.builds(DefaultRead),
    st.builds(Logon, st.integers(0, 0xFFFF), st.binary(min_size=10, max_size=10)),
    st.builds(Security, st.sampled_from([FULL, READ, bytes(20)])),
    st.just(Logoff()),
)


@settings(deadline=None)
@given(st.lists(requests, max_size=12), st.sampled_from([None, Clearance.READ, Clearance.FULL]))
def test_whatever_is_asked_the_answer_is_a_standard_one(
    asked: list[Request], clearance: Clearance | None
) -> None:
    model = AnsiConcentrator(raised=[logged(1, 2, 47, 1)])
    meter = Meter(model, 1, PASSWORDS, granted=clearance)
    for request in asked:
        response = meter.handle(request, now=0.0)
        assert isinstance(response.code, ResponseCode)
        reads = isinstance(request, FullRead | OffsetRead | IndexRead | DefaultRead)
        if reads and response.code is OK:
            ReadBody.decode(response.body)
        elif not isinstance(request, Logon):
            assert response.body == b""


procedure_numbers = st.one_of(
    st.sampled_from([*range(33), 2048 + 1, 2048 + 2]), st.integers(0, 0xFFFF)
)


@settings(deadline=None)
@given(procedure_numbers, st.integers(0, 255), octets)
def test_whatever_procedure_is_asked_for_table_8_has_an_answer(
    number: int, sequence: int, parameters: bytes
) -> None:
    meter = granted(AnsiConcentrator(), 1)
    written = number.to_bytes(2, "little") + bytes([sequence]) + parameters
    assert ask(meter, FullWrite(7, written)) is OK
    selector = number >> 12
    answer = meter.handle(FullRead(8), now=0.0)
    if selector == 2 or answer.code is ResponseCode.DATA_NOT_READY:
        assert selector in (1, 2)
    else:
        assert data(answer)[:3] == written[:3]
        assert data(answer)[3] in range(7)
