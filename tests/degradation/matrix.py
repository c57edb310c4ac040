"""Which link class meets which fault, and how many of these pairs a test run takes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

SCENARIOS: Final = Path(__file__).resolve().parents[2] / "scenarios" / "degradation"
CLASSES: Final = ("lte", "gprs", "nb-iot", "seed-4")
FAULTS: Final = ("clean", "loss", "slow", "outage", "flapping", "partition", "killed")
ALL: Final = "METERSTORM_DEGRADATION"
"""Set to ``all``, the whole matrix is run; else each fault once, and each class."""


def pairs() -> Sequence[object]:
    """Return (link class, fault), as parameters of a test."""
    everything = os.environ.get(ALL) == "all"
    chosen = [
        (link, fault)
        for number, fault in enumerate(FAULTS)
        for place, link in enumerate(CLASSES)
        if everything or place == number % len(CLASSES)
    ]
    return [pytest.param(link, fault, id=f"{fault}-{link}") for link, fault in chosen]
