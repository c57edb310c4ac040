"""Who speaks what."""

from __future__ import annotations

import pytest

from emulator.device import BUFFER_INTERVALS
from emulator.dialects import Dialects, particular, spoken
from tests.support.fleets import fleet_config, grid_of


def test_a_fleet_of_one_protocol_speaks_that() -> None:
    config = fleet_config()
    dialects = Dialects(config, grid_of(config))
    assert list(dialects.plugins) == ["dlms"] == [dialects.name(0)]
    assert dialects.plugin(0) is dialects.plugins["dlms"]
    assert not dialects.plugin(0).has_nodes


def test_a_mixed_fleet_speaks_what_the_grid_says() -> None:
    assert spoken("mix") == ("dlms", "c12")
    assert spoken("dlms") == ("dlms",)


def test_an_unknown_protocol_names_those_there_are() -> None:
    config = fleet_config(protocol="dlsm")
    with pytest.raises(LookupError, match="dlms"):
        Dialects(config, grid_of(config))


def test_ansi_meters_keep_their_history_as_far_as_a_buffer_goes() -> None:
    def blocks(**behaviour: int) -> object:
        return particular(fleet_config(behaviour=behaviour)).get("load_profile_blocks")

    assert blocks() is None
    assert blocks(preloaded=2971) == 2975
    assert blocks(preloaded=30_000) == BUFFER_INTERVALS
