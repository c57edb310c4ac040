"""What people see while a run goes on: a live panel on a terminal, plain lines elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import ClassVar, Final, Protocol, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from reports import text
from reports.recording import RunTime

LINE_EVERY_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a run stands: counts so far, real seconds for ``lag_s``.

    ``delivered`` are the readings whose push is done for the fleet, and the word for it: what is
    acknowledged lags behind what is stored by the way back over the link. ``None``: nobody pushes.
    """

    at: RunTime
    step: int
    steps: int
    owed: int
    delivered: tuple[str, int] | None
    stored: int
    connections: int
    failed: int
    lag_s: float
    commands: tuple[int, int]

    last: ClassVar[bool] = False

    @property
    def phase(self) -> str:
        """The phase, in words."""
        if self.at.scenario_s < 0:
            return "starting"
        return f"step {self.step + 1} of {self.steps}"

    @property
    def text(self) -> str:
        """What a line of a log says."""
        return (
            f"owed {self.owed:>11,}  stored {self.stored:>11,}  "
            f"{_delivered(self)}lag {self.lag_s:.2f} s"
        )

    @property
    def rows(self) -> list[tuple[str, str]]:
        """What a panel says: names and values."""
        return _rows(self)


@dataclass(frozen=True, slots=True)
class Filled:
    """How far stores are filled with the history of before a run: readings, after real seconds."""

    readings: int
    of: int
    for_s: float

    @property
    def left_s(self) -> float | None:
        """Real seconds it still takes at this rate; ``None`` while nothing can be said."""
        return self.for_s * (self.of - self.readings) / self.readings if self.readings else None


@dataclass(frozen=True, slots=True)
class Filling:
    """Where a run stands whose stores are being filled."""

    at: RunTime
    filled: Filled
    phase: ClassVar[str] = "filling stores"

    @property
    def last(self) -> bool:
        """Whether nothing comes after it."""
        return self.filled.readings >= self.filled.of

    @property
    def text(self) -> str:
        """What a line of a log says."""
        return f"history {_part(self.filled)}  {_pace(self.filled)}"

    @property
    def rows(self) -> list[tuple[str, str]]:
        """What a panel says: names and values."""
        return [("history", _part(self.filled)), ("pace", _pace(self.filled))]


class Shown(Protocol):
    """What `Progress` can show."""

    @property
    def at(self) -> RunTime:
        """The moment."""

    @property
    def phase(self) -> str:
        """The phase, in words."""

    @property
    def last(self) -> bool:
        """Whether it ends a phase, and is worth a line of a log although none is due."""

    @property
    def text(self) -> str:
        """What a line of a log says."""

    @property
    def rows(self) -> list[tuple[str, str]]:
        """What a panel says: names and values."""


class Progress(Protocol):
    """Shows where a run stands."""

    def show(self, standing: Shown) -> None:
        """Show the newest standing."""

    def say(self, line: str) -> None:
        """Say something once."""

    def __enter__(self) -> Self:
        """Begin to show."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop showing."""


class LiveProgress:
    """One panel, rewritten in place."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, refresh_per_second=4, transient=True)

    def show(self, standing: Shown) -> None:
        """Rewrite the panel."""
        self._live.update(_panel(standing))

    def say(self, line: str) -> None:
        """Print a line above the panel."""
        self._live.console.print(line)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()


class PlainProgress:
    """A line every five seconds, for logs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next_s = 0.0
        self._ended = False

    def show(self, standing: Shown) -> None:
        """Print a line when one is due."""
        ends, self._ended = standing.last and not self._ended, standing.last
        if standing.at.wall_s < self._next_s and not ends:
            return
        self._next_s = standing.at.wall_s + LINE_EVERY_S
        self.say(f"{standing.at.wall_s:7.1f} s  {standing.phase:<14} {standing.text}")

    def say(self, line: str) -> None:
        """Print a line."""
        self._console.print(line, highlight=False, soft_wrap=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None


def progress_on(console: Console) -> Progress:
    """Return the progress that suits ``console``."""
    return LiveProgress(console) if console.is_terminal else PlainProgress(console)


def _delivered(standing: Standing) -> str:
    if standing.delivered is None:
        return ""
    word, readings = standing.delivered
    return f"{word} {readings:>11,}  "


def _part(filled: Filled) -> str:
    share = text.share(filled.readings, filled.of)
    return f"{filled.readings:>11,} of {filled.of:,} readings ({share})"


def _pace(filled: Filled) -> str:
    if filled.left_s is None:
        return "beginning"
    pace = f"{filled.readings / max(filled.for_s, 1e-9):,.0f} a second"
    return f"{pace}, {text.span(filled.left_s)} left" if filled.left_s else pace


def _panel(standing: Shown) -> Table:
    table = Table.grid(padding=(0, 2))
    phase = f"[bold]{standing.phase}[/bold], {standing.at.wall_s:.0f} s"
    for title, value in [("phase", phase), *standing.rows]:
        table.add_row(f"[dim]{title}[/dim]", value)
    return table


def _rows(standing: Standing) -> list[tuple[str, str]]:
    share = 100 * standing.stored / standing.owed if standing.owed else 0.0
    lines = [
        ("owed so far", f"{standing.owed:,} readings"),
        ("stored", f"{standing.stored:,} ({share:.1f} %)"),
        ("connections", f"{standing.connections:,}"),
        ("failed pushes", f"{standing.failed:,}, each tried again"),
        ("generator lag", f"{standing.lag_s:.2f} s at worst"),
    ]
    if standing.delivered is not None:
        word, readings = standing.delivered
        lines.insert(2, (word, f"{readings:,}"))
    done, ordered = standing.commands
    if ordered:
        lines.append(("commands", f"{done:,} of {ordered:,} done"))
    return lines
