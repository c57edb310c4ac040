from __future__ import annotations

from pathlib import Path

import pytest

from harness.bal.errors import (
    BatteryError,
    CyclicTopologyError,
    SharesError,
    UnknownBatteryError,
)
from harness.bal.model.location import Location
from harness.bal.model.partition import Partition
from harness.bal.model.values import MA_MS_PER_MAH, Kind, Policy
from harness.bal.topology_file import load_topology
from harness.errors import ScenarioError

# In no particular order: what others are made of may stand below them.
STREET = """\
[[aggregate]]
name = "third home"
sources = ["north", "own"]

[[splitter]]
source = "both"
policy = "tranched"
partitions = [{ name = "north", share = "62.5 %" }, { name = "south", share = "375000 ppm" }]

[[aggregate]]
name = "both"
sources = ["a", "b"]

[[battery]]
name = "a"
interface = "jbd:127.2.0.1:4001"
voltage_mv = 48000
capacity_mah = 110000
max_charge_ma = 30000
max_discharge_ma = 60000
point = "west"

[[battery]]
name = "b"
interface = "sunspec:127.2.0.2:502"
voltage_mv = 48000
capacity_mah = 40000
max_charge_ma = 40000
max_discharge_ma = 40000
point = "east"

[[battery]]
name = "own"
kind = "networked"
interface = "v3:127.2.0.3:4004"
voltage_mv = 48000
capacity_mah = 10000
max_charge_ma = 1000
max_discharge_ma = 1000

[[line]]
from = "west"
to = "middle"
length_m = 100

[[line]]
from = "middle"
to = "east"
length_m = 100
"""
BATTERY = """
voltage_mv = 48000
capacity_mah = 1000
max_charge_ma = 1
max_discharge_ma = 1
interface = "x"
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "street.toml"
    path.write_text(text)
    return path


def test_a_topology_is_made_from_a_file_whatever_the_order_of_its_parts(tmp_path: Path) -> None:
    batteries = load_topology(written(tmp_path, STREET), now_ms=7)
    assert sorted(batteries.names()) == ["a", "b", "both", "north", "own", "south", "third home"]
    assert batteries.sources("third home") == ["a", "b", "own"]
    expected = batteries.status("a").expected
    assert expected.capacity_ma_ms == 110_000 * MA_MS_PER_MAH
    assert (expected.max_charge_ma, expected.max_discharge_ma) == (30_000, 60_000)
    north = batteries.battery("north")
    assert isinstance(north, Partition)
    assert north.holding.share_ppm == 625_000
    assert north.divider.policy is Policy.TRANCHED
    assert batteries.battery("own").kind is Kind.NETWORKED
    assert batteries.location("both") == Location("middle", centre=True)
    assert batteries.now_ms == 7


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (
            '[[aggregate]]\nname = "x"\nsources = ["y"]\n[[aggregate]]\nname = "y"\n'
            'sources = ["x"]\n',
            CyclicTopologyError,
            r'street\.toml:\d: aggregate\.\d: battery "[xy]": it would be made of itself, '
            r'by way of "[xy]" and "[xy]"; take one of them out of the ring',
        ),
        (
            '[[splitter]]\nsource = "p"\npartitions = [{ name = "p", share = "1 %" }]\n',
            CyclicTopologyError,
            r'street\.toml:1: splitter\.0: battery "p": it would be made of itself',
        ),
        (
            '[[battery]]\nname = "b"' + BATTERY + '[[splitter]]\nsource = "b"\npartitions = '
            '[{ name = "p", share = "60 %" }, { name = "q", share = "41 %" }]\n',
            SharesError,
            r'street\.toml:8: splitter\.0: battery "b": its shares are 1010000 ppm',
        ),
        (
            '[[battery]]\nname = "home"' + BATTERY + '[[aggregate]]\nname = "x"\n'
            'sources = ["hone"]\n',
            UnknownBatteryError,
            r'street\.toml:8: aggregate\.0: battery "hone": .* did you mean "home"\?',
        ),
    ],
)
def test_a_topology_that_cannot_be_is_refused_with_its_place(
    tmp_path: Path, text: str, error: type[BatteryError], message: str
) -> None:
    with pytest.raises(ScenarioError, match=message) as refusal:
        load_topology(written(tmp_path, text))
    assert isinstance(refusal.value.__cause__, error)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '[[battery]]\nname = "b"\nvoltage = 3' + BATTERY,
            r"toml:3: battery\.0\.voltage: unknown key",
        ),
        ('[[battery]]\nname = "b"\n', r"battery\.0\.interface: is missing"),
        (
            '[[splitter]]\nsource = "b"\npolicy = "reservd"\npartitions = []\n',
            r'toml:3: splitter\.0\.policy: .*did you mean "reserved"',
        ),
        (
            '[[splitter]]\nsource = "b"\npartitions = [{ name = "p", share = 50 }]\n',
            r"toml:3: .*share: a unit is missing",
        ),
    ],
)
def test_a_file_that_makes_no_sense_is_explained(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        load_topology(written(tmp_path, text))
