"""Meters that are nodes of their own: what is exported of them is what a head-end knows."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from emulator.capture import capture_profile
from emulator.fleet_config import FleetConfig
from emulator.grid import Grid, generate_grid
from emulator.identity import concentrator_name, meter_name
from emulator.keys import SeededKeys
from harness.headend.registry import Registry
from harness.provisioned_nodes import NO_NODES
from harness.provisioning import NODES_FILE, Provisioning, export_devices
from protocols.c12.plugin import C12Plugin
from tests.support.grids import FIRST_S, behaviour, small_grid

SEED = 7
PLUGIN = C12Plugin()


def exported(folder: Path, protocol: str = "c12") -> tuple[Grid, Provisioning]:
    config = FleetConfig(
        seed=SEED,
        first_s=FIRST_S,
        grid=small_grid(5),
        behaviour=behaviour(4),
        listen_ports=(5001,),
        protocol=protocol,
    )
    grid = generate_grid(config.grid, config.behaviour, SEED)
    export_devices(folder, config, grid, capture_profile(config.grid))
    return grid, Provisioning.load(folder)


def test_what_is_known_of_nodes_shows_no_key(tmp_path: Path) -> None:
    _, known = exported(tmp_path)
    node = known.nodes.behind(0, 1)[0]
    for shown in (repr(known.nodes), repr(known.nodes.behind(0, 1))):
        assert node.encryption_key.hex() not in shown


def test_every_meter_has_a_title_and_keys_of_its_own(tmp_path: Path) -> None:
    grid, known = exported(tmp_path)
    keys = SeededKeys(SEED)
    for record in known.concentrators:
        relay = PLUGIN.title_of(concentrator_name(record.number))
        behind = known.nodes.behind(record.first_meter, record.meters)
        assert len(behind) == len(grid.meters_of(record.number))
        for meter, node in zip(grid.meters_of(record.number), behind, strict=True):
            name = meter_name(meter)
            assert (node.name, node.behind) == (name, relay)
            assert node.system_title == PLUGIN.title_of(name)
            own = keys.of(name, node.system_title)
            assert (node.encryption_key, node.secret) == (own.encryption_key, own.secret)


def test_a_registry_knows_nodes_by_title_and_whom_they_are_behind(tmp_path: Path) -> None:
    grid, known = exported(tmp_path)
    registry = Registry(known)
    for concentrator in range(grid.concentrators):
        for meter in grid.meters_of(concentrator):
            title = PLUGIN.title_of(meter_name(meter))
            found, record = registry.credentials(title), registry.by_title(title)
            assert found is not None
            assert record is not None
            assert (found.name, record.number) == (meter_name(meter), concentrator)
            assert registry.meter(title) == meter
        record = known.concentrators[concentrator]
        assert len(registry.with_members(record).members) == record.meters


def test_a_shard_knows_no_nodes_of_another(tmp_path: Path) -> None:
    grid, known = exported(tmp_path)
    registry = Registry(known, range(2))
    stranger = PLUGIN.title_of(meter_name(grid.meters - 1))
    assert registry.credentials(stranger) is None
    assert registry.by_title(stranger) is None
    assert registry.credentials(PLUGIN.title_of(meter_name(0))) is not None


def test_an_unknown_title_is_nobody(tmp_path: Path) -> None:
    grid, known = exported(tmp_path)
    assert Registry(known).credentials(PLUGIN.title_of(meter_name(grid.meters))) is None
    assert Registry(known).meter(b"") is None


def test_only_the_owner_may_read_the_keys_of_nodes(tmp_path: Path) -> None:
    exported(tmp_path)
    assert stat.S_IMODE((tmp_path / NODES_FILE).stat().st_mode) == 0o600


@pytest.mark.parametrize("protocol", ["dlms"])
def test_meters_behind_a_dlms_concentrator_are_no_nodes(tmp_path: Path, protocol: str) -> None:
    _, known = exported(tmp_path, protocol)
    assert not known.nodes.meters
    assert not NO_NODES.by_title
