"""What is printed beside a test that failed: where its run is, why, how to repeat it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from harness.pytest_plugin.run import MeterstormRun

if TYPE_CHECKING:
    from protocols.pcapng import Packet

NANOSECONDS: Final = 1_000_000_000
OCTETS_SHOWN: Final = 128
ROW: Final = 16


def told(run: MeterstormRun) -> str:
    """Return the lines on one run."""
    return "\n".join(_lines(run))


def _lines(run: MeterstormRun) -> Iterator[str]:
    verdict = run.judgement
    yield f"run        {run.path}"
    yield f"report     {run.path / 'report.html'}"
    yield f"scenario   {verdict.scenario}, seed {run.seed}"
    yield f"verdict    {run.verdict}"
    yield from (f"           {reason}" for reason in run.reasons)
    if run.timed_out_s is not None:
        yield f"           it took more than {run.timed_out_s:g} s and was drained"
    yield from (f"replay     {account}" for account in run.replays().accounts)
    yield f"reproduce  {shlex.join((*run.command, *_seed(run)))}"
    yield f"           pytest {shlex.quote(run.test)}"
    for check in run.failed_checks:
        yield f"explain    meterstorm explain {shlex.quote(str(run.path))} {check}"
    yield from _last_exchange(run.path)


def _seed(run: MeterstormRun) -> tuple[str, ...]:
    return () if "--seed" in run.command else ("--seed", str(run.seed))


def _last_exchange(path: Path) -> Iterator[str]:
    """Yield the last message each way between a captured concentrator and the head-end."""
    from harness.captured import captured

    found = [(file, packet) for file, packets in captured(path) for packet in packets]
    if not found:
        yield "exchange   none was captured"
        return
    file, last = max(found, key=lambda item: item[1].at_ns)
    ends = {last.source, last.destination}
    exchange = [packet for other, packet in found if other == file and ends == _ends(packet)][-2:]
    yield f"exchange   the last one captured ({file.relative_to(path)}):"
    for packet in exchange:
        yield from _shown(packet)


def _ends(packet: Packet) -> set[tuple[str, int]]:
    return {packet.source, packet.destination}


def _shown(packet: Packet) -> Iterator[str]:
    at = datetime.fromtimestamp(packet.at_ns / NANOSECONDS, UTC)
    way = " -> ".join(f"{address}:{port}" for address, port in (packet.source, packet.destination))
    yield f"  {at:%H:%M:%S.%f} UTC  {way}  {len(packet.octets)} octets {packet.comment}".rstrip()
    for start in range(0, min(len(packet.octets), OCTETS_SHOWN), ROW):
        yield f"    {start:04x}  {packet.octets[start : start + ROW].hex(' ')}"
    if len(packet.octets) > OCTETS_SHOWN:
        yield "    ..."
