"""What ``meterstorm serve`` says of ANSI fleets and of the optical ports of their meters."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import ArgumentsError
from harness.run.preparation import Prepared, prepare
from harness.scenario import Scenario
from harness.serve import OpticalPorts, serve_fleet, summary
from tests.harness.test_serve import SCENARIO


def prepared(folder: Path, protocol: str) -> Prepared:
    file = folder / "served.toml"
    file.write_text(SCENARIO.replace('link = "none"', f'link = "none"\nprotocol = "{protocol}"'))
    return prepare(Scenario.load(file), scenario_file=file, out=folder / "runs")


def test_it_says_how_ansi_meters_are_read(tmp_path: Path) -> None:
    told = summary(prepared(tmp_path, "c12"))
    assert "listening  ANSI C12.22 over TCP (RFC 6142):" in told
    assert "the Security service with the secret" in told
    assert "messages authenticated and encrypted" in told
    assert "client 16" not in told


def test_a_mixed_fleet_is_told_both_ways(tmp_path: Path) -> None:
    told = summary(prepared(tmp_path, "mix"))
    assert "DLMS, TCP wrapper (IEC 62056-47), ANSI C12.22 over TCP (RFC 6142)" in told
    assert "client 16" in told
    assert "ApTitles below 2.16.124.113620.1.22.0" in told


def test_it_tells_termineter_where_and_with_which_password(tmp_path: Path) -> None:
    ready = prepared(tmp_path, "c12")
    told = summary(ready, {4: "/dev/pts/9"})
    assert "optical    /dev/pts/9  MST0000000000005, meter 4" in told
    assert "set SERIAL_CONNECTION /dev/pts/9" in told
    lines = (ready.provisioning / "nodes.csv").read_text().splitlines()
    secret = lines[1 + 4].rpartition(",")[2]
    assert f"set PASSWORD {secret}{b'    '.hex()}" in told


def test_optical_ports_follow_each_other_from_the_first() -> None:
    assert [OpticalPorts((7, 8), 5_000).port_of(place) for place in range(2)] == [5_000, 5_001]
    assert [OpticalPorts((7, 8)).port_of(place) for place in range(2)] == [0, 0]
    assert OpticalPorts((7,), terminals=True).port_of(0) is None


@pytest.mark.parametrize(
    ("protocol", "meter", "says"),
    [("c12", 9, "no meter 9: they count from 0 to 8"), ("dlms", 0, "meter 0 speaks dlms")],
)
def test_a_meter_without_an_optical_port_is_refused(
    tmp_path: Path, protocol: str, meter: int, says: str
) -> None:
    file = tmp_path / "served.toml"
    file.write_text(SCENARIO.replace('link = "none"', f'link = "none"\nprotocol = "{protocol}"'))
    with pytest.raises(ArgumentsError, match=says):
        serve_fleet(
            Scenario.load(file),
            scenario_file=file,
            out=tmp_path / "runs",
            optical=OpticalPorts((meter,)),
        )
