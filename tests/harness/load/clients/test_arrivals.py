from __future__ import annotations

from itertools import pairwise

import pytest

from harness.load.clients.arrivals import Arrival, arrivals, count
from harness.load.clients.config import ClientsConfig, Operation, System
from harness.load.clients.operations import KINDS, Request, request_of

STATUS = Operation(
    name="bal status", kind="bal-status", system="bal", rate_per_s=200, subjects=("a", "b/c")
)
CURRENT = Operation(
    name="bal current",
    kind="bal-current",
    system="bal",
    rate_per_s=30,
    subjects=("a", "b"),
    details={"current_ma": 500},
)


def config(*operations: Operation, clients: int = 1, seed: int = 7) -> ClientsConfig:
    return ClientsConfig(
        seed=seed,
        clients=clients,
        span_s=10,
        systems={"bal": System(url="http://127.0.0.1:1")},
        operations=operations or (STATUS, CURRENT),
    )


def test_as_many_become_due_as_the_rate_says_and_evenly() -> None:
    due = [arrival.due_us for arrival in arrivals(config(STATUS), 0)]
    assert len(due) == count(config(STATUS), STATUS) == 2_000
    assert [sum(second * 10**6 <= us < (second + 1) * 10**6 for us in due) for second in range(10)]
    assert {us // 5_000 for us in due} == set(range(2_000))
    gaps = [later - earlier for earlier, later in pairwise(due)]
    assert min(gaps) >= 0
    assert max(gaps) <= 10_000
    assert len(set(gaps)) > 1_000, "evenly spaced requests meet a system only at one phase"


def test_clients_share_the_requests_between_them() -> None:
    alone = set(arrivals(config(), 0))
    parts = [set(arrivals(config(clients=3), client)) for client in range(3)]
    assert set.union(*parts) == alone
    assert sum(map(len, parts)) == len(alone)


def test_requests_of_all_operations_come_in_order_of_time() -> None:
    due = list(arrivals(config(), 0))
    assert due == sorted(due)
    assert {arrival.operation for arrival in due} == {0, 1}


def test_another_seed_has_other_times_and_the_same_seed_the_same() -> None:
    assert list(arrivals(config(), 0)) == list(arrivals(config(), 0))
    assert list(arrivals(config(seed=8), 0)) != list(arrivals(config(), 0))


def test_an_operation_may_begin_later_and_ends_with_the_others() -> None:
    late = STATUS.model_copy(update={"begins_s": 7.5})
    due = [arrival.due_us for arrival in arrivals(config(late), 0)]
    assert len(due) == 500
    assert min(due) >= 7_500_000
    assert max(due) < 10_000_000
    never = STATUS.model_copy(update={"begins_s": 11})
    assert not list(arrivals(config(never), 0))


def test_adding_an_operation_moves_no_other() -> None:
    alone = [arrival.due_us for arrival in arrivals(config(STATUS), 0)]
    both = [arrival.due_us for arrival in arrivals(config(), 0) if arrival.operation == 0]
    assert alone == both


def made(operation: Operation) -> list[Request]:
    return [request_of(operation, arrival) for arrival in arrivals(config(operation), 0)]


def test_reads_name_their_subject_so_that_any_name_will_do() -> None:
    paths = {request.path for request in made(STATUS)}
    assert paths == {"/batteries/a", "/batteries/b%2Fc"}
    assert {request.command for request in made(STATUS)} == {None}


def test_commands_have_names_of_their_own_and_currents_up_to_the_largest() -> None:
    requests = made(CURRENT)
    assert len({request.command for request in requests}) == len(requests) == 300
    currents = [request.body["current_ma"] for request in requests if request.body]
    assert -500 <= min(currents) < -450
    assert 450 < max(currents) <= 500
    assert all(request.body and request.body["id"] == request.command for request in requests)


@pytest.mark.parametrize(("draw", "current_ma"), [(0, -500), (2**32 - 1, 500), (2**31, 0)])
def test_both_ends_of_the_range_are_drawn(draw: int, current_ma: int) -> None:
    request = request_of(CURRENT, Arrival(0, 0, 0, draw))
    assert request.body is not None
    assert request.body["current_ma"] == current_ma


def test_every_kind_can_be_asked_for() -> None:
    details: dict[str, int | str] = {"current_ma": 1, "month": "2026-01", "day": "2026-02-01"}
    for kind in KINDS:
        operation = STATUS.model_copy(update={"kind": kind, "details": details})
        assert request_of(operation, Arrival(0, 0, 0, 0)).path.startswith("/")
