"""The registration table: who is registered, until when, and what a storm costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.headend.nodes import (
    BEYOND_RATE,
    NOT_REGISTERED,
    STRANGER,
    NodePlace,
    NodeTable,
    ProvisionedNodeDirectory,
    TokenBucket,
)
from harness.headend.registry import Registry
from harness.provisioned_nodes import ProvisionedNodes
from harness.provisioning import ConcentratorRecord, Provisioning, SharedFacts
from harness.store.rows import NO_METER, RegistrationKind, Registrations
from protocols.plugin import Credentials, NodeRegistration
from tests.support.stores import tuples_of

SECOND = 1_000_000
REGISTERED, RE_REGISTERED, DEREGISTERED, EXPIRED = RegistrationKind
RELAY, HOME, AWAY = b"relay", b"m7", b"m9"


@dataclass
class Directory:
    """Concentrator 3 with meter 7, and concentrator 4 with meter 9."""

    places: Mapping[bytes, NodePlace] = field(
        default_factory=lambda: {
            RELAY: NodePlace(3, NO_METER, b"at 3"),
            HOME: NodePlace(3, 7, b"at 3"),
            AWAY: NodePlace(4, 9, b"at 4"),
        }
    )

    def place_of(self, title: bytes) -> NodePlace | None:
        return self.places.get(title)

    def title_of(self, concentrator: int, meter: int) -> bytes | None:
        for title, place in self.places.items():
            if (place.concentrator, place.meter) == (concentrator, meter):
                return title
        return None


@dataclass
class Clock:
    now: int = 1_000 * SECOND

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def table(clock: Clock) -> NodeTable:
    return NodeTable(Directory(), clock)


def asked(title: bytes, period_s: int = 60, address: bytes = b"new") -> NodeRegistration:
    return NodeRegistration(title, address, period_s)


def kinds_of(changes: Registrations) -> list[int]:
    return [int(kind) for kind in changes.kind]


def test_a_registration_holds_for_its_period(table: NodeTable, clock: Clock) -> None:
    changes = table.register(3, [asked(RELAY, 90), asked(HOME, 60)])
    assert tuples_of(changes) == [
        (NO_METER, 3, REGISTERED, 90, clock.now),
        (7, 3, REGISTERED, 60, clock.now),
    ]
    assert table.registered == 2
    assert table.address_of(HOME) == b"new"
    clock.now += 60 * SECOND - 1
    assert table.is_registered(HOME)
    clock.now += 1
    assert not table.is_registered(HOME)
    assert table.address_of(HOME) is None
    assert table.is_registered(RELAY)
    assert tuples_of(table.expire()) == [(7, 3, EXPIRED, 60, clock.now)]
    assert len(table.expire()) == 0
    assert table.registered == 1


def test_registering_again_renews_and_moves(table: NodeTable, clock: Clock) -> None:
    table.register(3, [asked(HOME)])
    clock.now += 59 * SECOND
    assert kinds_of(table.register(3, [asked(HOME, 60, b"moved")])) == [RE_REGISTERED]
    clock.now += 59 * SECOND
    assert table.address_of(HOME) == b"moved"
    assert table.registered == 1


def test_an_end_that_nobody_noted_yet_is_noted_with_the_next_registration(
    table: NodeTable, clock: Clock
) -> None:
    table.register(3, [asked(HOME)])
    began, clock.now = clock.now, clock.now + 100 * SECOND
    changes = table.register(3, [asked(HOME)])
    assert kinds_of(changes) == [EXPIRED, REGISTERED]
    assert changes.at_us.tolist() == [began + 60 * SECOND, clock.now]
    assert len(table.expire()) == 0


def test_deregistering_ends_it_once(table: NodeTable, clock: Clock) -> None:
    table.register(3, [asked(HOME)])
    clock.now += SECOND
    assert tuples_of(table.register(3, [asked(HOME, 0)])) == [(7, 3, DEREGISTERED, 0, clock.now)]
    assert not table.is_registered(HOME)
    assert len(table.register(3, [asked(HOME, 0)])) == 0
    assert table.counts[NOT_REGISTERED] == 1
    clock.now += 100 * SECOND
    assert len(table.expire()) == 0


def test_strangers_and_nodes_of_others_are_left_out(table: NodeTable) -> None:
    changes = table.register(3, [asked(b"nobody"), asked(AWAY), asked(HOME)])
    assert changes.meter.tolist() == [7]
    assert not table.is_registered(AWAY)
    assert table.counts[STRANGER] == 2
    assert table.address_of(b"nobody") is None


def test_what_was_confirmed_survives(table: NodeTable, clock: Clock) -> None:
    changes = [table.register(3, [asked(RELAY), asked(HOME)]), table.register(4, [asked(AWAY)])]
    clock.now += 10 * SECOND
    changes.append(table.register(4, [asked(AWAY, 0)]))
    stored = Registrations.concatenate(changes)
    # The store tells the last change of each node.
    again = NodeTable(Directory(), clock, known=stored.take(np.array([0, 1, 3])))
    assert again.is_registered(RELAY)
    assert again.is_registered(HOME)
    assert not again.is_registered(AWAY)
    assert again.address_of(HOME) == b"at 3"
    clock.now += 49 * SECOND
    assert kinds_of(again.register(3, [asked(HOME)])) == [RE_REGISTERED]
    clock.now += 2 * SECOND
    assert again.expire().meter.tolist() == [NO_METER]


def test_what_ran_out_while_nobody_was_there_is_noted(table: NodeTable, clock: Clock) -> None:
    stored = table.register(3, [asked(HOME)])
    clock.now += 1_000 * SECOND
    again = NodeTable(Directory(), clock, known=stored)
    assert not again.is_registered(HOME)
    assert kinds_of(again.expire()) == [EXPIRED]


def test_strangers_in_the_store_are_no_nodes(clock: Clock) -> None:
    other = Directory({b"m9": NodePlace(4, 9, b"")})
    stored = NodeTable(Directory(), clock).register(3, [asked(HOME)])
    assert len(NodeTable(other, clock, known=stored)) == 0


def test_the_table_is_shown_in_pages(table: NodeTable, clock: Clock) -> None:
    table.register(3, [asked(RELAY), asked(HOME, 10)])
    clock.now += 20 * SECOND
    table.register(4, [asked(AWAY)])
    assert [(n.title, n.registered) for n in table.page(0, 2)] == [(RELAY, True), (HOME, False)]
    assert [node.title for node in table.page(2, 10)] == [AWAY]
    assert next(table.page(0, 1)).place.is_relay
    line = next(table.page(1, 1))
    assert line.expires_at_us == line.registered_at_us + 10 * SECOND


def test_a_page_is_told_with_the_totals(table: NodeTable, clock: Clock) -> None:
    table.register(3, [asked(RELAY), asked(HOME, 10, b"\x7f\x01")])
    clock.now += 20 * SECOND
    told = table.told(1, 5)
    assert (told["total"], told["registered"]) == (2, 1)
    assert told["nodes"] == [
        {
            "title": HOME.hex(),
            "concentrator": 3,
            "meter": 7,
            "address": "7f01",
            "period_s": 10,
            "registered_at_us": 1_000 * SECOND,
            "expires_at_us": 1_010 * SECOND,
            "registered": False,
        }
    ]
    assert table.told(0, 1)["nodes"][0]["meter"] is None
    for after, count in ((-1, 1), (0, 10_001), (0, -1)):
        with pytest.raises(ValueError, match="count 0 to 10000"):
            table.told(after, count)


def test_the_directory_is_what_was_provisioned() -> None:
    keys = ("00" * 16, "00" * 16, "00" * 8)
    relay = ConcentratorRecord(
        3, "MSC", RELAY, "127.1.0.4", 4061, "", "c12", 7, 2, Credentials(RELAY, b"", b"", b"")
    )
    lines = [("7", "MST7", HOME.hex(), RELAY.hex(), *keys), ("9", "", AWAY.hex(), "ff", *keys)]
    nodes = ProvisionedNodes([7, 9], lines)
    provisioning = Provisioning((relay,), np.zeros(10, "S16"), cast("SharedFacts", None), nodes)
    directory = ProvisionedNodeDirectory(Registry(provisioning))
    address = bytes((127, 1, 0, 4)) + (4061).to_bytes(2, "big")
    assert directory.place_of(RELAY) == NodePlace(3, NO_METER, address)
    assert directory.place_of(HOME) == NodePlace(3, 7, address)
    assert directory.place_of(AWAY) is None
    assert directory.title_of(3, NO_METER) == RELAY
    assert directory.title_of(3, 7) == HOME
    assert directory.title_of(3, 8) is None
    assert directory.title_of(4, NO_METER) is None


def test_a_table_of_thousands(clock: Clock) -> None:
    places = {b"%d" % meter: NodePlace(0, meter, b"") for meter in range(3_000)}
    table = NodeTable(Directory(places), clock)
    table.register(0, [asked(title, 60 + (place.meter % 2)) for title, place in places.items()])
    assert table.registered == 3_000
    clock.now += 60 * SECOND
    assert table.expire().meter.tolist() == list(range(0, 3_000, 2))
    assert table.registered == 1_500


def test_a_storm_is_admitted_at_the_rate(clock: Clock) -> None:
    table = NodeTable(Directory(), clock, registrations_per_s=100)
    assert table.admits(250) == 100
    assert table.admits(1) == 0
    clock.now += SECOND // 2
    assert table.admits(250) == 50
    clock.now += 3_600 * SECOND
    assert table.admits(250) == 100
    assert table.counts[BEYOND_RATE] == 150 + 1 + 200 + 150


def test_without_a_rate_all_are_admitted(table: NodeTable) -> None:
    assert table.admits(10**6) == 10**6


@given(
    per_s=st.integers(1, 10**6),
    questions=st.lists(st.tuples(st.integers(0, 3 * SECOND), st.integers(0, 10**6)), max_size=20),
)
def test_a_bucket_never_gives_more_than_its_rate_and_one_second(
    per_s: int, questions: list[tuple[int, int]]
) -> None:
    bucket, now, given_out = TokenBucket(per_s, 0), 0, 0
    for later, count in questions:
        now += later
        taken = bucket.take(count, now)
        assert 0 <= taken <= count
        given_out += taken
        assert given_out * SECOND <= per_s * (now + SECOND)
