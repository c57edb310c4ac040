"""What a head-end that is broken on purpose does wrong, and that nobody breaks one by accident."""

from __future__ import annotations

import numpy as np
import pytest
import trio

from harness.headend.config import HeadEndConfig
from harness.headend.defects import VARIABLE, DefectiveShard, Defects
from harness.scenario.model import json_schema_text
from harness.store.interface import Store
from harness.store.rows import Via
from tests.support.concentrator_model import FIRST_S, STEP_S
from tests.support.headend import METERS, Pusher, listening, readings, shard_of


def broken(store: Store, defects: Defects) -> DefectiveShard:
    sound = shard_of(store)
    return DefectiveShard(defects, sound.config, sound.registry, store, sound.concentrators)


@pytest.mark.parametrize(
    ("value", "defects"),
    [
        ("", None),
        ("drop-every=1000", Defects(drop_every=1000)),
        ("accept-replays,drop-every=2", Defects(drop_every=2, accept_replays=True)),
    ],
)
def test_the_environment_alone_breaks_it(value: str, defects: Defects | None) -> None:
    assert Defects.of({VARIABLE: value}) == defects
    assert Defects.of({}) is None


@pytest.mark.parametrize("value", ["drop-every", "drop-every=0", "drop-every=x", "acept-replays"])
def test_what_is_no_defect_is_named(value: str) -> None:
    with pytest.raises(ValueError, match=value):
        Defects.of({VARIABLE: value})


def test_no_key_of_a_scenario_or_a_head_end_reaches_them() -> None:
    text = json_schema_text() + str(HeadEndConfig.model_json_schema())
    for word in ("drop_every", "drop-every", "accept_replays", "accept-replays"):
        assert word not in text


def test_what_it_drops_it_believes_to_have(store: Store) -> None:
    shard, step = broken(store, Defects(drop_every=METERS)), FIRST_S // STEP_S
    missing = shard.presence.missing_total(FIRST_S + STEP_S)
    rows = shard.rows(1, readings(1, 0), Via.PUSH)
    whole = np.arange(METERS, 2 * METERS)
    kept = whole[(whole + step) % METERS != 0]
    assert rows.meter.tolist() == kept.tolist()
    assert len(kept) == METERS - 1
    assert shard.totals.counts["defect: readings dropped"] == 1
    assert shard.presence.missing_total(FIRST_S + STEP_S) == missing - 1


async def test_what_it_drops_it_confirms_all_the_same(store: Store) -> None:
    shard = broken(store, Defects(drop_every=1))
    async with listening(shard) as listener:
        pusher = Pusher(1)
        await pusher.push(listener.port, 0)
    assert shard.totals.counts["pushes acknowledged"] == 1
    assert not len(store.slots())


async def test_one_that_accepts_replays_confirms_them_and_stores_them_once(store: Store) -> None:
    octets = Pusher(1).octets()
    shard = broken(store, Defects(accept_replays=True))
    async with listening(shard) as listener:
        for _ in range(2):
            async with await trio.open_tcp_stream("127.0.0.1", listener.port) as stream:
                await stream.send_all(octets)
                assert await stream.receive_some()
    assert shard.totals.counts["pushes acknowledged"] == 2
    assert shard.totals.counts["refused: replayed"] == 0
    assert store.present(FIRST_S, 1, range(METERS, 2 * METERS)).all()
