"""What a test orders: which scenario, changed how, where to, and how long it may take."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self, TypeAlias

import pytest

CAPTURE: Final = "capture"
KNOWN: Final = frozenset({"set", "seed", "timeout_s", "replay", "provision"})
Provision: TypeAlias = Callable[[Path], object]


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for all runs of a session.

    ``timeout_s``: wall seconds of one run, then it is told to drain; ``capture``: concentrators
    whose octets are kept; ``tries``: how often a run is made until it proves something.
    """

    out: str | None
    timeout_s: float
    capture: int
    tries: int
    skip_inconclusive: bool

    @classmethod
    def of(cls, chosen: Mapping[str, Any]) -> Self:
        """Return the settings of options by name. Raises pytest's `UsageError`."""
        if chosen["inconclusive"] not in ("fail", "skip"):
            raise pytest.UsageError("meterstorm_inconclusive is fail or skip")
        if chosen["timeout"] <= 0 or chosen["tries"] < 1 or chosen["capture"] < 0:
            raise pytest.UsageError("meterstorm: timeout > 0, tries >= 1 and capture >= 0")
        return cls(
            out=chosen["out"],
            timeout_s=chosen["timeout"],
            capture=chosen["capture"],
            tries=chosen["tries"],
            skip_inconclusive=chosen["inconclusive"] == "skip",
        )


@dataclass(frozen=True, slots=True)
class Order:
    """One run to be made.

    ``overrides`` are ``KEY=VALUE``, later ones win; ``replay``: of how many concentrators the test
    wants a push sent again, 0 for what the scenario says; ``provision`` is called with the folder
    of the run once the devices of the fleet are exported to it, before the first of them speaks.
    """

    scenario: Path
    overrides: tuple[str, ...]
    seed: int | None
    out: Path
    timeout_s: float
    replay: int
    tries: int
    skip_inconclusive: bool
    provision: Provision | None = None

    def words(self, out: Path) -> list[str]:
        """Return the arguments of ``meterstorm``."""
        words = ["run", str(self.scenario), "--out", str(out)]
        for override in self.overrides:
            words += ["--set", override]
        return words if self.seed is None else [*words, "--seed", str(self.seed)]


def order_of(
    scenario: str | Path,
    given: Mapping[str, Any],
    *,
    settings: Settings,
    folders: Iterable[Path],
    overrides: tuple[str, ...],
    out: Path,
) -> Order:
    """Return the order of a test.

    Args:
        scenario: its file; a relative one is looked for in ``folders``, the first wins.
        given: arguments of the marker: ``set``, ``seed``, ``timeout_s``, ``replay``, ``provision``.
        settings: what holds for all runs.
        folders: where scenarios may lie.
        overrides: what all runs of the test set; ``set`` goes after.
        out: folder below which the run is made.

    Raises pytest's `UsageError` for a file that is not there and arguments that do not exist.
    """
    unknown = given.keys() - KNOWN
    if unknown:
        known = ", ".join(sorted(KNOWN))
        raise pytest.UsageError(f"meterstorm_scenario takes {known}, not {', '.join(unknown)}")
    file, replay = _found(scenario, folders), int(given.get("replay", 0))
    changes = (*overrides, *_words(given.get("set", ())))
    if replay:
        changes = (*changes, f"probes.replay={replay}")
    if settings.capture and not _says_what_is_captured(file, changes):
        changes = (f"{CAPTURE}.concentrators={settings.capture}", *changes)
    return Order(
        scenario=file,
        overrides=changes,
        seed=given.get("seed"),
        out=out,
        timeout_s=float(given.get("timeout_s") or settings.timeout_s),
        replay=replay,
        tries=settings.tries,
        skip_inconclusive=settings.skip_inconclusive,
        provision=given.get("provision"),
    )


def _words(changes: object) -> tuple[str, ...]:
    if isinstance(changes, str):
        return (changes,)
    if isinstance(changes, Iterable):
        return tuple(map(str, changes))
    raise pytest.UsageError(f'set is a list of "KEY=VALUE", not {changes!r}')


def _found(scenario: str | Path, folders: Iterable[Path]) -> Path:
    tried = [folder / scenario for folder in folders]
    for file in tried:
        if file.is_file():
            return file.resolve()
    raise pytest.UsageError(f"there is no scenario {' and no '.join(map(str, tried))}")


def _says_what_is_captured(file: Path, changes: Iterable[str]) -> bool:
    """Tell whether the scenario decides for itself; one that is no TOML is refused later."""
    import tomllib

    try:
        written = CAPTURE in tomllib.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return True
    return written or any(change.lstrip().startswith(CAPTURE) for change in changes)
