"""What comes of a client's requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from protocols.c12.psem.faults import Fault
from protocols.c12.psem.procedure import Procedure, ProcedureResponse
from protocols.c12.services import Body, Request, Response


@dataclass(frozen=True, slots=True)
class Answered:
    """The device said OK; ``body`` is what it brought, checked, or ``None``."""

    request: Request
    body: Body | None


@dataclass(frozen=True, slots=True)
class ProcedureAnswered:
    """The device ran the procedure, or refused to, in table 8."""

    procedure: Procedure
    response: ProcedureResponse


@dataclass(frozen=True, slots=True)
class Refused:
    """The device said something else than OK; the session goes on."""

    request: Request
    response: Response


@dataclass(frozen=True, slots=True)
class Failed:
    """The session is over, and whether ``request`` was carried out is not known."""

    request: Request | None
    fault: Fault
    detail: str


ClientEvent: TypeAlias = Answered | ProcedureAnswered | Refused | Failed
