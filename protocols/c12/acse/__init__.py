"""The ACSE PDU, the envelope of every C12.22 message."""

from protocols.c12.acse.elements import (
    APDU_TAG,
    C1222_CONTEXT,
    CALLED_TAG,
    CALLING_TAG,
    CODEC,
    encode_apdu,
    encode_elements,
    information_header,
    interpret_header,
)
from protocols.c12.acse.header import (
    AeQualifier,
    AuthenticationValue,
    Header,
    ReadApdu,
    SegmentPosition,
    Spans,
)
from protocols.c12.acse.shapes import decode_apdu

__all__ = [
    "APDU_TAG",
    "C1222_CONTEXT",
    "CALLED_TAG",
    "CALLING_TAG",
    "CODEC",
    "AeQualifier",
    "AuthenticationValue",
    "Header",
    "ReadApdu",
    "SegmentPosition",
    "Spans",
    "decode_apdu",
    "encode_apdu",
    "encode_elements",
    "information_header",
    "interpret_header",
]
