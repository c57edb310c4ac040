"""What a run tells billing, in requests that billing takes."""

from __future__ import annotations

import json

import pytest

from harness.api.access import BODY_MAX
from harness.billing.api.models import RECORDS_MAX
from harness.run.billing_questions import batched
from harness.run.virtual_meters import Record

HIGHEST = 2**53


def record(number: int, name: str, energy_mwh: int) -> Record:
    return {
        "name": f"{name}-{number}",
        "from_ms": energy_mwh,
        "to_ms": energy_mwh + 1,
        "charged_mwh": energy_mwh,
        "discharged_mwh": energy_mwh,
    }


@pytest.mark.parametrize(("name", "energy_mwh"), [("a", 0), ("b" * 180, HIGHEST)])
def test_every_record_is_told_once_in_requests_that_are_taken(name: str, energy_mwh: int) -> None:
    records = [record(number, name, energy_mwh) for number in range(3_000)]
    batches = list(batched(records))
    assert [one for batch in batches for one in batch] == records
    assert max(len(json.dumps({"records": batch})) for batch in batches) < BODY_MAX
    assert max(map(len, batches)) <= RECORDS_MAX


def test_a_record_that_alone_is_too_long_is_told_alone() -> None:
    records = [record(number, "c" * BODY_MAX, 1) for number in range(2)]
    assert list(batched(records)) == [[one] for one in records]


def test_nothing_is_not_told() -> None:
    assert list(batched([])) == []
