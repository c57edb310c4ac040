"""Why an APDU is refused, what answer that gets, and how the checks say so."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from protocols.c12.acse import Header
from protocols.c12.epsem import Control
from protocols.c12.services import ResponseCode


class RefusalKind(StrEnum):
    """Why; the values are words for counters and reports."""

    MALFORMED = "malformed"
    MALFORMED_SERVICE = "malformed service"
    UNKNOWN_SERVICE = "unknown service"
    UNKNOWN_TITLE = "unknown ApTitle"
    UNKNOWN_KEY = "unknown key"
    WRONG_MAC = "wrong MAC"
    NO_VECTOR = "no vector"
    NOT_PROTECTED = "not protected"
    REPEATED_VECTOR = "repeated vector"
    REPEATED_INVOCATION = "repeated invocation id"
    REPEATED_REQUEST = "repeated request"
    UNEXPECTED = "unexpected request"
    UNEXPECTED_RESPONSE = "unexpected response"
    OVERSIZED = "oversized"
    RESPONSE_TOO_LARGE = "response too large"
    CANNOT_SEGMENT = "cannot segment"
    SEGMENT_DOUBLED = "segment doubled"
    SEGMENT_INCONSISTENT = "segment inconsistent"
    SEGMENT_LOST = "segment lost"
    TOO_MANY_REASSEMBLIES = "too many reassemblies"
    TOO_MANY_SESSIONS = "too many sessions"


ANSWERS: Final[dict[RefusalKind, ResponseCode]] = {
    RefusalKind.MALFORMED_SERVICE: ResponseCode.INAPPROPRIATE_ACTION_REQUESTED,
    RefusalKind.UNKNOWN_SERVICE: ResponseCode.SERVICE_NOT_SUPPORTED,
    RefusalKind.UNKNOWN_TITLE: ResponseCode.UNKNOWN_APPLICATION_TITLE,
    RefusalKind.UNKNOWN_KEY: ResponseCode.SECURITY_MECHANISM_ERROR,
    RefusalKind.WRONG_MAC: ResponseCode.SECURITY_MECHANISM_ERROR,
    RefusalKind.NO_VECTOR: ResponseCode.SECURITY_MECHANISM_ERROR,
    RefusalKind.NOT_PROTECTED: ResponseCode.INSUFFICIENT_SECURITY_CLEARANCE,
    RefusalKind.REPEATED_VECTOR: ResponseCode.SECURITY_MECHANISM_ERROR,
    RefusalKind.REPEATED_INVOCATION: ResponseCode.SECURITY_MECHANISM_ERROR,
    RefusalKind.UNEXPECTED: ResponseCode.SERVICE_NOT_SUPPORTED,
    RefusalKind.OVERSIZED: ResponseCode.REQUEST_TOO_LARGE,
    RefusalKind.RESPONSE_TOO_LARGE: ResponseCode.RESPONSE_TOO_LARGE,
    RefusalKind.SEGMENT_INCONSISTENT: ResponseCode.SEGMENTATION_ERROR,
    RefusalKind.CANNOT_SEGMENT: ResponseCode.SEGMENTATION_NOT_POSSIBLE,
    RefusalKind.TOO_MANY_REASSEMBLIES: ResponseCode.DEVICE_BUSY,
    RefusalKind.TOO_MANY_SESSIONS: ResponseCode.DEVICE_BUSY,
}
"""What the sender of a request is told; kinds that are not here are counted only.

A service that cannot be read is an inappropriate action wherever that is found out: by a server or
by a head-end, in one service or in a whole message. One answer, so that a peer can tell by it.
"""


class Refusal(Exception):
    """Carries the outcome out of the checks.

    ``header`` is who to answer, ``None`` where it could not be read; ``control`` is what the
    request said about answers, ``None`` where that could not be read.
    """

    def __init__(
        self,
        kind: RefusalKind,
        detail: str,
        header: Header | None = None,
        control: Control | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.header = header
        self.control = control
