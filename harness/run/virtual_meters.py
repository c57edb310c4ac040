"""The virtual meters of battery partitions, on their way from the layer to billing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, Final, TypeAlias
from zoneinfo import ZoneInfo

from harness.bal.model.values import NJ_PER_MWH
from harness.bal.topology_file import TopologyPart
from harness.billing.calendar import day_of, midnight_s
from harness.run.battery_files import commanded
from harness.scenario.bal import Bal
from harness.scenario.document import read_document

MILLISECONDS: Final = 1_000
Record: TypeAlias = dict[str, Any]
"""As ``POST /virtual-meters`` takes it: name, from_ms, to_ms, charged_mwh, discharged_mwh."""
Flows: TypeAlias = Callable[[int | None], Awaitable[list[dict[str, Any]]]]
"""Returns what all virtual meters of a layer registered up to a time, or to now."""
_Energy: TypeAlias = tuple[int, int]


def behind_meters(bal: Bal, batteries: int) -> dict[str, int]:
    """Return the number of the meter that each partition is behind: their order is the meters'.

    Raises `ScenarioError`: a topology of the scenario's own cannot be read.
    """
    if bal.topology is None:
        names = commanded(bal, batteries)
    else:
        topology = TopologyPart.model_validate(read_document(bal.topology).values)
        names = [part.name for splitter in topology.splitter for part in splitter.partitions]
    return {name: meter for meter, name in enumerate(names)}


async def metered(
    flows_until: Flows, meters: Mapping[str, int], first_s: int, zone: ZoneInfo
) -> list[Record]:
    """Return what flowed through each virtual meter up to now, a record for each local day.

    The records of one meter add up to the whole milliwatt-hours that flowed through it.

    Args:
        flows_until: asks the layer.
        meters: names of partitions; others are left out.
        first_s: when the first record begins, POSIX seconds of scenario time.
        zone: whose days.

    Raises what ``flows_until`` raises; `KeyError`: it tells no flows.
    """
    now = await flows_until(None)
    if not now:
        return []
    now_ms, from_ms = max(flow["to_ms"] for flow in now), first_s * MILLISECONDS
    before: dict[str, _Energy] = {}
    records: list[Record] = []
    for to_ms in [*_midnights_ms(first_s, now_ms, zone), now_ms]:
        flows = await flows_until(to_ms)
        so_far = _so_far(flows, meters)
        for name, (charged, discharged) in sorted(so_far.items()):
            was = before.get(name, (0, 0))
            records.append(
                {
                    "name": name,
                    "from_ms": from_ms,
                    "to_ms": to_ms,
                    "charged_mwh": charged - was[0],
                    "discharged_mwh": discharged - was[1],
                }
            )
        from_ms, before = to_ms, so_far
    return [record for record in records if record["from_ms"] < record["to_ms"]]


def _midnights_ms(first_s: int, now_ms: int, zone: ZoneInfo) -> list[int]:
    midnights: list[int] = []
    day = day_of(first_s, zone)
    while True:
        day += timedelta(days=1)
        at_ms = midnight_s(day, zone) * MILLISECONDS
        if at_ms >= now_ms:
            return midnights
        midnights.append(at_ms)


def _so_far(flows: list[dict[str, Any]], meters: Mapping[str, int]) -> dict[str, _Energy]:
    """Return energies in whole mWh; a name that was removed and made again has more than one."""
    sums: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    for flow in flows:
        if flow["name"] in meters:
            sums[flow["name"]][0] += flow["charged_nj"]
            sums[flow["name"]][1] += flow["discharged_nj"]
    return {name: (nj[0] // NJ_PER_MWH, nj[1] // NJ_PER_MWH) for name, nj in sums.items()}
