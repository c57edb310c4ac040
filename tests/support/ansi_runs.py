"""Small whole runs of the ANSI world, as their users start them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from emulator.event_kinds import TRACES, Ending, MeterEventKind
from tests.support.command_line import WholeRun, run_scenario, small_scenario

CONCENTRATORS, METERS = 20, 300
NODES: Final = CONCENTRATORS + METERS
CAPTURE: Final = "[capture]\nconcentrators = 1\n"
COMMANDS: Final = """\
[commands]
count = {count}
window = {{ from = "00:02", for = "30 min" }}
[commands.kinds]
disconnect = "25 %"
reconnect = "25 %"
segment = "20 %"
tariff = "15 %"
time = "15 %"
[limits]
drain = "30 s"
"""


def ansi_run(
    folder: Path, *more: str, protocol: str = "c12", mode: str = "push", steps: int = 3
) -> WholeRun:
    """Run 20 relays with 300 meters, ``more`` tables in the scenario; over in seconds."""
    changes = f'protocol="{protocol}"', f'behaviour.mode="{mode}"', f"behaviour.steps={steps}"
    words = [word for change in changes for word in ("--set", change)]
    return run_scenario(small_scenario(folder, more="".join(more)), *words)


def commands(count: int) -> str:
    """Return the table of a scenario that orders commands of every kind."""
    return COMMANDS.format(count=count)


UNANSWERED: Final = frozenset(
    {MeterEventKind.BUSY, MeterEventKind.NOT_READY, MeterEventKind.LOCKED, MeterEventKind.IDLE}
)


def every_event(share: str = "20 %", *, unanswered: bool = True) -> str:
    """Return a timeline on which every kind of event befalls some meters, a minute apart.

    What needs an end gets one; of what may have one, every other does. Without ``unanswered`` those
    are left out during which a meter answers with an error, or not at all.
    """
    events = []
    for number, (kind, trace) in enumerate(TRACES.items()):
        if kind in UNANSWERED and not unanswered:
            continue
        ends = trace.ending is Ending.NEEDED or (trace.ending is Ending.OPTIONAL and number % 2)
        events.append(
            f'[[timeline]]\ndo = "event"\nevent = "{kind.value}"\nshare = "{share}"\n'
            f'at = "00:{16 + number:02}"\n' + ('for = "3 min"\n' if ends else "")
        )
    return "".join(events)
