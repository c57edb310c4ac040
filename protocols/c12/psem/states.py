"""Which service may be asked for in which state of a session (C12.18 and C12.21)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from protocols.c12.application import SessionState
from protocols.c12.services import (
    Authenticate,
    DefaultRead,
    Disconnect,
    FullRead,
    FullWrite,
    Identify,
    IndexRead,
    IndexWrite,
    Logoff,
    Logon,
    Negotiate,
    OffsetRead,
    OffsetWrite,
    Security,
    Terminate,
    TimingSetup,
    Wait,
)

ALWAYS: Final[frozenset[type[Any]]] = frozenset({Terminate, Disconnect})
"""A session may be ended whether there is one or not."""

ALLOWED: Final[Mapping[SessionState, frozenset[type[Any]]]] = {
    SessionState.BASE: ALWAYS | {Identify},
    SessionState.IDENTIFIED: ALWAYS | {Negotiate, TimingSetup, Wait, Logon, Authenticate},
    SessionState.LOGGED_ON: ALWAYS
    | {FullRead, IndexRead, OffsetRead, DefaultRead, FullWrite, IndexWrite, OffsetWrite}
    | {Security, Authenticate, Wait, Logoff},
}
"""Everything else is out of sequence: INVALID_SERVICE_SEQUENCE_STATE."""

AFTER: Final[Mapping[type[Any], SessionState]] = {
    Identify: SessionState.IDENTIFIED,
    Logon: SessionState.LOGGED_ON,
    Logoff: SessionState.IDENTIFIED,
    Terminate: SessionState.BASE,
    Disconnect: SessionState.BASE,
}
"""Where an accepted request leads; the others stay where they are."""
