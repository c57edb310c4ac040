"""Synthetic packet-delivery traces, made by `fading`, and how they were made.

They are no recordings: recordings of mobile networks exist, but their licences do not let us pass
them on. A link's rate walks between a few levels, as that of a terminal does that moves through a
cell, and now and then drops to nothing for seconds. The mean rate is the one that was asked for;
everything else about them is a guess. `MADE` says with which figures each file was made; the same
figures give the same file, on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from netem.draws import mix_one, stream_key
from netem.traces import OPPORTUNITY_OCTETS

FOLDER: Final = Path(__file__).parent
STEP_MS: Final = 100
LEVELS_PERCENT: Final = (0, 20, 50, 90, 130, 180)
"""Of a rate; the link walks up and down among them."""
MOVES_PER_MILLE: Final = 250
"""Chance to go to a neighbouring level at each step, up or down alike; at the lowest level a
quarter of that, so that drops last."""


@dataclass(frozen=True, slots=True)
class Fading:
    """What a trace was made with."""

    seed: int
    mean_rate: int
    """Bits per second on average, met to within one opportunity."""
    length_ms: int = 60_000


MADE: Final = {
    "umts-moving-down.txt": Fading(seed=1, mean_rate=780_000),
    "umts-moving-up.txt": Fading(seed=1, mean_rate=330_000),
    "lte-m-moving-down.txt": Fading(seed=2, mean_rate=300_000),
    "lte-m-moving-up.txt": Fading(seed=2, mean_rate=375_000),
}
"""Both ways of a link fade together: they have the same seed."""


def fading(figures: Fading) -> tuple[int, ...]:
    """Return the times of a trace's opportunities in milliseconds; whole numbers throughout."""
    levels = _levels(figures)
    count = figures.mean_rate * figures.length_ms // (OPPORTUNITY_OCTETS * 8 * 1000)
    whole = sum(levels) * STEP_MS
    times: list[int] = []
    passed = 0
    for step, level in enumerate(levels):
        for ms in range(step * STEP_MS, (step + 1) * STEP_MS):
            passed += level
            while len(times) * whole < passed * count:
                times.append(ms + 1)
    times[-1] = figures.length_ms
    return tuple(times)


def _levels(figures: Fading) -> list[int]:
    key = stream_key(figures.seed, "fading")
    index = LEVELS_PERCENT.index(90)
    levels = []
    for step in range(figures.length_ms // STEP_MS):
        draw = mix_one(key, step)
        chance = MOVES_PER_MILLE if index else MOVES_PER_MILLE // 4
        if draw % 1000 < chance:
            index += 1 if draw >> 32 & 1 or not index else -1
        index = min(index, len(LEVELS_PERCENT) - 1)
        levels.append(LEVELS_PERCENT[index])
    return levels
