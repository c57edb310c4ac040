from __future__ import annotations

from copy import deepcopy
from random import Random
from unittest import mock

import pytest
from pydantic import ValidationError

from harness.bal.model import accounting
from harness.bal.model.batteries import Batteries
from harness.bal.model.durable import decoded, encoded, restored, state_of
from harness.bal.model.location import ConnectionGrid, Line
from harness.bal.model.values import Policy, Share
from tests.harness.bal.model.test_random_topologies import World, live
from tests.support.battery_model import HOUR_MS, add, read, told


def back(batteries: Batteries) -> Batteries:
    return restored(decoded(encoded(state_of(batteries))))


def busy() -> Batteries:
    batteries = Batteries(ConnectionGrid([Line("x", "y", 3)]), now_ms=500)
    for name in ("a", "b", "c"):
        add(batteries, name, ah=10, discharge_a=10, holds_ah=5, point="x")
    batteries.make_aggregator("both", ["a", "b"])
    shares = [Share.percent(name, 25) for name in ("p", "q", "gone")]
    batteries.make_splitter(shares, "both", Policy.RESERVED)
    batteries.set_discharge("gone", 100, 1_000)
    batteries.remove("gone", 2_000)
    batteries.set_discharge("p", 1_000, 3_000)
    batteries.schedule("q", -700, 10_000, 20_000, 4_000)
    batteries.source_lost("c", 4_000)
    return batteries


def test_what_comes_back_is_what_was_there() -> None:
    batteries = busy()
    batteries.due(4_000)
    again = back(batteries)
    assert state_of(again) == state_of(batteries)
    assert again.names() == batteries.names()
    for name in batteries.names():
        assert again.status(name) == batteries.status(name)
        assert again.location(name) == batteries.location(name)
    assert again.flows(0, 9_000) == batteries.flows(0, 9_000)


def test_names_that_look_like_the_file_are_names() -> None:
    batteries = Batteries(ConnectionGrid([Line('"made":[]', "y", 3)]))
    add(batteries, '"made":[],', ah=10, discharge_a=10, point='"made":[]')
    assert state_of(back(batteries)) == state_of(batteries)


def test_an_account_that_was_shortened_comes_back_as_such() -> None:
    batteries = Batteries()
    add(batteries, "a", ah=1_000, discharge_a=10, holds_ah=500)
    batteries.make_splitter([Share.percent("p", 50), Share.percent("q", 50)], "a")
    with mock.patch.multiple(accounting, STRETCHES_MAX=20, FINE=5, OLD_MAX=10):
        for number in range(1, 100):
            for name in ("p", "q"):
                batteries.set_discharge(name, number, number * 400_000)
    batteries.remove("q", 40_000_000)
    for from_ms in (33_000_001, 39_700_001):
        assert back(batteries).flows(from_ms, 41_000_000) == batteries.flows(from_ms, 41_000_000)
    assert state_of(back(batteries)) == state_of(batteries)


def test_what_comes_back_goes_on_the_same_way() -> None:
    batteries = busy()
    batteries.due(4_000)
    again = back(batteries)
    for one in (batteries, again):
        assert one.due(9_999) == []
        # q charges with 700 mA of the 1000 mA that p gives.
        assert told(one.due(10_000)) == {"a": 150, "b": 150}
        read(one, "a", 4, 15_000)
        assert told(one.due(20_000)) == {"a": 444, "b": 556}
    assert again.flows(0, HOUR_MS) == batteries.flows(0, HOUR_MS)


def test_orders_that_nobody_took_come_back_too() -> None:
    batteries = busy()
    batteries.engine.advance(10_000, "")
    orders = told(back(batteries).due(10_000))
    assert orders == told(batteries.due(10_000)) == {"a": 150, "b": 150}


def test_every_order_is_given_anew_when_asked_for() -> None:
    batteries = busy()
    batteries.due(4_000)
    again = back(batteries)
    again.reissue(5_000)
    assert told(again.due(5_000)) == {"a": 500, "b": 500}
    assert again.due(6_000) == []


def test_a_state_that_is_none_is_refused() -> None:
    with pytest.raises(ValidationError):
        decoded(b'{"now_ms": 0}')


@pytest.mark.parametrize("seed", range(4))
def test_random_worlds_go_on_the_same_way(seed: int) -> None:
    world = World(Random(seed))
    world.obey(world.batteries.due(0))
    for _ in range(4):
        live(world)
    twin = deepcopy(world)
    twin.batteries = back(world.batteries)
    for _ in range(4):
        live(world)
        live(twin)
        assert state_of(twin.batteries) == state_of(world.batteries)
    for name in world.batteries.names():
        assert twin.batteries.status(name) == world.batteries.status(name)
