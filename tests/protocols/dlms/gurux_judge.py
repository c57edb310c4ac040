"""gurux-dlms as a judge, in a process of its own: JSON lines in, JSON lines out.

gurux-dlms is GPL-2.0: it is run by tests and never imported by them or by the packages. It prints
on ciphered APDUs, so our answers go to the real standard output and its prints are dropped.
"""

from __future__ import annotations

import io
import json
import sys
from typing import Any
from xml.etree import ElementTree

from gurux_dlms import GXByteBuffer, GXDLMSTranslator, GXReplyData
from gurux_dlms.AesGcmParameter import AesGcmParameter
from gurux_dlms.ConnectionState import ConnectionState
from gurux_dlms.enums import Authentication, Conformance, DataType, InterfaceType, Security
from gurux_dlms.GXDLMSChippering import GXDLMSChippering
from gurux_dlms.GXDLMSSettings import GXDLMSSettings
from gurux_dlms.objects import GXDLMSClock, GXDLMSData, GXDLMSProfileGeneric, GXDLMSRegister
from gurux_dlms.secure import GXDLMSSecureClient

Request = dict[str, Any]


def translate(request: Request) -> object:
    """The APDU as (element, value) pairs of the translator's XML, in document order."""
    xml = GXDLMSTranslator().pduToXml(bytearray.fromhex(request["apdu"]))
    return [
        (element.tag, element.get("Value") or element.get("Qty") or element.get("Name"))
        for element in ElementTree.fromstring(xml).iter()
    ]


def from_xml(request: Request) -> object:
    """The octets the translator makes of its own XML for an APDU of ours."""
    xml = GXDLMSTranslator().pduToXml(bytearray.fromhex(request["apdu"]))
    built = GXDLMSTranslator().xmlToPdu(xml)
    return bytes(GXByteBuffer(built).array()).hex()


def make_client(request: Request) -> Any:
    client = GXDLMSSecureClient(
        True,
        16,
        1,
        getattr(Authentication, request.get("authentication", "NONE")),
        request.get("password"),
        InterfaceType.WRAPPER,
    )
    ciphering = client.ciphering
    ciphering.systemTitle = bytes.fromhex(request["title"])
    ciphering.blockCipherKey = bytes.fromhex(request["key"])
    ciphering.authenticationKey = bytes.fromhex(request["authentication_key"])
    ciphering.invocationCounter = request.get("counter", 1)
    ciphering.security = getattr(Security, request.get("security", "NONE"))
    if "server_title" in request:
        client.settings.sourceSystemTitle = bytes.fromhex(request["server_title"])
    if request.get("general"):
        client.proposedConformance |= Conformance.GENERAL_PROTECTION
    # As if the server had agreed to everything: the services are then there to be judged.
    client.settings.negotiatedConformance = client.proposedConformance
    return client


def _hex(frames: Any) -> list[str]:
    if isinstance(frames, list):  # of frames, or of lists of frames
        return [frame for inner in frames for frame in _hex(inner)]
    return [bytes(frames).hex()]


def client_requests(request: Request) -> object:
    """What its client sends for each service, as wrapper PDUs."""
    client = make_client(request)
    sent = {"aarq": _hex(client.aarqRequest())}
    # Once associated it uses general-glo-ciphering, if that was negotiated.
    client.settings.connected = int(ConnectionState.DLMS) if request.get("general") else 0
    clock, register = GXDLMSClock("0.0.1.0.0.255"), GXDLMSRegister("1.0.1.8.0.255")
    data = GXDLMSData("0.0.96.1.0.255")
    data.value = b"meter"
    data.setDataType(2, DataType.OCTET_STRING)
    profile = GXDLMSProfileGeneric("1.0.99.1.0.255")
    sent["read"] = _hex(client.read(clock, 2))
    sent["read_list"] = _hex(client.readList([(clock, 2), (register, 2)]))
    sent["read_entries"] = _hex(client.readRowsByEntry(profile, 1, 2))
    sent["write"] = _hex(client.write(data, 2))
    sent["method"] = _hex(client.method(register, 1, 0, DataType.INT8))
    client.settings.connected = int(ConnectionState.DLMS)
    sent["release"] = _hex(client.releaseRequest())
    return sent


def read_aare(request: Request) -> object:
    """What its client learns from an AARE of ours (an APDU, no wrapper)."""
    client = make_client(request)
    client.aarqRequest()
    client.parseAareResponse(GXByteBuffer(bytes.fromhex(request["aare"])))
    return {
        # It numbers the bits from the other end.
        "conformance": int(f"{int(client.negotiatedConformance):024b}"[::-1], 2),
        "max_pdu_size": client.maxReceivePDUSize,
        "challenge": bytes(client.settings.getStoCChallenge() or b"").hex(),
        "title": bytes(client.settings.sourceSystemTitle or b"").hex(),
        "authentication_required": bool(client.isAuthenticationRequired),
    }


def receive(request: Request) -> object:
    """What its client reads in a wrapper PDU of ours."""
    client = make_client(request)
    reply, notify = GXReplyData(), GXReplyData()
    client.getData(GXByteBuffer(bytes.fromhex(request["wpdu"])), reply, notify)
    got = notify if notify.value is not None else reply
    return {"value": _plain(got.value), "error": int(reply.error)}


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex()
    return value if isinstance(value, (int, str, float)) or value is None else str(value)


def _parameters(request: Request) -> Any:
    return AesGcmParameter(
        request.get("tag", 0),
        bytes.fromhex(request["title"]),
        bytes.fromhex(request["key"]),
        bytes.fromhex(request["authentication_key"]),
    )


def seal(request: Request) -> object:
    """An APDU in the envelope ``tag`` by its own ciphering."""
    parameters = _parameters(request)
    parameters.security = getattr(Security, request["security"])
    parameters.invocationCounter = request["counter"]
    sealed = GXDLMSChippering.encryptAesGcm(parameters, bytearray.fromhex(request["apdu"]))
    return bytes(sealed).hex()


def unseal(request: Request) -> object:
    """The APDU in an envelope of ours, by its own deciphering."""
    settings = GXDLMSSettings(False, None)
    opened = GXDLMSChippering.decryptAesGcm(
        settings, _parameters(request), GXByteBuffer(bytes.fromhex(request["apdu"]))
    )
    return bytes(opened).hex()


OPERATIONS = {
    function.__name__: function
    for function in (translate, from_xml, client_requests, read_aare, receive, seal, unseal)
}


def main() -> None:
    answers, sys.stdout = sys.stdout, io.StringIO()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"ok": OPERATIONS[request["operation"]](request)}
        except Exception as error:
            answer = {"failed": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
