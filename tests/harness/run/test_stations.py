"""Who is in a lab: concentrators and batteries, each with classes and probe links of their own."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from emulator.schedule import Outage
from harness.run.battery_files import battery_fleet
from harness.run.preparation import Prepared
from harness.run.stations import PROBES_PER_CLASS, LabPart, lab_changes, lab_parts
from netem.addresses import AddressPlan
from tests.support.recorded_run import SCENARIO, RecordedFolder

LINKS: Final = [{"profile": f"seed-{number}", "share": "50 %"} for number in (1, 2)]
BATTERIES: Final[dict[str, Any]] = {
    "count": 20,
    "links": [{"profile": name, "share": "50 %"} for name in ("seed-2", "lte")],
}
OUTAGES: Final = [
    {"do": "outage", "at": "00:10", "for": "5 min", "of": "batteries", "share": "50 %"},
    {"do": "outage", "at": "00:05", "for": "5 min", "share": "50 %"},
    {"do": "degrade", "at": "00:20", "for": "5 min", "of": "batteries", "loss": "50 %"},
]


def prepared(folder: Path, **changes: Any) -> Prepared:
    grid = {**SCENARIO["grid"], "links": LINKS}
    there = {"link": "packet", "grid": grid, "batteries": BATTERIES, "bal": {"virtual": 2}}
    return RecordedFolder(folder, there | changes).prepared


def plan(parts: tuple[LabPart, ...]) -> AddressPlan:
    return AddressPlan(np.concatenate([part.stations for part in parts]))


def test_batteries_follow_and_move_nobody(tmp_path: Path) -> None:
    run = prepared(tmp_path)
    concentrators, batteries = lab_parts(run)
    everybody, alone = plan((concentrators, batteries)), plan((concentrators,))
    for number in range(run.grid.concentrators):
        assert everybody.address(number) == alone.address(number)
        assert everybody.category(number) == run.grid.link_category[number]
    assert batteries.first_station == run.grid.concentrators + 2 * PROBES_PER_CLASS


def test_batteries_are_told_the_addresses_that_the_lab_gives_them(tmp_path: Path) -> None:
    run = prepared(tmp_path)
    assert run.scenario.batteries is not None
    _, part = parts = lab_parts(run)
    told = battery_fleet(run.scenario, 0, (1,)).addresses(part.grid)  # type: ignore[arg-type]
    lab = plan(parts)
    for number in range(20):
        address = lab.address(part.first_station + number)
        assert told.address(number) == address
        assert told.number_of(address) == number
        assert address.startswith(("10.3.", "10.4."))
    assert told.number_of("10.1.0.1") is None, "that is a concentrator's"


def test_one_profile_may_be_two_classes(tmp_path: Path) -> None:
    concentrators, batteries = lab_parts(prepared(tmp_path))
    assert concentrators.names == ("seed-1", "seed-2")
    assert batteries.names == ("seed-2 of batteries", "lte of batteries")
    assert batteries.profiles[0] == concentrators.profiles[1]
    assert set(batteries.stations) == {2, 3}


def test_each_class_has_probe_links_that_nobody_uses(tmp_path: Path) -> None:
    parts = lab_parts(prepared(tmp_path))
    lab = plan(parts)
    classes = [[lab.category(station) for station in part.probe_stations] for part in parts]
    assert classes == [
        [category for category in pair for _ in range(PROBES_PER_CLASS)]
        for pair in ((0, 1), (2, 3))
    ]
    used = {number for part in parts for number in range(
        part.first_station, part.first_station + len(part.grid.link_category)
    )}  # fmt: skip
    assert used.isdisjoint(station for part in parts for station in part.probe_stations)
    assert len(used) + sum(len(part.probe_stations) for part in parts) == len(lab)


@pytest.mark.parametrize("without", [{"batteries": None, "bal": None}, {"bal": None}])
def test_batteries_that_a_run_does_not_start_are_not_there(
    without: dict[str, Any], tmp_path: Path
) -> None:
    assert len(lab_parts(prepared(tmp_path, **without))) == 1


def test_what_befalls_batteries_befalls_their_stations(tmp_path: Path) -> None:
    run = prepared(tmp_path, timeline=OUTAGES)
    _, batteries = parts = lab_parts(run)
    changes = list(lab_changes(parts))
    assert all(before.at_s <= after.at_s for before, after in pairwise(changes))
    lab, cut = plan(parts), dict[float, set[int]]()
    for change in changes:
        assert change.numbers is None or set(change.numbers) <= {
            int(number) for number in np.flatnonzero(concat(parts) == change.category)
        }
        if change.profile.up.loss.mean_ppm == 1_000_000 and change.numbers is not None:
            cut.setdefault(change.at_s, set()).update(change.numbers.tolist())
    # The process of batteries draws by itself whom it cuts off: it must be the same ones.
    apart = battery_fleet(run.scenario, 0, (1,)).apart
    hits = Outage(apart.outages[0], batteries.grid, apart.seed).hits
    assert cut[600.0] == {batteries.first_station + n for n in np.flatnonzero(hits).tolist()}
    assert cut[300.0] < set(range(run.grid.concentrators))
    whole = [change for change in changes if change.at_s == 1_200.0]
    assert {change.category for change in whole} == {2, 3}
    assert all(change.numbers is None for change in whole), "probes meet it, too"
    assert len(lab) == batteries.probe_stations.stop


def concat(parts: tuple[LabPart, ...]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.concatenate([part.stations for part in parts])
