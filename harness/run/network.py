"""The conditions of the network, applied to a lab: the links there are real, the fleet has no say.

What cuts links off is there the loss of every packet. It goes on through the drain: what comes
after the last step ends there, too.
"""

from __future__ import annotations

from emulator.clock import ScenarioClock
from harness.run.preparation import Prepared
from harness.run.stations import lab_changes, lab_parts
from netem.lab import Lab


async def change_lab(lab: Lab, prepared: Prepared, clock: ScenarioClock) -> None:
    """Change the links of a lab as the timeline says, each at its time; returns after the last.

    Cancellation: what holds goes on holding. Raises what `Lab.change` raises.
    """
    for change in lab_changes(lab_parts(prepared)):
        await clock.sleep_until(prepared.fleet.first_s + change.at_s)
        numbers = None if change.numbers is None else change.numbers.tolist()
        await lab.change(change.category, change.profile, numbers)
