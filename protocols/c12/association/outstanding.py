"""How a request travels, and what is kept of it until it is answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocols.c12.acse import AeQualifier, AuthenticationValue, Header
from protocols.c12.epsem import Epsem, ResponseControl, SecurityMode
from protocols.c12.services import Logon, Request
from protocols.c12.titles import ApTitle


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a request travels.

    ``security`` and ``key_id`` say how it is protected; ``response`` when it is answered;
    ``qualifier``, ``ed_class``, ``recovery`` and ``proxy`` go along as they are. ``timeout_s`` and
    ``retries`` replace the options' where given.
    """

    security: SecurityMode = SecurityMode.CLEAR
    key_id: int | None = None
    response: ResponseControl = ResponseControl.ALWAYS
    qualifier: AeQualifier | None = None
    ed_class: bytes | None = None
    recovery: bool = False
    proxy: bool = False
    timeout_s: float | None = None
    retries: int | None = None


DELIVERY: Final = Delivery()


@dataclass(slots=True, eq=False)
class ClientSession:
    """A session that a node answered our Logon with; values that its messages imply."""

    timeout_s: int
    deadline: float
    ours: AuthenticationValue | None
    theirs: AuthenticationValue | None
    invocation: int = 0


@dataclass(slots=True, eq=False)
class Outstanding:
    """A request that waits for its answer; ``deadline`` is that of the attempt under way."""

    invocation: int
    peer: ApTitle
    requests: tuple[Request, ...]
    header: Header
    epsem: Epsem
    key_id: int | None
    deadline: float
    timeout_s: float
    retries: int
    session: ClientSession | None
    sent_under: AuthenticationValue | None = None

    @property
    def logon(self) -> bool:
        """Whether it asks for a session."""
        return any(isinstance(request, Logon) for request in self.requests)
