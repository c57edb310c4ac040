from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.support.command_line import ROOT

CAUSE = "no confirmation in time"


def batch(
    name: str,
    milliseconds: dict[int, int],
    failures: dict[str, int] | None = None,
    octets: int = 0,
) -> dict[str, Any]:
    return {
        "method": "DLMS",
        "name": name,
        "milliseconds": milliseconds,
        "failures": failures or {},
        "octets": octets,
    }


def both_ways(batches: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what Locust says after batches, and after every exchange one by one."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.support.locust_accounts"],
        input=json.dumps(batches),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    ours, locusts = json.loads(ended.stdout)
    return ours, locusts


@pytest.mark.parametrize(
    "batches",
    [
        pytest.param([batch("push", {}, octets=0)], id="nothing"),
        pytest.param([batch("push", {5: 1}, octets=9)], id="one"),
        pytest.param([batch("push", {0: 2, 999: 3, 12_345: 1})], id="rounded to two digits"),
        pytest.param([batch("push", {}, {CAUSE: 4})], id="only failures"),
        pytest.param([batch("push", {7: 3}, {CAUSE: 2, "broken": 1}, 70)], id="some failures"),
        pytest.param(
            [
                batch("push over lte", {100: 50, 101: 50}, octets=10),
                batch("push over edge", {4_000: 7}, {CAUSE: 1}, octets=20),
                batch("push over lte", {3: 1, 90_000: 1}, {CAUSE: 1}, octets=30),
            ],
            id="several batches and names",
        ),
    ],
)
def test_a_batch_counts_as_its_exchanges_one_by_one(batches: list[dict[str, Any]]) -> None:
    ours, locusts = both_ways(batches)
    for told in (ours, locusts):
        # Asking for an entry makes it: one without a request says nothing.
        told["entries"] = {k: v for k, v in told["entries"].items() if v["num_requests"]}
    assert ours == locusts
