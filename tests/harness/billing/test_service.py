"""What the service does by itself, and whom it takes records of batteries from."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from harness.billing.config import BillingConfig
from harness.billing.errors import (
    OverlapError,
    RatesChangedError,
    RecoveringError,
    UnknownPartitionError,
)
from harness.billing.service import BillingService, VirtualMeterRecord
from harness.headend.api.client import RefusedError
from tests.support.billing import (
    AT_S,
    BEGIN_S,
    END_S,
    MARCH,
    METERS,
    TARIFFS,
    all_kept,
    provision,
    registers,
    stored,
)
from tests.support.shard_socket import FakeShard, served

DAY_MS = 86_400_000


def config(folder: Path, **changes: Any) -> BillingConfig:
    """Return the configuration of a service in ``folder``, where its store is."""
    provisioning = folder / "provisioning"
    if not provisioning.exists():
        provision(provisioning)
        (folder / "files").mkdir()
    told: dict[str, Any] = {
        "token_file": folder / "token",
        "provisioning": provisioning,
        "tariffs": TARIFFS,
        "book": str(folder / "book.duckdb"),
        "stores": [str(folder / "store.duckdb")],
        "folder": folder / "files",
        "virtual_meters": {"upper floor": 1, "ground floor": 2},
        "realtime_offset_s": 0.0,
        "again_s": 0.01,
    }
    return BillingConfig.model_validate(told | changes)


@contextmanager
def service(folder: Path, **changes: Any) -> Iterator[BillingService]:
    """A service for the length of a ``with``."""
    opened = BillingService(config(folder, **changes))
    try:
        yield opened
    finally:
        opened.close()


def clock_at(at_s: float) -> tuple[float, float, float]:
    """Return a clock that shows ``at_s`` now and hardly moves."""
    return time.monotonic(), at_s, 1e-6


async def until_quiet(billing: BillingService, done: Any) -> None:
    """Let the service do what is due until ``done()``."""
    keeping = asyncio.create_task(billing.keep())
    async with asyncio.timeout(60):
        while not done():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
    keeping.cancel()


def test_a_month_is_billed_by_itself_once_its_readings_had_time(tmp_path: Path) -> None:
    stored(str(tmp_path / "store.duckdb"), registers(), all_kept())
    with service(tmp_path, clock=clock_at(END_S + 2699)) as billing:
        asyncio.run(until_quiet(billing, lambda: billing.standing.forgotten_on is not None))
        assert billing.book.totals(MARCH).bills == 0
        # Of 31 March nobody knows all yet.
        assert billing.standing.noted_until == date(2026, 3, 31)
        billing.clock.start(*clock_at(END_S + 2701))
        asyncio.run(until_quiet(billing, lambda: billing.book.totals(MARCH).bills > 0))
        assert billing.book.totals(MARCH).bills == METERS
    with service(tmp_path, clock=clock_at(END_S + 2701)) as billing:
        done = lambda: billing.standing.noted_until == date(2026, 4, 1)  # noqa: E731
        asyncio.run(until_quiet(billing, done))
        found = billing.book.energy(date(2026, 3, 1), date(2026, 4, 1), count=METERS)
        assert found["days"].tolist() == [31] * METERS


def test_what_is_withheld_is_tried_again(tmp_path: Path) -> None:
    keep = all_kept()
    keep[1, -1] = False
    stored(str(tmp_path / "store.duckdb"), registers(), keep)
    with service(tmp_path, clock=clock_at(END_S + 9999)) as billing:
        asyncio.run(until_quiet(billing, lambda: billing.book.totals(MARCH).withheld == 1))
        only = ~all_kept()
        only[1, -1] = True
        stored(str(tmp_path / "store.duckdb"), registers(), only)
        asyncio.run(until_quiet(billing, lambda: billing.book.totals(MARCH).bills == METERS))
        assert billing.book.totals(MARCH).withheld == 0


def test_a_store_that_is_away_is_told_and_waited_for(tmp_path: Path) -> None:
    with service(tmp_path, clock=clock_at(END_S + 9999)) as billing:
        asyncio.run(until_quiet(billing, lambda: "store.duckdb" in billing.standing.failure))
        stored(str(tmp_path / "store.duckdb"), registers(), all_kept())
        asyncio.run(until_quiet(billing, lambda: billing.book.totals(MARCH).bills == METERS))


def test_nothing_happens_by_itself_without_a_clock_or_leave(tmp_path: Path) -> None:
    for changes in ({}, {"clock": clock_at(END_S + 9999), "automatic": False}):
        with service(tmp_path, **changes) as billing:

            async def a_while(billing: BillingService) -> None:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await billing.keep()

            asyncio.run(a_while(billing))
            assert billing.standing.forgotten_on is None


def test_other_rates_for_a_billed_month_are_refused_at_the_start(tmp_path: Path) -> None:
    stored(str(tmp_path / "store.duckdb"), registers(), all_kept())
    with service(tmp_path) as billing:
        asyncio.run(billing.create_bills(MARCH))
    other = TARIFFS.model_dump(mode="json")
    other["rates"][0]["peak"] = "0.5"
    with pytest.raises(RatesChangedError, match="2026-03"):
        BillingService(config(tmp_path, tariffs=other))
    with service(tmp_path):
        pass


def record(name: str = "upper floor", from_ms: int = 0, to_ms: int = DAY_MS) -> VirtualMeterRecord:
    """Return a record of March 2026, with times from its beginning."""
    begin_ms = BEGIN_S * 1000
    return VirtualMeterRecord(name, begin_ms + from_ms, begin_ms + to_ms, 5_000, 7_000)


def test_records_of_virtual_meters_go_to_the_day_they_begin(tmp_path: Path) -> None:
    stored(str(tmp_path / "store.duckdb"), registers(), all_kept())
    records = [record(), record(from_ms=DAY_MS, to_ms=2 * DAY_MS), record("ground floor")]
    with service(tmp_path) as billing:
        assert asyncio.run(billing.note_virtual_meters(records)) == 3
        assert asyncio.run(billing.note_virtual_meters([*records[:2], *records])) == 0
        asyncio.run(billing.billing.note_days(date(2026, 3, 1), date(2026, 3, 4)))
        found = billing.book.energy(date(2026, 3, 2), date(2026, 3, 3), count=METERS)
        assert found["charged_mwh"].tolist() == [0, 5_000, 0, 0, 0]
        found = billing.book.energy(date(2026, 3, 1), date(2026, 3, 3), count=METERS)
        assert found["discharged_mwh"].tolist() == [0, 14_000, 7_000, 0, 0]


@pytest.mark.parametrize(("from_ms", "to_ms"), [(0, 1), (DAY_MS - 1, 2 * DAY_MS), (-1, 2 * DAY_MS)])
def test_records_that_share_time_are_refused(tmp_path: Path, from_ms: int, to_ms: int) -> None:
    with service(tmp_path) as billing:
        asyncio.run(billing.note_virtual_meters([record()]))
        with pytest.raises(OverlapError, match="meter 1"):
            asyncio.run(billing.note_virtual_meters([record(from_ms=from_ms, to_ms=to_ms)]))
        with pytest.raises(OverlapError):
            asyncio.run(
                billing.note_virtual_meters(
                    [record("ground floor"), record("ground floor", from_ms, to_ms)]
                )
            )
        others = [record("ground floor", from_ms, to_ms)]
        assert asyncio.run(billing.note_virtual_meters(others)) == 1


def test_a_partition_behind_no_meter_is_named(tmp_path: Path) -> None:
    with service(tmp_path) as billing, pytest.raises(UnknownPartitionError, match="'attic'"):
        asyncio.run(billing.note_virtual_meters([record("attic")]))


def told(**changes: Any) -> dict[str, Any]:
    """Return a recovery of all of March, as a shard tells it."""
    recovery = {"id": 1, "from_s": BEGIN_S, "to_s": END_S, "asked_at_us": 1_000_000}
    return recovery | {"missing": 9, "read": 4, "given_up": 1, "ended_at_us": None} | changes


@contextmanager
def over_shards(folder: Path, *shards: FakeShard, **changes: Any) -> Iterator[BillingService]:
    """A service that asks shards, for the length of a ``with``."""
    sockets = [shard.path for shard in shards]
    config(folder)
    behind = (METERS + number for number in range(len(shards) - 1))
    with (folder / "provisioning" / "concentrators.csv").open("a") as file:
        file.writelines(f"{number},{first},1\n" for number, first in enumerate(behind, 1))
    with ExitStack() as stack:
        for shard in shards:
            stack.enter_context(served(shard))
        yield stack.enter_context(service(folder, stores=[], control_sockets=sockets, **changes))


def shards_of(folder: Path, *recoveries: list[dict[str, Any]]) -> list[FakeShard]:
    return [
        FakeShard(folder / f"{number}.sock", {"recoveries": known, "recover": {}, "gaps": []})
        for number, known in enumerate(recoveries)
    ]


def test_a_month_is_read_again_from_the_capture_before_it_to_the_one_after(tmp_path: Path) -> None:
    shards = shards_of(tmp_path, [], [])
    with over_shards(tmp_path, *shards) as billing:
        billing.standing.next_try_s[MARCH] = math.inf
        asyncio.run(billing.recover(MARCH))
        assert MARCH not in billing.standing.next_try_s
    step_s = 3600
    asked = {"ask": "recover", "from_s": BEGIN_S - step_s + 1, "to_s": END_S + step_s}
    assert [shard.asked for shard in shards] == [[asked], [asked]]


@pytest.mark.parametrize(
    ("changes", "waits"),
    [
        ({}, True),
        ({"ended_at_us": 5}, False),
        ({"from_s": END_S, "to_s": END_S + 7200}, True),
        ({"from_s": 0, "to_s": BEGIN_S}, True),
        ({"from_s": END_S + 7200, "to_s": END_S + 9000}, False),
        ({"from_s": 0, "to_s": BEGIN_S - 7200}, False),
    ],
)
def test_a_month_is_not_billed_while_its_readings_come_back(
    tmp_path: Path, changes: dict[str, Any], waits: bool
) -> None:
    """Of a part of what was lost other bills would follow."""
    shards = shards_of(tmp_path, [], [told(**changes)])
    for shard in shards:
        shard.answers["usage"] = {"error": "asked for usage", "kind": "store"}
    with over_shards(tmp_path, *shards) as billing:
        expected = RecoveringError if waits else RefusedError
        with pytest.raises(expected):
            asyncio.run(billing.create_bills(MARCH))


def test_what_waits_for_readings_is_billed_and_noted_when_they_are_back(tmp_path: Path) -> None:
    (shard,) = shards_of(tmp_path, [told()])
    usages = 0

    def usage(question: object) -> dict[str, Any]:
        nonlocal usages
        usages += 1
        return {"error": "asked for usage", "kind": "store"}

    shard.answers["usage"] = usage
    with over_shards(tmp_path, shard, clock=clock_at(END_S + 2701)) as billing:
        looked = lambda: sum(one["ask"] == "recoveries" for one in shard.asked) > 2  # noqa: E731
        asyncio.run(until_quiet(billing, looked))
        assert usages == 0
        assert billing.standing.noted_until is None
        shard.answers["recoveries"] = [told(ended_at_us=7)]
        # The shard notes a question before billing has its answer.
        asyncio.run(until_quiet(billing, lambda: "asked for usage" in billing.standing.failure))
        assert usages > 0


def test_what_is_too_old_is_let_go_of_here_and_in_the_stores(tmp_path: Path) -> None:
    stored(str(tmp_path / "store.duckdb"), registers(), all_kept())
    with service(tmp_path) as billing:
        asyncio.run(billing.create_bills(MARCH))
    shard = FakeShard(tmp_path / "shard.sock", {"forget": 5})
    with served(shard), service(tmp_path, stores=[], control_sockets=[shard.path]) as billing:
        asyncio.run(billing.forget(date(2026, 10, 1)))
        # Midnight of 1 April in Berlin, six months before.
        assert shard.asked == [{"ask": "forget", "before_s": END_S}]
        assert len(billing.book.rates()["month"]) == 2
        asyncio.run(billing.forget(date(2031, 4, 1)))
        assert billing.book.rates()["month"].tolist() == [202605]


def test_exactly_one_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="either control_sockets or stores"):
        config(tmp_path, stores=[])
    with pytest.raises(ValidationError, match="either control_sockets or stores"):
        config(tmp_path, control_sockets=["x"])


def test_the_month_of_the_tests_has_743_hours() -> None:
    assert len(AT_S) == 743 + 1
