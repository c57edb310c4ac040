from __future__ import annotations

import os
import signal

import pytest

from harness.headend.hooks import KillSwitch, Point


def test_a_switch_kills_at_its_point_the_nth_time(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: killed.append((pid, number)))
    switch = KillSwitch(Point.COMMITTED, 2)
    switch.reach(Point.COMMITTED)
    switch.reach(Point.RECEIVED)
    assert killed == []
    switch.reach(Point.COMMITTED)
    assert killed == [(os.getpid(), signal.SIGKILL)]


def test_an_unarmed_switch_never_kills(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "kill", lambda pid, number: pytest.fail("killed"))
    for point in Point:
        KillSwitch().reach(point)
