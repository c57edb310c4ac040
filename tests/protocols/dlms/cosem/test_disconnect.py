"""Disconnect control against the standard's table of modes."""

from __future__ import annotations

from itertools import product

import pytest

from protocols.dlms.apdu import ActionResult
from protocols.dlms.cosem.access import Level
from protocols.dlms.cosem.base import Caller
from protocols.dlms.cosem.disconnect import (
    MODES,
    ControlState,
    Switching,
    disconnect_control,
    next_state,
)
from protocols.dlms.data import boolean, enum, integer

OFF, ON, READY = ControlState
CALLER = Caller(1, Level.HIGH, 0.0, 9)
NAME = bytes.fromhex("000060030aff")

REMOTE_RECONNECT_LEADS_TO = {1: READY, 2: ON, 3: READY, 4: ON, 5: READY, 6: READY}
"""Blue Book 4.5.8: remote reconnection connects in modes 2 and 4, else it makes ready."""


@pytest.mark.parametrize(("mode", "target"), REMOTE_RECONNECT_LEADS_TO.items())
def test_remote_reconnection(mode: int, target: ControlState) -> None:
    assert next_state(mode, OFF, Switching.REMOTE_RECONNECT) is target


@pytest.mark.parametrize("mode", range(1, 7))
def test_remote_disconnection_works_in_every_mode_but_0(mode: int) -> None:
    assert next_state(mode, ON, Switching.REMOTE_DISCONNECT) is OFF
    assert next_state(mode, READY, Switching.REMOTE_DISCONNECT) is OFF


@pytest.mark.parametrize(
    ("cause", "modes"),
    [
        (Switching.MANUAL_DISCONNECT, {1, 2, 5}),
        (Switching.LOCAL_DISCONNECT, {1, 2, 3, 4, 5, 6}),
        (Switching.MANUAL_RECONNECT, {1, 2, 3, 4, 5, 6}),
        (Switching.LOCAL_RECONNECT, {5, 6}),
    ],
)
def test_manual_and_local_switching(cause: Switching, modes: set[int]) -> None:
    start = READY if cause.name.endswith("RECONNECT") else ON
    target = ON if start is READY else READY
    found = {mode for mode in MODES if next_state(mode, start, cause) is target}
    assert found == modes


def test_mode_0_is_always_connected() -> None:
    assert not [
        next_state(0, state, cause)
        for state, cause in product(ControlState, Switching)
        if next_state(0, state, cause) is not None
    ]


@pytest.mark.parametrize(
    ("mode", "state", "method", "result", "after"),
    [
        pytest.param(4, ON, 1, ActionResult.SUCCESS, OFF, id="disconnect"),
        pytest.param(4, OFF, 2, ActionResult.SUCCESS, ON, id="reconnect"),
        pytest.param(3, OFF, 2, ActionResult.SUCCESS, READY, id="make ready"),
        pytest.param(4, OFF, 1, ActionResult.SUCCESS, OFF, id="disconnected already"),
        pytest.param(4, ON, 2, ActionResult.SUCCESS, ON, id="connected already"),
        pytest.param(3, READY, 2, ActionResult.SUCCESS, READY, id="ready already"),
        pytest.param(4, READY, 2, ActionResult.OTHER_REASON, READY, id="a hand is needed"),
        pytest.param(0, ON, 1, ActionResult.OTHER_REASON, ON, id="mode 0"),
    ],
)
def test_remote_commands(
    mode: int, state: ControlState, method: int, result: ActionResult, after: ControlState
) -> None:
    changes = [state]
    item = disconnect_control(
        NAME,
        state=lambda: changes[-1],
        change=lambda new, _caller: changes.append(new),
        mode=mode,
    )
    assert item.invoke(method, integer(0), CALLER).result is result
    assert changes[-1] is after
    assert len(changes) == 1 + (after is not state)  # a repeated command changes nothing
    assert item.read(2, None, Level.LOW) == boolean(after is ON)
    assert item.read(3, None, Level.LOW) == enum(after)
