"""Whether links of a tier work on this machine, found out by having some.

``python -m harness.lab_probe packet`` does it in a network namespace that nobody else is in, so
that nothing of this machine's network is touched. It prints nothing where they work, and otherwise
why not and what mends it, as JSON (`harness.probes.links`).
"""

from __future__ import annotations

import json
import sys
from typing import Final

import numpy as np
import trio

from emulator.fleet_config import LAB_TIERS
from harness.run.lab import OPENERS
from netem.lab import LabError, LabPlan
from netem.namespaces import Namespace, NotCapableError, become_capable, enter, is_capable
from netem.profiles import LinkDirection, LinkOptions, LinkProfile, PacketRate

_WAY: Final = LinkDirection.model_validate(
    {"latency": "1 ms", "jitter": "0.1 ms", "distribution": "normal", "loss": "0.1 %"}
).model_copy(update={"packet_rate": PacketRate(per_second=15)})
_PROFILE: Final = LinkProfile(
    name="probe", description="A little of everything.", sources=(), up=_WAY, down=_WAY
)
_PLAN: Final = LabPlan(
    profiles=(_PROFILE,),
    category=np.zeros(2, np.uint8),
    options=LinkOptions(),
    seed=1,
)


async def _open(tier: str) -> None:
    async with OPENERS[tier](_PLAN) as lab:
        await lab.counters()


def main() -> None:
    """Try the tier that the command line names."""
    (tier,) = sys.argv[1:]
    if tier not in LAB_TIERS:
        sys.exit(f"no tier that needs a lab: {tier}")
    try:
        if is_capable():
            with Namespace.create() as own:
                enter(own.path)
        else:
            become_capable([sys.executable, "-m", "harness.lab_probe", tier])
        trio.run(_open, tier)
    except* (LabError, NotCapableError) as errors:
        first = errors.exceptions[0]
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        assert isinstance(first, LabError | NotCapableError)
        print(json.dumps({"reason": first.reason, "mend": first.mend}))  # noqa: T201


if __name__ == "__main__":
    main()
