"""gurux-dlms as independent judge of our APDUs, run as one process of its own for all vectors.

Who judges what:

* ours read by its translator: every kind it can translate (``TRANSLATED``), every data type;
* its translator's octets read by us: the same, where it can build what it has shown;
* its client's requests (no security, LLS, HLS-GMAC ciphered, general-glo) read by us;
* our AARE, ciphered responses and pushes read by its client; ciphering both ways, GMAC included.

Not judged by it, because version 1.0.203 crashes, prints nothing or has no such thing; the layouts
in test_apdu.py stand alone there: unknown result codes, set-request and set-response with list and
blocks, action with list and blocks, data-notification-confirm, the counter of an
exception-response, date, bcd, delta types. Of lists in get-response it shows the first item only,
and it drops the access selection of lists.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from protocols.dlms.apdu import (
    Aare,
    Aarq,
    ActionRequestNormal,
    ActionResponseNormal,
    ActionResult,
    Apdu,
    ApplicationContextName,
    AssociationResult,
    Conformance,
    CosemAttributeDescriptor,
    CosemMethodDescriptor,
    DataAccessResult,
    DataNotification,
    EventNotificationRequest,
    ExceptionResponse,
    GeneralGloCiphering,
    GetRequestNext,
    GetRequestNormal,
    GetRequestWithList,
    GetResponseNormal,
    GetResponseWithDataBlock,
    GloApdu,
    InitiateRequest,
    InitiateResponse,
    MechanismName,
    Rlrq,
    SelectiveAccess,
    ServiceUserDiagnostic,
    SetRequestNormal,
    SetRequestWithDataBlock,
    SetRequestWithFirstDataBlock,
    SetRequestWithList,
    SetResponseDataBlock,
    SetResponseLastDataBlock,
    SetResponseNormal,
    SetResponseWithList,
    decode_apdu,
    encode_apdu,
)
from protocols.dlms.axdr import compact_array
from protocols.dlms.data import (
    NULL,
    BitString,
    Data,
    DataType,
    array,
    boolean,
    double_long_unsigned,
    enum,
    integer,
    long_unsigned,
    octet_string,
    structure,
    unsigned,
)
from protocols.dlms.security import (
    AUTHENTICATED,
    AUTHENTICATED_AND_ENCRYPTED,
    ENCRYPTED,
    SecurityControl,
    protect,
    unprotect,
)
from protocols.dlms.wrapper import Wpdu

KEY, AUTHENTICATION_KEY = bytes(range(16)), bytes(range(0xD0, 0xE0))
CLIENT_TITLE, SERVER_TITLE = b"MSH\x00\x00\x00\x00\x01", b"MSC\x00\x00\x00\x00\x07"
KEYS = {
    "title": CLIENT_TITLE.hex(),
    "key": KEY.hex(),
    "authentication_key": AUTHENTICATION_KEY.hex(),
}
CLIENT = KEYS | {"server_title": SERVER_TITLE.hex()}
CIPHERED = {"authentication": "HIGH_GMAC", "security": "AUTHENTICATION_ENCRYPTION"}

CLOCK = CosemAttributeDescriptor(8, bytes.fromhex("0000010000ff"), 2)
REGISTER = CosemAttributeDescriptor(3, bytes.fromhex("0100010800ff"), 2)
RESET = CosemMethodDescriptor(3, bytes.fromhex("0100010800ff"), 1)
ACCESS = SelectiveAccess(1, structure(unsigned(5)))
TIME = bytes.fromhex("07ea0b1405090f00008000ff")


class Judge:
    """The process, spoken to one line at a time."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, operation: str, **request: object) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"operation": operation} | request) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "ok" in answer, answer
        return answer["ok"]


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    script = Path(__file__).with_name("gurux_judge.py")
    with subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        yield Judge(process)
        assert process.stdin is not None
        process.stdin.close()


CLOCK_SHOWN = ["0008", "0000010000FF", "02"]
RESET_SHOWN = ["0003", "0100010800FF", "01"]

# Ours, and the values its translator must show in document order (containers with their count).
TRANSLATED: list[tuple[Apdu, list[str]]] = [
    (GetRequestNormal(0xC1, CLOCK), ["C1", *CLOCK_SHOWN]),
    (GetRequestNormal(0xC1, CLOCK, ACCESS), ["C1", *CLOCK_SHOWN, "01", "01", "05"]),
    (GetRequestNext(0x81, 0x01020304), ["81", "01020304"]),
    (
        GetRequestWithList(0xC1, ((CLOCK, None), (REGISTER, None))),
        ["C1", "02", *CLOCK_SHOWN, "0003", "0100010800FF", "02"],
    ),
    (GetResponseNormal(0xC1, long_unsigned(7)), ["C1", "0007"]),
    (GetResponseNormal(0xC1, DataAccessResult.OBJECT_UNDEFINED), ["C1", "UndefinedObject"]),
    (GetResponseWithDataBlock(0xC1, False, 1, b"\x01\x02"), ["C1", "00", "00000001", "0102"]),
    (
        GetResponseWithDataBlock(0xC1, True, 9, DataAccessResult.DATA_BLOCK_NUMBER_INVALID),
        ["C1", "01", "00000009", "DataBlockNumberInvalid"],
    ),
    (SetRequestNormal(0xC1, CLOCK, None, unsigned(1)), ["C1", *CLOCK_SHOWN, "01"]),
    (
        SetRequestWithFirstDataBlock(0xC1, CLOCK, None, False, 1, b"\x09"),
        ["C1", *CLOCK_SHOWN, "00", "00000001", "09"],
    ),
    (SetRequestWithDataBlock(0xC1, True, 2, b"\xaa"), ["C1", "01", "00000002", "AA"]),
    (
        SetRequestWithList(0xC1, ((CLOCK, None),), (unsigned(1),)),
        ["C1", "01", *CLOCK_SHOWN, "01", "01"],
    ),
    (SetResponseNormal(0xC1, DataAccessResult.READ_WRITE_DENIED), ["C1", "ReadWriteDenied"]),
    (SetResponseDataBlock(0xC1, 5), ["C1", "00000005"]),
    (SetResponseLastDataBlock(0xC1, DataAccessResult.SUCCESS, 6), ["C1", "Success", "00000006"]),
    (SetResponseWithList(0xC1, (DataAccessResult.SUCCESS,)), ["C1", "1", "Success"]),
    (ActionRequestNormal(0xC1, RESET), ["C1", *RESET_SHOWN]),
    (ActionRequestNormal(0xC1, RESET, integer(3)), ["C1", *RESET_SHOWN, "03"]),
    (ActionResponseNormal(0xC1, ActionResult.SUCCESS), ["C1", "Success"]),
    (ActionResponseNormal(0xC1, ActionResult.SUCCESS, unsigned(4)), ["C1", "Success", "04"]),
    (
        DataNotification(0x40000001, TIME, structure(unsigned(3), octet_string(b"\xaa"))),
        ["40000001", TIME.hex().upper(), "02", "03", "AA"],
    ),
    (EventNotificationRequest(None, CLOCK, unsigned(1)), [*CLOCK_SHOWN, "01"]),
    (ExceptionResponse(1, 2), ["ServiceNotAllowed", "ServiceNotSupported"]),
    (
        InitiateRequest(conformance=Conformance.GET, max_receive_pdu_size=0x04B0),
        ["06", "Get", "04B0"],
    ),
    (
        InitiateResponse(conformance=Conformance.ACTION, max_receive_pdu_size=0x01F4),
        ["06", "Action", "01F4", "0007"],
    ),
]


@pytest.mark.parametrize(
    ("apdu", "shown"),
    [
        pytest.param(*vector, id=f"{type(vector[0]).__name__}-{i}")
        for i, vector in enumerate(TRANSLATED)
    ],
)
def test_its_translator_reads_ours(judge: Judge, apdu: Apdu, shown: list[str]) -> None:
    elements = judge.ask("translate", apdu=encode_apdu(apdu).hex())
    assert [value for _, value in elements if value is not None] == shown


# Element and value it must show for each type; strings in hex or as text as it chooses.
TYPES: list[tuple[Data, tuple[str, str | None]]] = [
    (NULL, ("None", None)),
    (boolean(True), ("Boolean", "True")),
    (Data(DataType.BIT_STRING, BitString(4, b"\xa0")), ("BitString", "1010")),
    (Data(DataType.DOUBLE_LONG, 5), ("Int32", "00000005")),
    (double_long_unsigned(0xDEADBEEF), ("UInt32", "DEADBEEF")),
    (octet_string(b"\x01\x02"), ("OctetString", "0102")),
    (Data(DataType.VISIBLE_STRING, "MST"), ("String", "MST")),
    (Data(DataType.UTF8_STRING, "MST"), ("StringUTF8", "MST")),
    (integer(5), ("Int8", "05")),
    (Data(DataType.LONG, 5), ("Int16", "0005")),
    (unsigned(200), ("UInt8", "C8")),
    (long_unsigned(0xBEEF), ("UInt16", "BEEF")),
    (Data(DataType.LONG64, 5), ("Int64", "0000000000000005")),
    (Data(DataType.LONG64_UNSIGNED, 2**63), ("UInt64", "8000000000000000")),
    (enum(7), ("Enum", "07")),
    (Data(DataType.FLOAT32, 1.5), ("Float32", "3FC00000")),
    (Data(DataType.FLOAT64, 1.5), ("Float64", "3FF8000000000000")),
    (Data(DataType.DATE_TIME, TIME), ("DateTime", TIME.hex().upper())),
    (Data(DataType.TIME, b"\x09\x0f\x00\x00"), ("Time", "090F0000")),
]


@pytest.mark.parametrize(
    ("data", "shown"), [pytest.param(*case, id=case[0].type.name) for case in TYPES]
)
def test_its_translator_reads_our_types(
    judge: Judge, data: Data, shown: tuple[str, str | None]
) -> None:
    apdu = GetResponseNormal(0xC1, array([data, unsigned(9)]))
    elements = judge.ask("translate", apdu=encode_apdu(apdu).hex())
    assert elements[-2:] == [list(shown), ["UInt8", "09"]]


# What its own translator cannot build from what it has shown, or builds wrongly: it crashes on
# elements of lists, pads a push, leaves out the flag of absent return parameters and the choice
# before an error in a block, and ignores the conformance of an initiate.
NOT_BUILT = (
    GetRequestWithList,
    GetResponseWithDataBlock,
    SetResponseLastDataBlock,
    SetResponseWithList,
    DataNotification,
    InitiateRequest,
    InitiateResponse,
)
BUILT_BACK = [
    apdu
    for apdu, _ in TRANSLATED
    if not isinstance(apdu, NOT_BUILT) and apdu != ActionResponseNormal(0xC1, ActionResult.SUCCESS)
]


@pytest.mark.parametrize(
    "apdu",
    [pytest.param(apdu, id=f"{type(apdu).__name__}-{i}") for i, apdu in enumerate(BUILT_BACK)],
)
def test_we_read_what_its_translator_builds(judge: Judge, apdu: Apdu) -> None:
    built = bytes.fromhex(judge.ask("from_xml", apdu=encode_apdu(apdu).hex()))
    assert decode_apdu(built) == apdu


REQUESTS: list[tuple[str, Apdu]] = [
    ("read", GetRequestNormal(0xC1, CLOCK)),
    ("read_list", GetRequestWithList(0xC1, ((CLOCK, None), (REGISTER, None)))),
    (
        "read_entries",
        GetRequestNormal(
            0xC1,
            CosemAttributeDescriptor(7, bytes.fromhex("0100630100ff"), 2),
            SelectiveAccess(
                2,
                structure(
                    double_long_unsigned(1),
                    double_long_unsigned(2),
                    long_unsigned(1),
                    long_unsigned(0),
                ),
            ),
        ),
    ),
    (
        "write",
        SetRequestNormal(
            0xC1,
            CosemAttributeDescriptor(1, bytes.fromhex("0000600100ff"), 2),
            None,
            octet_string(b"meter"),
        ),
    ),
    ("method", ActionRequestNormal(0xC1, RESET, integer(0))),
]


def _open(wire: str) -> tuple[Apdu, bytes]:
    """The APDU in a wrapper PDU of its client, after checking that we would send the same."""
    pdu = Wpdu.decode(bytes.fromhex(wire))
    assert (pdu.source, pdu.destination) == (16, 1)
    apdu = decode_apdu(pdu.apdu)
    assert encode_apdu(apdu) == pdu.apdu
    return apdu, pdu.apdu


def _unseal(envelope: Apdu) -> Apdu:
    assert isinstance(envelope, (GloApdu, GeneralGloCiphering))
    header, inside = unprotect(
        KEY,
        AUTHENTICATION_KEY,
        CLIENT_TITLE,
        envelope.content,
        required=AUTHENTICATED_AND_ENCRYPTED,
    )
    assert header.control == AUTHENTICATED_AND_ENCRYPTED
    return decode_apdu(inside)


@pytest.mark.parametrize("settings", [{}, {"authentication": "LOW", "password": "12345678"}])
def test_we_read_its_clear_requests(judge: Judge, settings: dict[str, str]) -> None:
    sent = judge.ask("client_requests", **CLIENT, **settings)
    for name, expected in REQUESTS:
        assert _open(sent[name][0])[0] == expected
    aarq, _ = _open(sent["aarq"][0])
    assert isinstance(aarq, Aarq)
    assert aarq.application_context_name == ApplicationContextName.LOGICAL_NAME
    assert aarq.mechanism_name == (MechanismName.LLS if settings else None)
    assert aarq.calling_authentication_value == (b"12345678" if settings else None)
    assert aarq.user_information is not None
    initiate = decode_apdu(aarq.user_information)
    assert isinstance(initiate, InitiateRequest)
    assert initiate.conformance & Conformance.SELECTIVE_ACCESS
    assert initiate.max_receive_pdu_size == 0xFFFF
    assert _open(sent["release"][0])[0] == Rlrq(reason=0)


@pytest.mark.parametrize("general", [False, True], ids=["service-specific", "general-glo"])
def test_we_read_its_ciphered_requests(judge: Judge, general: bool) -> None:
    sent = judge.ask("client_requests", **CLIENT, **CIPHERED, general=general)
    for name, expected in REQUESTS:
        envelope, _ = _open(sent[name][0])
        assert isinstance(envelope, GeneralGloCiphering if general else GloApdu)
        if isinstance(envelope, GeneralGloCiphering):
            assert envelope.system_title == CLIENT_TITLE
        assert _unseal(envelope) == expected
    aarq, _ = _open(sent["aarq"][0])
    assert isinstance(aarq, Aarq)
    assert aarq.application_context_name == ApplicationContextName.LOGICAL_NAME_CIPHERED
    assert (aarq.mechanism_name, aarq.calling_ap_title) == (MechanismName.HLS_GMAC, CLIENT_TITLE)
    assert len(aarq.calling_authentication_value or b"") == 16
    assert aarq.user_information is not None
    assert isinstance(_unseal(decode_apdu(aarq.user_information)), InitiateRequest)


AGREED = InitiateResponse(
    conformance=Conformance.GET | Conformance.SET | Conformance.ACTION, max_receive_pdu_size=500
)


def test_its_client_reads_our_aare(judge: Judge) -> None:
    aare = Aare(
        application_context_name=ApplicationContextName.LOGICAL_NAME,
        result=AssociationResult.ACCEPTED,
        user_information=encode_apdu(AGREED),
    )
    got = judge.ask("read_aare", **KEYS, aare=encode_apdu(aare).hex())
    assert (got["conformance"], got["max_pdu_size"]) == (int(AGREED.conformance), 500)
    assert not got["authentication_required"]


def test_its_client_reads_our_ciphered_aare(judge: Judge) -> None:
    content = _protect(1, encode_apdu(AGREED))
    aare = Aare(
        application_context_name=ApplicationContextName.LOGICAL_NAME_CIPHERED,
        result=AssociationResult.ACCEPTED,
        diagnostic=ServiceUserDiagnostic.AUTHENTICATION_REQUIRED,
        responding_ap_title=SERVER_TITLE,
        responder_acse_requirements=True,
        mechanism_name=MechanismName.HLS_GMAC,
        responding_authentication_value=bytes(range(16)),
        user_information=encode_apdu(GloApdu(0x28, content)),
    )
    got = judge.ask("read_aare", **KEYS, **CIPHERED, aare=encode_apdu(aare).hex())
    assert got == {
        "conformance": int(AGREED.conformance),
        "max_pdu_size": 500,
        "challenge": bytes(range(16)).hex(),
        "title": SERVER_TITLE.hex(),
        "authentication_required": True,
    }


def _protect(counter: int, plaintext: bytes) -> bytes:
    return protect(
        KEY, AUTHENTICATION_KEY, SERVER_TITLE, counter, AUTHENTICATED_AND_ENCRYPTED, plaintext
    )


ROWS = array(structure(octet_string(b"MST1"), unsigned(0), double_long_unsigned(i)) for i in (7, 8))
ROWS_READ = [["4d535431", 0, 7], ["4d535431", 0, 8]]


def test_its_client_reads_our_clear_push(judge: Judge) -> None:
    push = encode_apdu(DataNotification(1, TIME, ROWS))
    got = judge.ask("receive", **CLIENT, wpdu=Wpdu(1, 16, push).encode().hex())
    assert got["value"] == ROWS_READ


def test_its_client_reads_our_compact_arrays(judge: Judge) -> None:
    compact = Data(DataType.COMPACT_ARRAY, compact_array(ROWS))
    answer = encode_apdu(GetResponseNormal(0xC1, compact))
    got = judge.ask("receive", **CLIENT, wpdu=Wpdu(1, 16, answer).encode().hex())
    assert got["value"] == ROWS_READ


def test_its_client_reads_our_ciphered_push(judge: Judge) -> None:
    push = encode_apdu(DataNotification(1, TIME, ROWS))
    wire = encode_apdu(GeneralGloCiphering(SERVER_TITLE, _protect(9, push)))
    got = judge.ask("receive", **CLIENT, **CIPHERED, wpdu=Wpdu(1, 16, wire).encode().hex())
    assert got["value"] == ROWS_READ


def test_its_client_reads_our_ciphered_answer(judge: Judge) -> None:
    answer = encode_apdu(GetResponseNormal(0xC1, ROWS))
    wire = encode_apdu(GloApdu(0xCC, _protect(9, answer)))
    got = judge.ask("receive", **CLIENT, **CIPHERED, wpdu=Wpdu(1, 16, wire).encode().hex())
    assert got["value"] == ROWS_READ


SECURITIES = [
    pytest.param(AUTHENTICATED, "AUTHENTICATION", id="authenticated"),
    pytest.param(ENCRYPTED, "ENCRYPTION", id="encrypted"),
    pytest.param(AUTHENTICATED_AND_ENCRYPTED, "AUTHENTICATION_ENCRYPTION", id="both"),
]
GET = encode_apdu(GetRequestNormal(0xC1, CLOCK))


@pytest.mark.parametrize(("control", "name"), SECURITIES)
@pytest.mark.parametrize("tag", [0xC8, 0xDB])
def test_ciphering_is_the_same(judge: Judge, control: SecurityControl, name: str, tag: int) -> None:
    sealed = judge.ask("seal", **KEYS, tag=tag, security=name, counter=77, apdu=GET.hex())
    content = protect(KEY, AUTHENTICATION_KEY, CLIENT_TITLE, 77, control, GET)
    ours = GloApdu(tag, content) if tag == 0xC8 else GeneralGloCiphering(CLIENT_TITLE, content)
    assert encode_apdu(ours).hex() == sealed
    assert judge.ask("unseal", **KEYS, apdu=sealed) == GET.hex()
