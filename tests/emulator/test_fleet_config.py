"""Parts of a fleet: nearly equal, contiguous, and found again."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from emulator.fleet_config import FleetConfig, OutageSpan, part_holding, part_of
from netem.profiles import load_profiles
from tests.support.fleets import fleet_config


@given(total=st.integers(1, 100_000), parts=st.integers(1, 50))
def test_parts_cover_everything_once_and_differ_by_one_at_most(total: int, parts: int) -> None:
    ranges = [part_of(total, parts, number) for number in range(parts)]
    assert ranges[0].start == 0
    assert ranges[-1].stop == total
    assert all(before.stop == after.start for before, after in pairwise(ranges))
    sizes = {len(one) for one in ranges}
    assert max(sizes) - min(sizes) <= 1


@given(
    data=st.data(),
    total=st.integers(1, 100_000),
    parts=st.integers(1, 50),
    whole=st.integers(1, 200),
)
def test_the_part_holding_an_item_has_it(
    data: st.DataObject, total: int, parts: int, whole: int
) -> None:
    item = data.draw(st.integers(0, total - 1))
    assert item in part_of(total, parts, part_holding(total, parts, item, whole), whole)


@given(total=st.integers(1, 10_000), parts=st.integers(1, 20), whole=st.integers(1, 200))
def test_parts_never_split_what_is_to_stay_whole(total: int, parts: int, whole: int) -> None:
    ranges = [part_of(total, parts, number, whole) for number in range(parts)]
    assert [item for one in ranges for item in one] == list(range(total))
    assert all(one.start % whole == 0 for one in ranges if one)


def test_a_fleet_keeps_the_cells_of_its_links_together() -> None:
    shared = load_profiles()["g3-plc-cell"]
    config = fleet_config(listen_ports=(1, 2, 3), link="model", profiles={"g3-plc-cell": shared})
    assert config.cell == shared.cell > 1
    concentrators = 10 * shared.cell
    for shard in range(3):
        numbers = config.numbers_of(shard, concentrators)
        assert numbers.start % shared.cell == 0
        assert all(config.shard_of(number, concentrators) == shard for number in numbers)


def test_what_the_harness_writes_is_what_a_shard_reads() -> None:
    span = OutageSpan(number=1, starts_s=2, lasts_s=3, share_ppm=4, links=("gprs",))
    config = fleet_config(listen_ports=(1, 2, 3), outages=(span,))
    assert FleetConfig.model_validate_json(config.model_dump_json()) == config
    assert config.shards == 3


def test_a_misspelt_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="slizes"):
        fleet_config(slizes=2)
