"""A month of readings in a store, for tests of billing: five meters in Berlin, March 2026."""

from __future__ import annotations

import csv
import json
from contextlib import closing
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from harness.billing.calendar import Month, month_span
from harness.billing.tariffs import Tariffs
from harness.store.opening import open_store
from harness.store.rows import Rows
from tests.support.stores import REGISTERS

STEP_S = 3600
PROFILE = 2
BERLIN = ZoneInfo("Europe/Berlin")
MARCH = Month(2026, 3)
BEGIN_S, END_S = month_span(MARCH, BERLIN)
AT_S = np.arange(BEGIN_S, END_S + 1, STEP_S)
METERS = 5
SEED = 20260301
PRICES = {"peak": "0.3217", "off_peak": "0.2093", "peak_hours": "07:00-22:00"}
TARIFFS = Tariffs.model_validate(
    {
        "time_zone": "Europe/Berlin",
        "base_bill": "12.34",
        "rates": [{"month": f"2026-{month:02}", **PRICES} for month in (3, 5)],
    }
)


def registers() -> np.ndarray:
    """Return what the meters registered, (meters, captures, 2): each rises as it likes."""
    rises = np.random.default_rng(SEED).integers(0, 400, (METERS, len(AT_S), 2))
    # One who sends out more than comes in.
    rises[3, :, 1] *= 10
    return np.cumsum(rises, axis=1)


def stored(address: str, values: np.ndarray, keep: np.ndarray) -> None:
    """Store readings; ``keep`` (meters, captures) says which."""
    # Capture by capture, as they come: the store looks at each one's meters once.
    at, meter = np.nonzero(keep.T)
    rows = Rows(
        meter=meter.astype(np.uint32),
        profile=np.full(len(meter), PROFILE, np.uint8),
        captured_at_s=AT_S[at],
        status=np.zeros(len(meter), np.uint8),
        values=values[meter, at].astype(np.uint32),
        via=np.zeros(len(meter), np.uint8),
    )
    with closing(open_store(address, REGISTERS, create=True)) as store:
        store.put(rows, {}, 1)


def all_kept() -> np.ndarray:
    """Return that every reading is kept."""
    return np.ones((METERS, len(AT_S)), np.bool_)


def provision(folder: Path) -> Path:
    """Write what billing reads of the exported devices; return the folder."""
    folder.mkdir()
    with (folder / "concentrators.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["number", "first_meter", "meters"], [0, 0, METERS]])
    rhythm = {"first_s": BEGIN_S, "step_s": STEP_S, "steps": len(AT_S)}
    shared = {"registers": REGISTERS, "profile": PROFILE, **rhythm}
    (folder / "head-end.json").write_text(json.dumps(shared))
    return folder
