"""What people see while a run goes on: a live panel on a terminal, plain lines elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Final, Protocol, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

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

    @property
    def phase(self) -> str:
        """The phase, in words."""
        if self.at.scenario_s < 0:
            return "starting"
        return f"step {self.step + 1} of {self.steps}"


class Progress(Protocol):
    """Shows where a run stands."""

    def show(self, standing: Standing) -> None:
        """Show the newest standing."""

    def say(self, text: str) -> None:
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

    def show(self, standing: Standing) -> None:
        """Rewrite the panel."""
        self._live.update(_panel(standing))

    def say(self, text: str) -> None:
        """Print a line above the panel."""
        self._live.console.print(text)

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

    def show(self, standing: Standing) -> None:
        """Print a line when one is due."""
        if standing.at.wall_s < self._next_s:
            return
        self._next_s = standing.at.wall_s + LINE_EVERY_S
        self._console.print(
            f"{standing.at.wall_s:7.1f} s  {standing.phase:<14} "
            f"owed {standing.owed:>11,}  stored {standing.stored:>11,}  "
            f"{_delivered(standing)}lag {standing.lag_s:.2f} s",
            highlight=False,
            soft_wrap=True,
        )

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, highlight=False, soft_wrap=True)

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


def _panel(standing: Standing) -> Table:
    table = Table.grid(padding=(0, 2))
    for title, value in _lines(standing):
        table.add_row(f"[dim]{title}[/dim]", value)
    return table


def _lines(standing: Standing) -> list[tuple[str, str]]:
    share = 100 * standing.stored / standing.owed if standing.owed else 0.0
    lines = [
        ("phase", f"[bold]{standing.phase}[/bold], {standing.at.wall_s:.0f} s"),
        ("owed so far", f"{standing.owed:,} readings"),
        ("stored", f"{standing.stored:,} ({share:.1f} %)"),
        ("connections", f"{standing.connections:,}"),
        ("failed pushes", f"{standing.failed:,}, each tried again"),
        ("generator lag", f"{standing.lag_s:.2f} s at worst"),
    ]
    if standing.delivered is not None:
        word, readings = standing.delivered
        lines.insert(3, (word, f"{readings:,}"))
    done, ordered = standing.commands
    if ordered:
        lines.append(("commands", f"{done:,} of {ordered:,} done"))
    return lines
