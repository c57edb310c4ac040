from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from harness.ledger.fates import Counts, Interval, judge
from harness.store.rows import Rows, StoredRows

STEPS = 4
OPENS_US = 1_000_000
"""Every window of these tests opens then; a step takes as long again."""
DEADLINE_US = 2 * OPENS_US


def fate_of(
    *,
    delivery_step: int = 1,
    sent: bool = True,
    acknowledged: bool = True,
    stored_at_us: Sequence[int] = (OPENS_US,),
    equal: Sequence[bool] | None = None,
    pulled: bool = False,
) -> Counts:
    """Judge one reading with one row for each of ``stored_at_us``."""
    rows = len(stored_at_us)
    stored = StoredRows(
        Rows(
            meter=np.zeros(rows, np.uint32),
            profile=np.ones(rows, np.uint8),
            captured_at_s=np.zeros(rows, np.int64),
            status=np.zeros(rows, np.uint8),
            values=np.zeros((rows, 1), np.uint32),
            via=np.zeros(rows, np.uint8),
        ),
        np.array(stored_at_us, np.int64),
    )
    interval = Interval(
        delivery_step=np.array([delivery_step], np.int32),
        steps=STEPS,
        sent=np.array([sent]),
        acknowledged=np.array([acknowledged]),
        deadline_us=np.array([DEADLINE_US]),
        pulled=pulled,
    )
    return judge(interval, stored, np.array(equal or [True] * rows, np.bool_)).counts()


DELIVERED = {"owed": 1, "sent": 1, "acknowledged": 1, "stored": 1}
ON_ITS_WAY = {"owed": 1, "sent": 1, "acknowledged": 0}


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        pytest.param(fate_of(), DELIVERED | {"correct": 1}, id="delivered"),
        pytest.param(
            fate_of(stored_at_us=[DEADLINE_US]), DELIVERED | {"correct": 1}, id="just in time"
        ),
        pytest.param(
            fate_of(stored_at_us=[DEADLINE_US + 1]),
            DELIVERED | {"correct": 1, "late": 1},
            id="late",
        ),
        pytest.param(
            fate_of(stored_at_us=[OPENS_US, DEADLINE_US + 1]),
            DELIVERED | {"correct": 1, "duplicated": 1},
            id="doubled later: the first arrival counts for lateness",
        ),
        pytest.param(
            fate_of(stored_at_us=[0]),
            DELIVERED | {"correct": 1, "untimed": 1},
            id="nobody knows when",
        ),
        pytest.param(fate_of(equal=[False]), DELIVERED | {"wrong": 1}, id="wrong"),
        pytest.param(
            fate_of(stored_at_us=[OPENS_US, OPENS_US], equal=[True, False]),
            DELIVERED | {"wrong": 1, "duplicated": 1},
            id="one of two rows wrong: wrong, not correct as well",
        ),
        pytest.param(
            fate_of(acknowledged=False, stored_at_us=[]), ON_ITS_WAY | {"lost": 1}, id="lost"
        ),
        pytest.param(
            fate_of(stored_at_us=[]),
            {"owed": 1, "sent": 1, "acknowledged": 1, "lost": 1, "lost_after_acknowledge": 1},
            id="lost after it was acknowledged",
        ),
        pytest.param(
            fate_of(sent=False, acknowledged=False, stored_at_us=[]),
            {"owed": 1, "unattempted": 1},
            id="never handed to a link",
        ),
        pytest.param(
            fate_of(sent=False, acknowledged=False),
            {"owed": 1, "stored": 1, "correct": 1, "invented": 1},
            id="stored though nobody sent it",
        ),
        pytest.param(
            fate_of(delivery_step=STEPS, sent=False, acknowledged=False, stored_at_us=[]),
            {"deferred": 1},
            id="deferred",
        ),
        pytest.param(
            fate_of(delivery_step=STEPS, stored_at_us=[DEADLINE_US + 1]),
            {"deferred": 1, "sent": 1, "acknowledged": 1, "stored": 1},
            id="deferred and delivered early: neither owed nor late",
        ),
        pytest.param(
            fate_of(delivery_step=STEPS, equal=[False]),
            {"deferred": 1, "sent": 1, "acknowledged": 1, "stored": 1, "invented": 1},
            id="deferred and stored with what no meter registered",
        ),
    ],
)
def test_every_reading_has_its_fate(counts: Counts, expected: dict[str, int]) -> None:
    assert counts == Counts(**expected)


def test_what_a_pulling_head_end_never_asked_for_is_lost_not_unattempted() -> None:
    silent = fate_of(sent=False, acknowledged=False, stored_at_us=[], pulled=True)
    assert (silent.owed, silent.lost, silent.unattempted) == (1, 1, 0)
    pushed = fate_of(sent=False, acknowledged=False, stored_at_us=[])
    assert (pushed.owed, pushed.lost, pushed.unattempted) == (1, 0, 1)


def test_a_pulled_reading_that_nobody_asked_for_and_that_is_stored_is_invented() -> None:
    assert fate_of(sent=False, acknowledged=False, pulled=True).invented == 1
