"""AARQ, AARE, RLRQ, RLRE and Initiate: the Green Book's examples, BER's corners, errors."""

from __future__ import annotations

import pytest

from protocols.dlms.apdu import (
    Aare,
    Aarq,
    Apdu,
    ApplicationContextName,
    AssociationResult,
    Conformance,
    DiagnosticSource,
    GloApdu,
    InitiateRequest,
    InitiateResponse,
    MechanismName,
    ReleaseReason,
    Rlre,
    Rlrq,
    ServiceProviderDiagnostic,
    ServiceUserDiagnostic,
    decode_apdu,
    encode_apdu,
)
from protocols.dlms.data import BitString
from protocols.dlms.security import AUTHENTICATED_AND_ENCRYPTED, protect
from protocols.errors import CodecError

LN = ApplicationContextName.LOGICAL_NAME
LN_CIPHERED = ApplicationContextName.LOGICAL_NAME_CIPHERED
# Green Book 11, AARQ and AARE examples: proposed 00 7E 1F, 1200 octets; agreed 00 50 1F, 500.
PROPOSED = InitiateRequest(conformance=Conformance(0x007E1F), max_receive_pdu_size=0x04B0)
AGREED = InitiateResponse(conformance=Conformance(0x00501F), max_receive_pdu_size=0x01F4)
REQUEST = "0100000006 5f1f04 00007e1f 04b0"
RESPONSE = "0800065f1f0400 00501f 01f4 0007"
TITLE = bytes.fromhex("4d4d4d0000bc614e")
DEDICATED = bytes.fromhex("00112233445566778899aabbccddeeff")
SEALED = protect(
    bytes(range(16)),
    bytes(range(0xD0, 0xE0)),
    TITLE,
    0x01234567,
    AUTHENTICATED_AND_ENCRYPTED,
    encode_apdu(
        InitiateRequest(
            conformance=Conformance(0x007E1F), max_receive_pdu_size=0x04B0, dedicated_key=DEDICATED
        )
    ),
)

VECTORS: list[tuple[str, Apdu, str]] = [
    (
        "aarq-lowest",
        Aarq(application_context_name=LN, user_information=encode_apdu(PROPOSED)),
        f"60 1d a109 0607 60857405080101 be10 040e {REQUEST}",
    ),
    (
        "aarq-lls",
        Aarq(
            application_context_name=LN,
            sender_acse_requirements=True,
            mechanism_name=MechanismName.LLS,
            calling_authentication_value=b"12345678",
            user_information=encode_apdu(PROPOSED),
        ),
        "60 36 a109 0607 60857405080101 8a02 0780 8b07 60857405080201"
        f"ac0a 8008 3132333435363738 be10 040e {REQUEST}",
    ),
    (
        "aarq-hls-gmac",
        Aarq(
            application_context_name=LN,
            sender_acse_requirements=True,
            mechanism_name=MechanismName.HLS_GMAC,
            calling_authentication_value=b"K56iVagY",
            user_information=encode_apdu(PROPOSED),
        ),
        "60 36 a109 0607 60857405080101 8a02 0780 8b07 60857405080205"
        f"ac0a 8008 4b35366956616759 be10 040e {REQUEST}",
    ),
    (
        "aarq-ciphered",
        Aarq(
            application_context_name=LN_CIPHERED,
            calling_ap_title=TITLE,
            sender_acse_requirements=True,
            mechanism_name=MechanismName.LLS,
            calling_authentication_value=b"12345678",
            user_information=encode_apdu(GloApdu(0x21, SEALED)),
        ),
        "60 66 a109 0607 60857405080103 a60a 0408 4d4d4d0000bc614e 8a02 0780"
        "8b07 60857405080201 ac0a 8008 3132333435363738 be34 0432 2130 30 01234567"
        "801302ff8a7874133d414ced25b42534d28db0047720606b175bd52211be68"
        "41db204d39ee6fdb8e356855",
    ),
    (
        "aare-accepted",
        Aare(
            application_context_name=LN,
            result=AssociationResult.ACCEPTED,
            user_information=encode_apdu(AGREED),
        ),
        f"61 29 a109 0607 60857405080101 a203 020100 a305 a103 020100be10 040e {RESPONSE}",
    ),
    (
        "aare-wrong-password",
        Aare(
            application_context_name=LN,
            result=AssociationResult.REJECTED_PERMANENT,
            diagnostic=ServiceUserDiagnostic.AUTHENTICATION_FAILURE,
        ),
        "61 17 a109 0607 60857405080101 a203 020101 a305 a103 02010d",
    ),
    (
        "aare-provider",
        Aare(
            application_context_name=LN,
            result=AssociationResult.REJECTED_TRANSIENT,
            diagnostic_source=DiagnosticSource.ACSE_SERVICE_PROVIDER,
            diagnostic=ServiceProviderDiagnostic.NO_COMMON_ACSE_VERSION,
        ),
        "61 17 a109 0607 60857405080101 a203 020102 a305 a203 020102",
    ),
    (
        "aare-hls-gmac",
        Aare(
            application_context_name=LN,
            result=AssociationResult.ACCEPTED,
            diagnostic=ServiceUserDiagnostic.AUTHENTICATION_REQUIRED,
            responder_acse_requirements=True,
            mechanism_name=MechanismName.HLS_GMAC,
            responding_authentication_value=b"P6wRJ21F",
            user_information=encode_apdu(AGREED),
        ),
        "61 42 a109 0607 60857405080101 a203 020100 a305 a103 02010e 8802 0780"
        f"8907 60857405080205 aa0a 8008 503677524a323146 be10 040e {RESPONSE}",
    ),
    ("rlrq-bare", Rlrq(), "62 00"),
    ("rlrq", Rlrq(reason=ReleaseReason.NORMAL), "62 03 800100"),
    (
        "rlre",
        Rlre(reason=ReleaseReason.USER_DEFINED, user_information=b"\x08"),
        "63 08 80011e be03 0401 08",
    ),
    ("initiate-request", PROPOSED, REQUEST),
    (
        "initiate-request-all",
        InitiateRequest(
            conformance=Conformance.NONE,
            max_receive_pdu_size=0,
            dedicated_key=DEDICATED,
            response_allowed=False,
            quality_of_service=-1,
        ),
        f"01 0110{DEDICATED.hex()} 0100 01ff 06 5f1f0400 000000 0000",
    ),
    ("initiate-response", AGREED, RESPONSE),
]


@pytest.mark.parametrize(
    ("apdu", "wire"), [pytest.param(*vector[1:], id=vector[0]) for vector in VECTORS]
)
def test_vector(apdu: Apdu, wire: str) -> None:
    assert encode_apdu(apdu).hex() == bytes.fromhex(wire).hex()
    assert decode_apdu(bytes.fromhex(wire)) == apdu


ALL_FIELDS = Aarq(
    application_context_name=b"\x2a\x03",
    protocol_version=BitString(2, b"\xc0"),
    called_ap_title=b"called",
    called_ae_qualifier=b"\x01",
    called_ap_invocation_id=-1,
    called_ae_invocation_id=128,
    calling_ap_title=b"calling",
    calling_ae_qualifier=b"\x02",
    calling_ap_invocation_id=2**31 - 1,
    calling_ae_invocation_id=-(2**31),
    sender_acse_requirements=True,
    mechanism_name=b"\x2a\x04",
    calling_authentication_value=b"",
    implementation_information=b"info",
    user_information=b"",
)


def test_every_field_of_the_standard_has_its_element() -> None:
    wire = encode_apdu(ALL_FIELDS)
    assert decode_apdu(wire) == ALL_FIELDS
    assert wire.hex() == (
        "60"
        + f"{len(wire) - 2:02x}"
        + "800206c0 a10406022a03 a208040663616c6c6564 a303040101 a4030201ff a50402020080"
        "a609040763616c6c696e67 a703040102 a80602047fffffff a906020480000000 8a020780"
        "8b022a04 ac028000 bd04696e666f be020400".replace(" ", "")
    )


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector[0])
def test_every_truncation_and_trailing_octets_are_refused(vector: tuple[str, Apdu, str]) -> None:
    whole = bytes.fromhex(vector[2])
    for bad in (*(whole[:cut] for cut in range(len(whole))), whole + b"\x00"):
        with pytest.raises(CodecError):
            decode_apdu(bad)


CONTEXT = "a109 0607 60857405080101"


@pytest.mark.parametrize(
    "element",
    ["90 00", "b5 02 0500", "df 8a 7f 01 aa", "bf 1f 00"],
    ids=["primitive", "constructed", "two-octet-tag", "high-tag"],
)
def test_unknown_elements_are_skipped(element: str) -> None:
    content = bytes.fromhex(CONTEXT + element)
    decoded = decode_apdu(bytes((0x60, len(content))) + content)
    assert decoded == Aarq(application_context_name=LN)


@pytest.mark.parametrize(
    ("content", "path"),
    [
        ("", "application_context_name"),
        (f"{CONTEXT} {CONTEXT}", "application_context_name"),
        ("a1 80 0607 60857405080101 0000", "Aarq"),  # indefinite length
        (f"{CONTEXT} be 84 ffffffff", "Aarq"),
        (f"{CONTEXT} df ff ff ff 01", "Aarq"),
        (f"{CONTEXT} be 04 0404 0000", "user_information"),
        (f"{CONTEXT} be 03 0201 00", "user_information"),
        (f"{CONTEXT} ac 03 8101 00", "calling_authentication_value"),
        (f"{CONTEXT} a8 07 0205 0000000000", "calling_ap_invocation_id"),
        (f"{CONTEXT} a8 02 0200", "calling_ap_invocation_id"),
        (f"{CONTEXT} 80 01 01", "protocol_version"),
        (f"{CONTEXT} 80 00", "protocol_version"),
        (f"{CONTEXT} 80 02 08 80", "protocol_version"),
        (f"{CONTEXT} a6 04 0401 00 05", "calling_ap_title"),
    ],
)
def test_decoding_errors_name_the_field(content: str, path: str) -> None:
    octets = bytes.fromhex(content)
    with pytest.raises(CodecError) as caught:
        decode_apdu(bytes((0x60, len(octets))) + octets)
    assert (caught.value.codec, caught.value.path) == ("ACSE", path)


@pytest.mark.parametrize(
    ("content", "path"),
    [
        (f"{CONTEXT} a305 a103 020100", "result"),
        (f"{CONTEXT} a203 020100", "diagnostic"),
        (f"{CONTEXT} a203 020100 a305 a003 020100", "diagnostic"),
    ],
)
def test_an_aare_has_result_and_diagnostic(content: str, path: str) -> None:
    octets = bytes.fromhex(content)
    with pytest.raises(CodecError) as caught:
        decode_apdu(bytes((0x61, len(octets))) + octets)
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("apdu", "path"),
    [
        (
            Aarq(application_context_name=LN, called_ap_invocation_id=2**31),
            "called_ap_invocation_id",
        ),
        (Aarq(application_context_name=LN, protocol_version=BitString(9, b"")), "protocol_version"),
        (
            InitiateRequest(conformance=Conformance.NONE, max_receive_pdu_size=65536),
            "max_receive_pdu_size",
        ),
        (InitiateResponse(conformance=Conformance(1 << 24), max_receive_pdu_size=0), "conformance"),
    ],
)
def test_encoding_errors_name_the_field(apdu: Apdu, path: str) -> None:
    with pytest.raises(CodecError) as caught:
        encode_apdu(apdu)
    assert caught.value.path == path


def test_requirements_without_authentication_are_none() -> None:
    octets = bytes.fromhex(f"{CONTEXT} 8a02 0700")
    decoded = decode_apdu(bytes((0x60, len(octets))) + octets)
    assert decoded == Aarq(application_context_name=LN)


def test_unknown_results_and_reasons_survive() -> None:
    answer = decode_apdu(bytes.fromhex(f"61 17 {CONTEXT} a203 020109 a305 a103 020163"))
    assert isinstance(answer, Aare)
    assert (answer.result, answer.diagnostic) == (9, 0x63)
    assert decode_apdu(bytes.fromhex("62 03 800105")) == Rlrq(reason=5)


def test_conformance_bits_are_numbered_as_in_the_standard() -> None:
    # IEC 62056-5-3, table of the conformance block: bit 0 is sent first.
    numbers = {
        "GENERAL_PROTECTION": 1,
        "GENERAL_BLOCK_TRANSFER": 2,
        "READ": 3,
        "ATTRIBUTE_0_SUPPORTED_WITH_SET": 8,
        "PRIORITY_MGMT_SUPPORTED": 9,
        "BLOCK_TRANSFER_WITH_GET_OR_READ": 11,
        "MULTIPLE_REFERENCES": 14,
        "DATA_NOTIFICATION": 16,
        "ACCESS": 17,
        "GET": 19,
        "SELECTIVE_ACCESS": 21,
        "ACTION": 23,
    }
    for name, number in numbers.items():
        assert Conformance[name] == 1 << (23 - number)
