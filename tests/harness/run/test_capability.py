"""What a run in namespaces of its own cannot reach. That it is started anew, whole runs show."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ArgumentsError, EnvironmentUnfitError, ScenarioError
from harness.run.capability import OWN_NAMESPACE, become_able, entrance, refuse_out_of_reach
from harness.scenario import Scenario
from tests.support.recorded_run import SCENARIO

FILE = Path("x.toml")
EXTERNAL: dict[str, Any] = {
    "kind": "external",
    "push": {"host": "192.0.2.1", "port": 4059},
    "read_back": {"kind": "files", "folder": "stored"},
}


def scenario(link: str = "packet", **changes: Any) -> Scenario:
    return Scenario.model_validate({**SCENARIO, "link": link, **changes})


def on_postgresql(url: str) -> Scenario:
    return scenario(target={"store": {"kind": "postgresql", "url": url}})


def test_the_reference_head_end_is_always_in_reach() -> None:
    refuse_out_of_reach(scenario(), FILE)


def test_somebody_elses_head_end_is_not() -> None:
    with pytest.raises(ScenarioError, match=r"x\.toml: target\.kind: .*your head-end is not in it"):
        refuse_out_of_reach(scenario(target=EXTERNAL), FILE)


def test_somebody_elses_battery_layer_is_not() -> None:
    layer = {"virtual": 1, "target": {"kind": "external", "url": "http://127.0.0.1:8000"}}
    theirs = scenario(batteries={"count": 2}, bal=layer)
    wanted = r"x\.toml: bal\.target\.kind: .*your battery layer is not in it"
    with pytest.raises(ScenarioError, match=wanted):
        refuse_out_of_reach(theirs, FILE)
    refuse_out_of_reach(scenario(batteries={"count": 2}, bal={"virtual": 1}), FILE)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://127.0.0.1/x",
        "postgresql://user@db.example:5433/x",
        "postgresql:///x?host=localhost",
        "postgresql:///x?hostaddr=127.0.0.1",
    ],
)
def test_postgresql_over_tcp_is_not(url: str) -> None:
    with pytest.raises(ScenarioError, match=r"target\.store\.url: .*over its Unix socket"):
        refuse_out_of_reach(on_postgresql(url), FILE)


@pytest.mark.parametrize(
    "url", ["postgresql:///x", "postgresql:///x?host=/run/postgresql", "postgresql://%2Frun/x"]
)
def test_postgresql_over_its_unix_socket_is(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGHOST", raising=False)
    refuse_out_of_reach(on_postgresql(url), FILE)


def test_the_host_of_the_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "db.example")
    with pytest.raises(ScenarioError, match=r"db\.example"):
        refuse_out_of_reach(on_postgresql("postgresql:///x"), FILE)


def test_a_served_fleet_is_for_somebody_outside() -> None:
    with pytest.raises(ScenarioError, match=r"link: .*nobody outside could reach the fleet"):
        refuse_out_of_reach(scenario(), FILE, serves=True)


@pytest.mark.parametrize("wanted", ["ui", "attached"])
def test_locust_is_inside(wanted: str) -> None:
    with pytest.raises(ArgumentsError, match="unshare --user --map-root-user --net"):
        refuse_out_of_reach(scenario(), FILE, **{wanted: True})


def test_modelled_links_need_nothing() -> None:
    become_able(scenario("model", target=EXTERNAL), FILE, [], ui=True, attached=True)


def test_whatever_the_links_are_the_congestion_control_must_be_there() -> None:
    with pytest.raises(EnvironmentUnfitError, match="'pigeon' is not there"):
        become_able(scenario("none", links={"congestion": "pigeon"}), FILE, [])


def test_who_was_started_anew_says_how_to_get_in(monkeypatch: pytest.MonkeyPatch) -> None:
    assert entrance(7) == ""
    monkeypatch.setenv(OWN_NAMESPACE, str(os.getpid()))
    assert "nsenter --user --net --preserve-credentials --target 7" in entrance(7)
