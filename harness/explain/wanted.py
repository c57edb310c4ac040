"""The word after ``meterstorm run --capture``: whose octets are kept, and how large rings are."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from emulator.capture_rings import (
    RING_OCTETS_MAX,
    RING_OCTETS_MIN,
    RINGS_OCTETS,
    WANTED_FILE,
    WantedCaptures,
)
from emulator.identity import CONCENTRATOR_PREFIX, NAME_OCTETS, concentrator_name
from harness.errors import ArgumentsError
from harness.nearest import nearest

ALL, NONE = "all", "none"
HELP: Final = (
    "write all, none, how many (counted from the first), or names such as MSC0000000000001"
)


def write_wanted(folder: Path, word: str | None, concentrators: int, shards: int) -> None:
    """Write what a run is to capture beside its scenario to its folder.

    Args:
        folder: the run directory.
        word: what was given on the command line; ``None``: nothing, there are rings only.
        concentrators: how many the grid has.
        shards: of the fleet; they share what rings may take.

    Raises:
        ArgumentsError: the word names nobody.
        OSError: the folder cannot be written.
    """
    wanted = wanted_captures(word, concentrators, shards)
    (folder / WANTED_FILE).write_text(wanted.model_dump_json(indent=1) + "\n")


def wanted_captures(word: str | None, concentrators: int, shards: int = 1) -> WantedCaptures:
    """Return what a word wants of a fleet. Raises `ArgumentsError`: it names nobody."""
    ring = min(RING_OCTETS_MAX, max(RING_OCTETS_MIN, RINGS_OCTETS // concentrators))
    rings = 0 if word == NONE else RINGS_OCTETS // shards
    everybody = word == ALL
    return WantedCaptures(
        everybody=everybody,
        numbers=() if everybody or word in (None, NONE) else _numbers(str(word), concentrators),
        ring_octets=ring,
        rings_octets=rings,
    )


def _numbers(word: str, concentrators: int) -> tuple[int, ...]:
    if word.isdecimal():
        return tuple(range(min(int(word), concentrators)))
    return tuple(_number(name.strip(), concentrators) for name in word.split(",") if name.strip())


def _number(name: str, concentrators: int) -> int:
    digits = name[len(CONCENTRATOR_PREFIX) :]
    is_name = len(name) == NAME_OCTETS and name.startswith(CONCENTRATOR_PREFIX.decode())
    if not (is_name and digits.isdecimal()):
        meant = nearest(name, (ALL, NONE))
        advice = f"did you mean {meant}?" if meant else HELP
        raise ArgumentsError(f'--capture: "{name}" is no concentrator; {advice}')
    if not 1 <= int(digits) <= concentrators:
        last = concentrator_name(concentrators - 1).decode()
        raise ArgumentsError(f"--capture: there is no {name}; the last concentrator is {last}")
    return int(digits) - 1
