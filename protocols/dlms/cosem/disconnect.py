"""Disconnect control (class 70): states, modes and the transitions each mode allows.

IEC 62056-6-2, Blue Book 4.5.8: the figure of state transitions (letters a to h) and the table
"Disconnect control, modes of operation".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum, IntEnum, auto
from typing import Final

from protocols.dlms.apdu import ActionResult
from protocols.dlms.cosem.base import ActionOutcome, Caller, CosemObject, Method
from protocols.dlms.cosem.classes import DISCONNECT_CONTROL
from protocols.dlms.data import Data, boolean, enum


class ControlState(IntEnum):
    """Whether the premises are connected."""

    DISCONNECTED = 0
    CONNECTED = 1
    READY_FOR_RECONNECTION = 2


class Switching(Enum):
    """Who asks for what."""

    REMOTE_DISCONNECT = auto()
    REMOTE_RECONNECT = auto()
    MANUAL_DISCONNECT = auto()
    MANUAL_RECONNECT = auto()
    LOCAL_DISCONNECT = auto()
    LOCAL_RECONNECT = auto()


class Transition(Enum):
    """The arrows of the standard's figure: (from, cause, to)."""

    A = (ControlState.DISCONNECTED, Switching.REMOTE_RECONNECT, ControlState.CONNECTED)
    B = (ControlState.CONNECTED, Switching.REMOTE_DISCONNECT, ControlState.DISCONNECTED)
    C = (
        ControlState.READY_FOR_RECONNECTION,
        Switching.REMOTE_DISCONNECT,
        ControlState.DISCONNECTED,
    )
    D = (
        ControlState.DISCONNECTED,
        Switching.REMOTE_RECONNECT,
        ControlState.READY_FOR_RECONNECTION,
    )
    E = (ControlState.READY_FOR_RECONNECTION, Switching.MANUAL_RECONNECT, ControlState.CONNECTED)
    F = (ControlState.CONNECTED, Switching.MANUAL_DISCONNECT, ControlState.READY_FOR_RECONNECTION)
    G = (ControlState.CONNECTED, Switching.LOCAL_DISCONNECT, ControlState.READY_FOR_RECONNECTION)
    H = (ControlState.READY_FOR_RECONNECTION, Switching.LOCAL_RECONNECT, ControlState.CONNECTED)


MODES: Final[Mapping[int, str]] = {
    0: "",
    1: "BCDEFG",
    2: "ABCEFG",
    3: "BCDEG",
    4: "ABCEG",
    5: "BCDEFGH",
    6: "BCDEGH",
}
"""The arrows each control mode allows."""


def next_state(mode: int, state: ControlState, cause: Switching) -> ControlState | None:
    """Return where ``cause`` leads from ``state``, or ``None`` where ``mode`` forbids it."""
    for letter in MODES[mode]:
        source, wanted, target = Transition[letter].value
        if (source, wanted) == (state, cause):
            return target
    return None


def disconnect_control(
    logical_name: bytes,
    *,
    state: Callable[[], ControlState],
    change: Callable[[ControlState, Caller], None],
    mode: int = 2,
) -> CosemObject:
    """Return a disconnect control whose state lives with the caller.

    ``change`` is called only when the state changes. Asking for the state that holds already
    succeeds and changes nothing, so a repeated command does no harm.
    """

    def switch(cause: Switching, already: frozenset[ControlState]) -> Method:
        def act(_parameters: Data, caller: Caller) -> ActionOutcome:
            now = state()
            target = next_state(mode, now, cause)
            if target is not None:
                change(target, caller)
            elif now not in already:
                return ActionOutcome(ActionResult.OTHER_REASON)
            return ActionOutcome(ActionResult.SUCCESS)

        return act

    reconnected = {ControlState.CONNECTED}
    if "D" in MODES[mode]:
        reconnected.add(ControlState.READY_FOR_RECONNECTION)
    return CosemObject(
        DISCONNECT_CONTROL,
        logical_name,
        values={
            2: lambda: boolean(state() is ControlState.CONNECTED),
            3: lambda: enum(state()),
            4: enum(mode),
        },
        methods={
            1: switch(Switching.REMOTE_DISCONNECT, frozenset({ControlState.DISCONNECTED})),
            2: switch(Switching.REMOTE_RECONNECT, frozenset(reconnected)),
        },
    )
