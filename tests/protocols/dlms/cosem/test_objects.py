"""The plain objects: what they show, what they let whom do, and what they refuse."""

from __future__ import annotations

import pytest

from protocols.dlms.apdu import (
    ActionResult,
    CosemAttributeDescriptor,
    CosemMethodDescriptor,
    DataAccessResult,
    SelectiveAccess,
)
from protocols.dlms.axdr import decode_data
from protocols.dlms.clock import encode_date_time
from protocols.dlms.cosem import objects
from protocols.dlms.cosem.access import AttributeAccess, AttributeRights, Level, MethodAccess
from protocols.dlms.cosem.association_ln import (
    AssociationStatus,
    Partners,
    association_ln,
    object_list,
)
from protocols.dlms.cosem.base import ActionOutcome, Caller, CosemObject, Encoded, to_octets
from protocols.dlms.cosem.classes import CLOCK as CLOCK_CLASS
from protocols.dlms.cosem.classes import DATA, INTERFACE_CLASSES
from protocols.dlms.cosem.device import (
    CURRENT_ASSOCIATION,
    LOGICAL_DEVICE_NAME,
    DeviceView,
    LogicalDevice,
)
from protocols.dlms.data import (
    NULL,
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
from tests.support.dlms_device import (
    CLOCK,
    DISCONNECT_CONTROL,
    FIRST_S,
    NOTE,
    PROFILE,
    PUSH,
    REGISTER,
    SAPS,
    SCRIPTS,
    SECURITY,
    Premises,
)

LOW = Caller(client_sap=1, level=Level.LOW, now=0.0)
HIGH = Caller(client_sap=1, level=Level.HIGH, now=0.0, invocation_counter=7)
PARTNERS = Partners(
    client_sap=1,
    server_sap=1,
    application_context=b"\x60\x85\x74\x05\x08\x01\x01",
    mechanism=b"\x60\x85\x74\x05\x08\x02\x01",
    conformance=0x001E1D,
    max_receive_pdu_size=1024,
    max_send_pdu_size=512,
)


@pytest.fixture
def premises() -> Premises:
    return Premises()


def view(premises: Premises, level: Level = Level.HIGH) -> DeviceView:
    device = premises.device()
    shown = association_ln(
        device,
        level,
        PARTNERS,
        status=lambda: AssociationStatus.ASSOCIATED,
        reply_to_hls=lambda _data, _caller: ActionOutcome(ActionResult.SUCCESS),
    )
    return DeviceView(device, shown, level)


def get(
    seen: DeviceView, class_id: int, name: bytes, number: int, access: SelectiveAccess | None = None
) -> object:
    return seen.get(CosemAttributeDescriptor(class_id, name, number), access)


@pytest.mark.parametrize(
    ("class_id", "name", "number", "value"),
    [
        pytest.param(8, CLOCK, 1, octet_string(CLOCK), id="logical name"),
        pytest.param(8, CLOCK, 2, octet_string(encode_date_time(FIRST_S)), id="time"),
        pytest.param(8, CLOCK, 8, boolean(False), id="daylight saving"),
        pytest.param(3, REGISTER, 2, double_long_unsigned(123_456), id="register"),
        pytest.param(3, REGISTER, 3, structure(integer(0), enum(30)), id="watt-hours"),
        pytest.param(1, NOTE, 2, octet_string(b"a note"), id="data"),
        pytest.param(1, LOGICAL_DEVICE_NAME, 2, octet_string(b"MST0000000000001"), id="name"),
        pytest.param(40, PUSH, 5, long_unsigned(0), id="push randomisation"),
        pytest.param(64, SECURITY, 2, enum(3), id="security policy"),
        pytest.param(64, SECURITY, 5, octet_string(b"MSC\0\0\0\0\1"), id="system title"),
        pytest.param(70, DISCONNECT_CONTROL, 2, boolean(True), id="output"),
        pytest.param(
            17,
            SAPS,
            2,
            Data(
                DataType.ARRAY,
                (
                    structure(long_unsigned(1), octet_string(b"MSC0000000000001")),
                    structure(long_unsigned(1), octet_string(b"MST0000000000001")),
                ),
            ),
            id="SAP assignment",
        ),
    ],
)
def test_what_attributes_show(
    premises: Premises, class_id: int, name: bytes, number: int, value: Data
) -> None:
    assert get(view(premises), class_id, name, number) == value


@pytest.mark.parametrize(
    ("class_id", "name", "number", "result"),
    [
        pytest.param(
            3, bytes(6), 2, DataAccessResult.OBJECT_UNDEFINED, id="no object of that name"
        ),
        pytest.param(
            1, REGISTER, 2, DataAccessResult.OBJECT_CLASS_INCONSISTENT, id="another class"
        ),
        pytest.param(3, REGISTER, 4, DataAccessResult.OBJECT_UNDEFINED, id="no such attribute"),
        pytest.param(3, REGISTER, 0, DataAccessResult.OBJECT_UNDEFINED, id="attribute 0"),
        pytest.param(
            15, CURRENT_ASSOCIATION, 7, DataAccessResult.READ_WRITE_DENIED, id="the secret"
        ),
    ],
)
def test_what_get_refuses(
    premises: Premises, class_id: int, name: bytes, number: int, result: DataAccessResult
) -> None:
    assert get(view(premises), class_id, name, number) is result


def test_an_attribute_without_selectors_refuses_selective_access(premises: Premises) -> None:
    access = SelectiveAccess(1, NULL)
    found = get(view(premises), 3, REGISTER, 2, access)
    assert found is DataAccessResult.SCOPE_OF_ACCESS_VIOLATED


@pytest.mark.parametrize(
    ("level", "name", "number", "value", "result"),
    [
        pytest.param(
            Level.HIGH, NOTE, 2, unsigned(9), DataAccessResult.SUCCESS, id="written by HLS"
        ),
        pytest.param(
            Level.LOW, NOTE, 2, unsigned(9), DataAccessResult.READ_WRITE_DENIED, id="not by LLS"
        ),
        pytest.param(
            Level.PUBLIC,
            NOTE,
            2,
            unsigned(9),
            DataAccessResult.SCOPE_OF_ACCESS_VIOLATED,
            id="not seen by the public",
        ),
        pytest.param(
            Level.HIGH, NOTE, 1, NULL, DataAccessResult.READ_WRITE_DENIED, id="a logical name"
        ),
        pytest.param(
            Level.HIGH, NOTE, 5, NULL, DataAccessResult.OBJECT_UNDEFINED, id="no attribute"
        ),
    ],
)
def test_what_set_does(
    premises: Premises,
    level: Level,
    name: bytes,
    number: int,
    value: Data,
    result: DataAccessResult,
) -> None:
    caller = Caller(1, level, 0.0)
    descriptor = CosemAttributeDescriptor(1, name, number)
    assert view(premises, level).set(descriptor, None, value, caller) is result
    assert (premises.note == value) is (result is DataAccessResult.SUCCESS)


@pytest.mark.parametrize(
    ("value", "result"),
    [
        (octet_string(encode_date_time(FIRST_S + 60)), DataAccessResult.SUCCESS),
        (octet_string(b"noon"), DataAccessResult.TYPE_UNMATCHED),
        (unsigned(1), DataAccessResult.TYPE_UNMATCHED),
    ],
)
def test_setting_the_clock(premises: Premises, value: Data, result: DataAccessResult) -> None:
    seen = view(premises, Level.LOW)
    assert seen.set(CosemAttributeDescriptor(8, CLOCK, 2), None, value, LOW) is result
    moved = 60 if result is DataAccessResult.SUCCESS else 0
    assert premises.now_s == FIRST_S + moved


@pytest.mark.parametrize(
    ("parameter", "result", "shift_s"),
    [
        (Data(DataType.LONG, -900), ActionResult.SUCCESS, -900),
        (Data(DataType.LONG, 901), ActionResult.OTHER_REASON, 0),
        (unsigned(1), ActionResult.TYPE_UNMATCHED, 0),
    ],
)
def test_shifting_the_clock_by_at_most_900_seconds(
    premises: Premises, parameter: Data, result: ActionResult, shift_s: int
) -> None:
    # Blue Book 4.5.1, shift_time: -900 <= n <= 900.
    outcome = view(premises).act(CosemMethodDescriptor(8, CLOCK, 6), parameter, HIGH)
    assert outcome.result is result
    assert premises.now_s == FIRST_S + shift_s


@pytest.mark.parametrize(
    ("class_id", "name", "method", "parameter", "result"),
    [
        pytest.param(9, SCRIPTS, 1, long_unsigned(2), ActionResult.SUCCESS, id="script 2"),
        pytest.param(
            9, SCRIPTS, 1, long_unsigned(3), ActionResult.OBJECT_UNDEFINED, id="no script 3"
        ),
        pytest.param(9, SCRIPTS, 1, unsigned(2), ActionResult.TYPE_UNMATCHED, id="wrong type"),
        pytest.param(
            9, SCRIPTS, 2, NULL, ActionResult.OBJECT_UNDEFINED, id="a method the class lacks"
        ),
        pytest.param(
            3, REGISTER, 1, NULL, ActionResult.READ_WRITE_DENIED, id="one this object lacks"
        ),
        pytest.param(
            9, REGISTER, 1, NULL, ActionResult.OBJECT_CLASS_INCONSISTENT, id="another class"
        ),
        pytest.param(64, SECURITY, 2, NULL, ActionResult.OBJECT_UNAVAILABLE, id="key transfer"),
    ],
)
def test_what_action_does(
    premises: Premises,
    class_id: int,
    name: bytes,
    method: int,
    parameter: Data,
    result: ActionResult,
) -> None:
    outcome = view(premises).act(CosemMethodDescriptor(class_id, name, method), parameter, HIGH)
    assert outcome.result is result
    assert premises.script == (2 if result is ActionResult.SUCCESS else 0)


def test_a_public_client_sees_the_name_the_clock_and_the_saps_only(premises: Premises) -> None:
    seen = view(premises, Level.PUBLIC)
    listed = get(seen, 15, CURRENT_ASSOCIATION, 2)
    assert isinstance(listed, Data)
    assert isinstance(listed.value, tuple)
    names = [element.value[2].value for element in listed.value]  # type: ignore[index,union-attr]
    assert names == [LOGICAL_DEVICE_NAME, CLOCK, SAPS, CURRENT_ASSOCIATION]
    assert get(seen, 3, REGISTER, 2) is DataAccessResult.SCOPE_OF_ACCESS_VIOLATED
    outcome = seen.act(CosemMethodDescriptor(9, SCRIPTS, 1), long_unsigned(1), HIGH)
    assert outcome.result is ActionResult.SUCCESS  # the caller's level decides, and it is high


def test_the_object_list_says_what_can_be_done_and_no_more(premises: Premises) -> None:
    items = [item for item in premises.device().objects.values() if item.logical_name == PROFILE]
    # Blue Book 4.4.3: array of {class_id, version, logical_name, {attributes, methods}}.
    # Attribute 2 offers selectors 1 and 2; no methods were supplied, so none is offered.
    expected = bytes.fromhex(
        "0101 0204 120007 1101 0906" + PROFILE.hex() + "0202"
        "0108"
        "0203 0f01 1601 00"
        "0203 0f02 1601 0102 0f01 0f02"
        "0203 0f03 1601 00"
        "0203 0f04 1601 00"
        "0203 0f05 1601 00"
        "0203 0f06 1601 00"
        "0203 0f07 1601 00"
        "0203 0f08 1601 00"
        "0102"
        "0202 0f01 1600"
        "0202 0f02 1600"
    )
    assert to_octets(object_list(items, Level.HIGH)) == expected


@pytest.mark.parametrize(
    ("number", "octets"),
    [
        pytest.param(3, "0202 0f01 120001", id="partners"),
        pytest.param(4, "0907 60857405080101", id="context"),
        pytest.param(5, "0206 0418001e1d 120400 120200 1106 0f00 0900", id="xDLMS context"),
        pytest.param(6, "0907 60857405080201", id="mechanism"),
        pytest.param(8, "1602", id="associated"),
        pytest.param(9, "0900", id="no security setup"),
    ],
)
def test_what_the_association_shows_of_itself(premises: Premises, number: int, octets: str) -> None:
    found = get(view(premises), 15, CURRENT_ASSOCIATION, number)
    assert found == decode_data(bytes.fromhex(octets))


def test_rights_can_be_replaced_per_object() -> None:
    nobody = AttributeAccess.NO_ACCESS
    rights = AttributeRights(nobody, nobody, AttributeAccess.READ_ONLY)
    item = CosemObject(DATA, NOTE, {2: NULL}, attribute_rights={2: rights})
    assert item.read(2, None, Level.LOW) is DataAccessResult.READ_WRITE_DENIED
    assert item.read(2, None, Level.HIGH) == NULL


def test_a_value_of_another_type_does_not_reach_the_writer() -> None:
    written: list[Data] = []

    def write(value: Data, _caller: Caller) -> DataAccessResult:
        written.append(value)
        return DataAccessResult.SUCCESS

    item = CosemObject(CLOCK_CLASS, CLOCK, {3: NULL}, writers={3: write})
    assert item.write(3, None, unsigned(1), HIGH) is DataAccessResult.TYPE_UNMATCHED
    zone = Data(DataType.LONG, 60)
    assert item.write(3, None, zone, HIGH) is DataAccessResult.SUCCESS
    assert written == [zone]


def test_encoded_values_are_spliced_as_they_are() -> None:
    item = CosemObject(DATA, NOTE, {2: lambda: Encoded(b"\x11\x05")})
    value = item.read(2, None, Level.LOW)
    assert not isinstance(value, DataAccessResult)
    assert to_octets(value) == b"\x11\x05"


def test_a_clock_without_a_setter_offers_none() -> None:
    item = objects.clock(CLOCK, now_s=lambda: 0.0)
    assert item.attribute_access(2, Level.HIGH) is AttributeAccess.READ_ONLY
    assert item.method_access(6, Level.HIGH) is MethodAccess.NO_ACCESS


def test_objects_are_built_only_when_asked_for() -> None:
    class Lazy(dict[bytes, CosemObject]):
        def __missing__(self, key: bytes) -> CosemObject:
            raise AssertionError("not even asked")

        def get(self, key: bytes, default: object = None) -> CosemObject:
            return objects.register(key, double_long_unsigned(key[4]))

    device = LogicalDevice(b"MST", 1, Lazy())
    found = device.find(REGISTER)
    assert found is not None
    assert found.read(2, None, Level.LOW) == double_long_unsigned(0)


@pytest.mark.parametrize(
    ("class_id", "version", "attributes", "methods"),
    [  # Blue Book, the tables of each class
        (1, 0, 2, 0),
        (3, 0, 3, 1),
        (4, 0, 5, 1),
        (7, 1, 8, 2),
        (8, 0, 9, 6),
        (9, 0, 2, 1),
        (15, 1, 9, 4),
        (17, 0, 2, 1),
        (40, 0, 7, 1),
        (64, 0, 5, 2),
        (70, 0, 4, 2),
    ],
)
def test_the_class_tables_have_the_standards_size(
    class_id: int, version: int, attributes: int, methods: int
) -> None:
    interface_class = INTERFACE_CLASSES[class_id]
    assert interface_class.version == version
    assert list(interface_class.attributes) == list(range(1, attributes + 1))
    assert list(interface_class.methods) == list(range(1, methods + 1))
    assert CLOCK_CLASS.attributes[2].name == "time"
