"""Ports of batteries are not those of the fleet, which shares a network with them."""

from __future__ import annotations

import pytest

from harness.run import battery_processes
from harness.run.battery_processes import _ports_beside


def test_ports_that_the_fleet_is_about_to_listen_on_are_not_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn = iter([[4_000, 4_001], [4_002, 4_003]])
    monkeypatch.setattr(battery_processes, "free_ports", lambda _: next(drawn))
    assert _ports_beside(2, (4_001,)) == [4_002, 4_003]
