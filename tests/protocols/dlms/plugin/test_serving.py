from __future__ import annotations

import math
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.dlms.apdu import (
    ActionResult,
    CosemAttributeDescriptor,
    CosemMethodDescriptor,
    DataAccessResult,
    MechanismName,
    SelectiveAccess,
)
from protocols.dlms.client import (
    ActionAnswer,
    Associated,
    AssociationFailed,
    ClientEvent,
    ClientSession,
    ClientSettings,
    GetResult,
    SetResult,
)
from protocols.dlms.clock import decode_date_time, encode_date_time
from protocols.dlms.concentrator_profile import PUSH_SETUP
from protocols.dlms.cosem.profile import CaptureObject, by_entry, by_range
from protocols.dlms.data import (
    Data,
    DataType,
    boolean,
    double_long_unsigned,
    enum,
    integer,
    long_unsigned,
    octet_string,
    structure,
    unsigned,
)
from protocols.dlms.plugin import addresses, meter_address
from protocols.dlms.plugin.interval_buffer import CLOCK_COLUMN, NAME_COLUMN, STATUS_COLUMN
from protocols.plugin import ServedSession, SessionOptions
from tests.protocols.dlms.plugin.conversation import Place
from tests.support.concentrator_model import (
    CREDENTIALS,
    FIRST_S,
    HEAD_END,
    NAME,
    REGISTERS,
    STEP_S,
    TITLE,
    MemoryConcentrator,
)

PUBLIC: Final = 16
MANAGEMENT: Final = 1
LLS: Final = SessionOptions(authentication="lls", protection="clear")
NONE: Final = SessionOptions(authentication="none", protection="clear")
LAST_S: Final = FIRST_S + 7 * STEP_S


class Client:
    """A client of the DLMS layer, in the clear, so that it can ask for anything."""

    def __init__(self, served: ServedSession, client_sap: int, server_sap: int = 1) -> None:
        public = client_sap == PUBLIC
        settings = ClientSettings(
            client_sap,
            server_sap,
            mechanism=MechanismName.LOWEST if public else MechanismName.LLS,
            secret=CREDENTIALS.secret,
        )
        self.served = served
        self.session = ClientSession(settings, random_bytes=bytes)
        self.session.associate(0.0)
        self.associated = self.event()

    def event(self) -> ClientEvent | None:
        while octets := self.session.data_to_send():
            self.served.receive_data(octets, now=0.0)
            self.session.receive_data(self.served.data_to_send(), 0.0)
        return self.session.next_event()

    def get(
        self, class_id: int, name: bytes, attribute: int, access: SelectiveAccess | None = None
    ) -> object:
        descriptor = CosemAttributeDescriptor(class_id, name, attribute)
        self.session.get(descriptor, 0.0, access=access)
        event = self.event()
        assert isinstance(event, GetResult)
        return event.value

    def act(self, class_id: int, name: bytes, method: int, parameters: Data) -> object:
        self.session.action(CosemMethodDescriptor(class_id, name, method), 0.0, parameters)
        event = self.event()
        assert isinstance(event, ActionAnswer)
        return event.result

    def set_time(self, posix_s: float) -> object:
        clock = CosemAttributeDescriptor(8, addresses.CLOCK, 2)
        self.session.set(clock, octet_string(encode_date_time(posix_s)), 0.0)
        event = self.event()
        assert isinstance(event, SetResult)
        return event.result

    def rows(self, name: bytes, access: SelectiveAccess | None = None) -> list[list[object]]:
        value = self.get(7, name, 2, access)
        assert isinstance(value, Data), value
        return [[plain(field) for field in plain(row)] for row in plain(value)]


def plain(data: Data) -> Any:
    """Return a value without its type; date-times as POSIX seconds."""
    value = data.value
    if isinstance(value, bytes) and len(value) == 12:
        return decode_date_time(value)
    return value


def management(place: Place | None = None, sap: int = MANAGEMENT) -> Client:
    place = place or Place(options=LLS)
    return Client(place.served(), sap)


def meter(number: int, place: Place | None = None, sap: int = MANAGEMENT) -> Client:
    place = place or Place(options=LLS)
    return Client(place.served(), sap, meter_address(number))


# The management logical device


def test_the_management_device_names_itself_and_its_meters() -> None:
    names = [octet_string(b"MST%013d" % (number + 1)) for number in range(3)]
    saps = [structure(long_unsigned(256 + number), name) for number, name in enumerate(names)]
    channels = [structure(name, long_unsigned(256 + number)) for number, name in enumerate(names)]
    for client in (management(), management(sap=PUBLIC)):
        assert client.get(1, bytes.fromhex("00002a0000ff"), 2) == octet_string(NAME)
        assert client.get(17, addresses.SAP_ASSIGNMENT, 2) == Data(
            DataType.ARRAY, (structure(long_unsigned(1), octet_string(NAME)), *saps)
        )
        assert client.get(1, addresses.METER_LIST, 2) == structure(
            octet_string(NAME), Data(DataType.ARRAY, tuple(channels))
        )


def test_the_public_client_sees_clock_names_and_lists_and_nothing_else() -> None:
    client = management(sap=PUBLIC)
    time = client.get(8, addresses.CLOCK, 2)
    assert isinstance(time, Data)
    assert plain(time) == LAST_S + 30
    denied = DataAccessResult.SCOPE_OF_ACCESS_VIOLATED
    assert client.get(7, addresses.LOAD_PROFILE, 2) == denied
    assert client.get(64, addresses.SECURITY_SETUP, 2) == denied
    assert client.set_time(0.0) == DataAccessResult.READ_WRITE_DENIED
    at_meter = meter(0, sap=PUBLIC)
    switched = at_meter.act(70, addresses.BREAKER, 1, integer(0))
    assert switched == ActionResult.SCOPE_OF_ACCESS_VIOLATED
    assert at_meter.set_time(0.0) == DataAccessResult.READ_WRITE_DENIED
    assert at_meter.served.refusals() == ["scope of access violated", "read write denied"]


def test_without_authentication_in_the_run_any_client_may_do_anything() -> None:
    place = Place(options=NONE)
    client = meter(0, place, PUBLIC)
    assert client.act(70, addresses.BREAKER, 1, integer(0)) == ActionResult.SUCCESS
    assert client.set_time(FIRST_S) == DataAccessResult.SUCCESS
    assert [execution.counter for _, execution in place.model.executed] == [0, 0]


def test_the_object_list_keeps_what_it_promises() -> None:
    for client in (management(Place(options=NONE), PUBLIC), management(), meter(1)):
        view = client.get(15, bytes.fromhex("0000280000ff"), 2)
        assert isinstance(view, Data)
        for item in plain(view):
            class_id, _, name, rights = plain(item)
            attributes, _ = plain(rights)
            for attribute in plain(attributes):
                number, access, _ = plain(attribute)
                if access.value and name.value != addresses.INVOCATION_COUNTER:
                    value = client.get(class_id.value, name.value, number.value)
                    assert isinstance(value, Data), (class_id, name, number, value)


def test_the_buffer_has_the_columns_that_pushes_have() -> None:
    client = management()
    columns = client.get(7, addresses.LOAD_PROFILE, 3)
    registers = [CaptureObject(3, register.logical_name, 2) for register in REGISTERS]
    expected = (NAME_COLUMN, CLOCK_COLUMN, STATUS_COLUMN, *registers)
    assert columns == Data(DataType.ARRAY, tuple(column.to_data() for column in expected))
    assert client.get(7, addresses.LOAD_PROFILE, 4) == double_long_unsigned(STEP_S)
    assert client.get(7, addresses.LOAD_PROFILE, 6) == CLOCK_COLUMN.to_data()


def captured(first: float, last: float, *columns: CaptureObject) -> SelectiveAccess:
    low, high = (octet_string(encode_date_time(FIRST_S + i * STEP_S)) for i in (first, last))
    return by_range(CLOCK_COLUMN, low, high, columns)


def expected_rows(place: Place, first: int = 0, last: int = 24) -> list[list[object]]:
    readings = place.model.buffer(FIRST_S, LAST_S)
    return [
        [
            bytes(readings.meter_ids[i]),
            readings.captured_at_s[i],
            readings.status[i],
            *readings.values[i].tolist(),
        ]
        for i in range(len(readings))
    ][first:last]


def test_the_buffer_is_read_whole_by_range_and_by_entry() -> None:
    place = Place(options=LLS)
    client = management(place)
    rows = expected_rows(place)
    assert client.rows(addresses.LOAD_PROFILE) == rows
    assert client.rows(addresses.LOAD_PROFILE, by_entry(4, 9)) == rows[3:9]
    assert client.rows(addresses.LOAD_PROFILE, by_entry(23)) == rows[22:]
    assert client.rows(addresses.LOAD_PROFILE, by_entry(25, 30)) == []
    selected = client.rows(addresses.LOAD_PROFILE, captured(2, 3))
    assert selected == rows[6:12]
    # Bounds between two captures, half a second off.
    half = 0.5 / STEP_S
    assert client.rows(addresses.LOAD_PROFILE, captured(1 + half, 3 - half)) == rows[6:9]
    assert client.get(7, addresses.LOAD_PROFILE, 7) == double_long_unsigned(24)
    assert client.get(7, addresses.LOAD_PROFILE, 8) == double_long_unsigned(24)


@given(
    unheard=st.sets(st.tuples(st.integers(0, 2), st.integers(0, 7))),
    first=st.integers(0, 30),
    last=st.integers(0, 30),
    chunk=st.integers(1, 40),
)
def test_entries_count_the_rows_that_there_are(
    unheard: set[tuple[int, int]], first: int, last: int, chunk: int
) -> None:
    place = Place(options=LLS, model=MemoryConcentrator(unheard=unheard))
    client = management(place)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("protocols.dlms.plugin.interval_buffer.CHUNK_ROWS", chunk)
        rows = client.rows(addresses.LOAD_PROFILE, by_entry(first, last))
        in_use = client.get(7, addresses.LOAD_PROFILE, 7)
    everything = expected_rows(place)
    assert in_use == double_long_unsigned(len(everything))
    assert rows == everything[max(first, 1) - 1 : last or None]


def test_some_columns_are_given_but_do_not_count_as_handed_over() -> None:
    place = Place(options=LLS)
    client = management(place)
    register = CaptureObject(3, REGISTERS[1].logical_name, 2)
    access = captured(0, 0, register, NAME_COLUMN)
    rows = expected_rows(place, last=3)
    selected = client.rows(addresses.LOAD_PROFILE, access)
    assert selected == [[row[4], row[0]] for row in rows]
    assert client.rows(addresses.LOAD_PROFILE, by_entry(1, 3, 2, 4)) == [row[1:4] for row in rows]
    assert place.model.handed == []
    client.rows(addresses.LOAD_PROFILE, by_entry(1, 3))
    assert [len(readings) for readings in place.model.handed] == [3]


@pytest.mark.parametrize(
    ("access", "result"),
    [
        pytest.param(
            by_range(STATUS_COLUMN, unsigned(0), unsigned(1)),
            DataAccessResult.SCOPE_OF_ACCESS_VIOLATED,
            id="not-by-clock",
        ),
        pytest.param(
            by_range(CLOCK_COLUMN, octet_string(b"\xff" * 12), octet_string(b"\xff" * 12)),
            DataAccessResult.TYPE_UNMATCHED,
            id="wildcards",
        ),
        pytest.param(
            by_range(CLOCK_COLUMN, *(Data(DataType.FLOAT32, math.nan),) * 2),
            DataAccessResult.TYPE_UNMATCHED,
            id="not-a-number",
        ),
    ],
)
def test_a_selection_that_makes_no_sense_is_refused(
    access: SelectiveAccess, result: DataAccessResult
) -> None:
    assert management().get(7, addresses.LOAD_PROFILE, 2, access) == result


def test_push_setup_and_security_setup_say_how_pushes_look() -> None:
    client = management(Place(options=LLS))
    objects = client.get(40, PUSH_SETUP, 2)
    assert isinstance(objects, Data)
    assert len(plain(objects)) == 3
    assert client.get(64, addresses.SECURITY_SETUP, 2) == enum(0)
    assert client.get(64, addresses.SECURITY_SETUP, 5) == octet_string(TITLE)


def test_the_invocation_counter_is_the_last_one_accepted_from_this_client() -> None:
    place = Place()
    connection = place.opened()
    accepted = place.device_counters.accepted[HEAD_END]
    public = Client(connection.served, PUBLIC)
    counter = public.get(1, addresses.INVOCATION_COUNTER, 2)
    assert counter == double_long_unsigned(accepted)
    stranger = Client(place.served(), PUBLIC)
    unknown = stranger.get(1, addresses.INVOCATION_COUNTER, 2)
    assert unknown == DataAccessResult.OBJECT_UNAVAILABLE


# A meter's logical device


def test_a_meter_shows_its_latest_values_with_scaler_and_unit() -> None:
    model = MemoryConcentrator(unheard={(1, 7), (1, 6)})
    client = meter(1, Place(options=LLS, model=model))
    latest = model.readings([(1, 5)])
    for index, register in enumerate(REGISTERS):
        value = client.get(3, register.logical_name, 2)
        assert value == double_long_unsigned(int(latest.values[0, index]))
        scaler_unit = structure(integer(register.scaler), enum(register.unit))
        assert client.get(3, register.logical_name, 3) == scaler_unit
    assert client.get(1, addresses.READING_STATUS, 2) == unsigned(int(latest.status[0]))


def test_a_meter_that_was_never_heard_has_no_values_yet() -> None:
    model = MemoryConcentrator(unheard={(0, interval) for interval in range(8)})
    client = meter(0, Place(options=LLS, model=model))
    failure = DataAccessResult.TEMPORARY_FAILURE
    assert client.get(3, REGISTERS[0].logical_name, 2) == failure
    assert client.get(1, addresses.READING_STATUS, 2) == failure
    assert client.rows(addresses.LOAD_PROFILE) == []


def test_a_meters_profile_holds_its_own_rows_without_its_name() -> None:
    place = Place(options=LLS)
    client = meter(1, place)
    rows = [row[1:] for row in expected_rows(place)[1::3]]
    assert client.rows(addresses.LOAD_PROFILE) == rows
    assert client.rows(addresses.LOAD_PROFILE, by_entry(2, 3)) == rows[1:3]
    assert {bytes(name) for name in place.model.handed[0].meter_ids} == {b"MST0000000000002"}


@pytest.mark.parametrize("segment", range(9))
def test_breaker_and_segments_switch_apart(segment: int) -> None:
    place = Place(options=LLS)
    client = meter(2, place)
    switch = addresses.switch_name(segment)
    assert client.act(70, switch, 1, integer(0)) == ActionResult.SUCCESS
    assert place.model.open_switches == {(2, segment)}
    assert client.get(70, switch, 2) == boolean(False)
    assert client.get(70, switch, 3) == enum(0)
    assert client.act(70, switch, 2, integer(0)) == ActionResult.SUCCESS
    assert place.model.open_switches == set()
    assert client.get(70, switch, 3) == enum(1)


def test_a_script_activates_a_rate() -> None:
    place = Place(options=LLS)
    client = meter(0, place)
    assert client.get(1, addresses.ACTIVE_RATE, 2) == unsigned(1)
    executed = client.act(9, addresses.TARIFF_SCRIPTS, 1, long_unsigned(2))
    assert executed == ActionResult.SUCCESS
    assert client.get(1, addresses.ACTIVE_RATE, 2) == unsigned(2)
    scripts = client.get(9, addresses.TARIFF_SCRIPTS, 2)
    assert isinstance(scripts, Data)
    assert [plain(script)[0] for script in plain(scripts)] == [long_unsigned(1), long_unsigned(2)]


def test_a_meters_clock_is_set_within_reason() -> None:
    place = Place(options=LLS)
    client = meter(0, place)
    assert client.set_time(FIRST_S) == DataAccessResult.SUCCESS
    time = client.get(8, addresses.CLOCK, 2)
    assert isinstance(time, Data)
    assert plain(time) == FIRST_S
    assert client.set_time(2.0**32) == DataAccessResult.OTHER_REASON
    assert len(place.model.executed) == 1


def test_a_meter_refuses_what_the_model_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(options=LLS)
    monkeypatch.setattr(place.model, "execute", lambda *_: False)
    client = meter(0, place)
    assert client.act(70, addresses.BREAKER, 1, integer(0)) == ActionResult.OTHER_REASON
    assert client.set_time(FIRST_S) == DataAccessResult.OTHER_REASON


# Whom it lets in, and how it ends


@pytest.mark.parametrize(
    ("client_sap", "server_sap", "cause"),
    [(2, 1, "unknown client"), (1, 2, "unknown device"), (16, 259, "unknown device")],
)
def test_a_wrong_address_is_refused(client_sap: int, server_sap: int, cause: str) -> None:
    client = Client(Place(options=LLS).served(), client_sap, server_sap)
    assert isinstance(client.associated, AssociationFailed)
    assert client.served.refusals() == [cause]
    assert client.served.refusals() == []


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        (SessionOptions(), "context not supported"),
        (SessionOptions("gmac", "clear"), "mechanism not supported"),
    ],
)
def test_a_client_that_brings_too_little_is_refused(options: SessionOptions, cause: str) -> None:
    client = management(Place(options=options))
    assert isinstance(client.associated, AssociationFailed)
    assert client.served.refusals() == [cause]
    assert isinstance(management(Place(options=options), PUBLIC).associated, Associated)


@pytest.mark.parametrize(
    ("apdu", "cause"),
    [
        ("c001c1", "malformed"),
        ("3000", "wrongly tagged"),
        ("c001c10008 0000010000ff 02 00", "not associated"),
    ],
)
def test_what_is_not_right_is_refused_with_its_cause_and_the_session_goes_on(
    apdu: str, cause: str
) -> None:
    served = Place(options=LLS).served()
    octets = bytes.fromhex(apdu)
    frame = bytes.fromhex("0001 0001 0001") + len(octets).to_bytes(2, "big") + octets
    served.receive_data(frame, now=0.0)
    served.data_to_send()
    assert served.refusals() == [cause]
    assert isinstance(Client(served, MANAGEMENT).associated, Associated)


def test_the_session_wants_the_time_first_and_ends_after_silence() -> None:
    place = Place()
    served = place.plugin.served_session(
        place.model, CREDENTIALS, place.device_counters, place.options, bytes
    )
    assert served.deadline is not None
    assert served.deadline < 0
    served.handle_deadline(100.0)
    assert served.deadline == 220.0
    served.handle_deadline(219.0)
    assert served.deadline == 220.0
    served.handle_deadline(220.0)
    assert served.deadline is None


def test_after_garbage_the_session_asks_to_be_ended_at_once() -> None:
    served = Place().served()
    served.receive_data(b"\xff" * 8, now=1.0)
    assert served.refusals() == ["bad frame"]
    assert served.deadline == -math.inf
    served.handle_deadline(1.0)
    assert served.deadline is None


@given(octets=st.binary(max_size=200), framed=st.booleans(), opened=st.booleans())
def test_garbage_is_answered_or_ends_the_session_but_never_raises(
    octets: bytes, framed: bool, opened: bool
) -> None:
    place = Place()
    served = place.opened().served if opened else place.served()
    header = bytes.fromhex("0001 0001 0001") + len(octets).to_bytes(2, "big")
    served.receive_data((header if framed else b"") + octets, now=1.0)
    served.data_to_send()
    served.refusals()


def test_pipelined_requests_are_all_answered() -> None:
    place = Place(options=NONE, model=MemoryConcentrator(meters=70, intervals=16))
    client = management(place, PUBLIC)
    client.session.get(CosemAttributeDescriptor(7, addresses.LOAD_PROFILE, 2), 0.0)
    request = client.session.data_to_send()
    client.served.receive_data(request * 20, now=1.0)
    answers = client.served.data_to_send()
    assert len(answers) > 20 * 62_000
    assert client.served.data_to_send() == b""
