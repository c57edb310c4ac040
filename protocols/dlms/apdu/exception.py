"""Refusals: ExceptionResponse (0xD8) and ConfirmedServiceError (0x0E)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from construct import ExprValidator, IfThenElse, Int8ub, Int32ub, Pass, this

from protocols.dlms.apdu.fields import Code
from protocols.dlms.apdu.layout import layout


class StateError(IntEnum):
    """Why the association's state forbids the service."""

    SERVICE_NOT_ALLOWED = 1
    SERVICE_UNKNOWN = 2


class ServiceError(IntEnum):
    """Why the service failed."""

    OPERATION_NOT_POSSIBLE = 1
    SERVICE_NOT_SUPPORTED = 2
    OTHER_REASON = 3
    PDU_TOO_LONG = 4
    DECIPHERING_ERROR = 5
    INVOCATION_COUNTER_ERROR = 6


@dataclass(frozen=True, slots=True)
class ExceptionResponse:
    """The service was not carried out.

    ``invocation_counter`` (u32, the last one accepted) comes with, and only with,
    `ServiceError.INVOCATION_COUNTER_ERROR`.
    """

    state_error: StateError | int
    service_error: ServiceError | int
    invocation_counter: int | None = None


@dataclass(frozen=True, slots=True)
class ConfirmedServiceError:
    """An xDLMS refusal: which ``service``, which kind of ``error``, which ``value``; each u8.

    Service 1 is initiate, 5 read, 6 write. Initiate errors (service 1, error 6): 0 other,
    1 dlms-version-too-low, 2 incompatible-conformance, 3 pdu-size-too-short,
    4 refused-by-the-VDE-handler.
    """

    service: int
    error: int
    value: int


_NOTHING: Any = ExprValidator(Pass, lambda counter, _: counter is None)
_COUNTER: Final = IfThenElse(
    this.service_error == ServiceError.INVOCATION_COUNTER_ERROR, Int32ub, _NOTHING
)

LAYOUTS: Final = (
    layout(
        ExceptionResponse,
        b"\xd8",
        "state_error" / Code(StateError),
        "service_error" / Code(ServiceError),
        "invocation_counter" / _COUNTER,
    ),
    layout(ConfirmedServiceError, b"\x0e", "service" / Int8ub, "error" / Int8ub, "value" / Int8ub),
)
