"""What is wrong gets the standard's own answer and a counter, in both roles, and service goes on.

A relay's served meters and a head-end's listener, each over a socket of its own. After every fault
the next good message is answered as if nothing had been.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeAlias

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from emulator.dialects import particular
from emulator.identity import concentrator_address
from emulator.serving import listen_on_loopback
from harness.provisioning import Provisioning
from harness.store.opening import open_store
from protocols.c12.epsem import SecurityMode
from protocols.c12.meter import Passwords
from protocols.c12.options import ChannelOptions
from protocols.c12.plugin.naming import title_of
from protocols.c12.plugin.options import C12Options
from protocols.c12.relay import registration_of
from protocols.c12.segmentation import segment
from protocols.c12.services import (
    FullRead,
    FullWrite,
    OffsetRead,
    OffsetWrite,
    Request,
    ResponseCode,
    Security,
)
from protocols.plugin import Credentials
from tests.support.ansi_faults import Speaker, flipped
from tests.support.fleets import clock_at, open_site
from tests.support.headend import listening, shard_of
from tests.support.push_fleet import small_run

Code = ResponseCode
Codes: TypeAlias = list[list[ResponseCode]]
HEAD_END: Final = title_of(b"MSH0000000000001")
STRANGER: Final = title_of(b"MST0000000099999")
SEGMENT_SIZE: Final = 66
GIVEN_UP_S: Final = 0.1
"""Real seconds until a device no longer waits for a segment."""


@dataclass(frozen=True)
class Ends:
    """Who speaks to whom: ``node`` is whose key protects, ``good`` what is always answered."""

    node: Credentials
    calling: bytes
    called: bytes
    good: tuple[Request, ...]

    def say(
        self, speaker: Speaker, *requests: Request, vector: int | None = None, key: bytes = b""
    ) -> bytes:
        return speaker.octets(
            self.calling,
            self.called,
            self.node,
            *(requests or self.good),
            vector=vector,
            key=key or None,
        )


Say: TypeAlias = Callable[[Speaker, Ends], Sequence[bytes]]
Case: TypeAlias = tuple[Say, Codes, str]
"""What is said, the codes of the answers in any order, and the counter of what was refused."""


def bad_mac(speaker: Speaker, ends: Ends) -> Sequence[bytes]:
    return [flipped(ends.say(speaker), -1)]


def wrong_key(speaker: Speaker, ends: Ends) -> Sequence[bytes]:
    return [ends.say(speaker, key=bytes(16))]


def repeated_message(speaker: Speaker, ends: Ends) -> Sequence[bytes]:
    return [ends.say(speaker)] * 2


def repeated_vector(speaker: Speaker, ends: Ends) -> Sequence[bytes]:
    return [ends.say(speaker), ends.say(speaker, vector=speaker.vector)]


def unknown_caller(speaker: Speaker, ends: Ends) -> Sequence[bytes]:
    return [replace(ends, calling=STRANGER).say(speaker)]


def unknown_called(speaker: Speaker, ends: Ends) -> Sequence[bytes]:
    return [replace(ends, called=STRANGER).say(speaker)]


def oversized(speaker: Speaker, ends: Ends) -> Sequence[bytes]:
    return [ends.say(speaker, FullWrite(64, bytes(4_000)))]


def segment_doubled(speaker: Speaker, ends: Ends) -> Sequence[bytes]:
    first, *rest = segment(ends.say(speaker), SEGMENT_SIZE)
    assert rest
    return [first, first, *rest]


def segment_lost(speaker: Speaker, ends: Ends) -> Sequence[bytes]:
    first, *rest = segment(ends.say(speaker), SEGMENT_SIZE)
    assert rest
    return [first, *rest[:-1]]


def asking(*requests: Request) -> Say:
    """Return what says the first of the good requests, where there are several, then these."""
    return lambda speaker, ends: [ends.say(speaker, *ends.good[:-1], *requests)]


REFUSED: Final = [[Code.SECURITY_MECHANISM_ERROR]]
COMMON: Final[dict[str, Case]] = {
    "bad MAC": (bad_mac, REFUSED, "wrong MAC"),
    "wrong key": (wrong_key, REFUSED, "wrong MAC"),
    "oversized APDU": (oversized, [[Code.REQUEST_TOO_LARGE]], "oversized"),
    "segment lost": (segment_lost, [], "segment lost"),
}
DEVICE: Final[dict[str, Case]] = COMMON | {
    "message repeated": (repeated_message, [[Code.OK] * 2, *REFUSED], "repeated vector"),
    "vector repeated": (repeated_vector, [[Code.OK] * 2, *REFUSED], "repeated vector"),
    "unknown ApTitle": (
        unknown_called,
        [[Code.UNKNOWN_APPLICATION_TITLE]],
        "unknown ApTitle",
    ),
    "no such table": (
        asking(FullRead(999)),
        [[Code.OK, Code.INAPPROPRIATE_ACTION_REQUESTED]],
        "inappropriate action requested",
    ),
    "offset past the end": (
        asking(OffsetRead(5, 100, 8)),
        [[Code.OK, Code.OPERATION_NOT_POSSIBLE]],
        "operation not possible",
    ),
    "registration at a relay whose nodes are wired to it": (
        asking(registration_of(STRANGER, is_relay=False, device_class=bytes(4), period_s=60)),
        [[Code.OK, Code.SERVICE_NOT_SUPPORTED]],
        "service not supported",
    ),
    "segment doubled": (segment_doubled, [[Code.OK] * 2], "segment doubled"),
}
HEAD_END_CASES: Final[dict[str, Case]] = COMMON | {
    "message repeated": (repeated_message, [[Code.OK], *REFUSED], "repeated vector"),
    "vector repeated": (repeated_vector, [[Code.OK], *REFUSED], "repeated vector"),
    "unknown ApTitle": (
        unknown_caller,
        [[Code.UNKNOWN_APPLICATION_TITLE]],
        "unknown ApTitle",
    ),
    "unregistered node": (
        asking(FullWrite(3, bytes(5))),
        [[Code.NETWORK_NOT_REACHABLE]],
        "not registered",
    ),
    "no such table": (
        asking(FullWrite(999, bytes(8))),
        [[Code.INAPPROPRIATE_ACTION_REQUESTED]],
        "unknown table",
    ),
    "offset past the end": (
        asking(OffsetWrite(64, 0xFF_FF00, bytes(8))),
        [[Code.OPERATION_NOT_POSSIBLE]],
        "outside of the table",
    ),
    "segment doubled": (segment_doubled, [[Code.OK]], "segment doubled"),
}


async def served_after(
    stream: trio.SocketStream, ends: Ends, case: Case, good: list[Code], *, known: bool = True
) -> None:
    """Do what is wrong, then what is right, over one connection; close it."""
    say, expected, _ = case
    speaker = Speaker(stream, int(time.time()))
    key = ends.node.encryption_key
    async with stream:
        if known:
            assert await speaker.answers(ends.say(speaker), key, 1) == [good]
        answers = await speaker.answers(b"".join(say(speaker, ends)), key, len(expected))
        assert sorted(answers) == sorted(expected)
        assert await speaker.answers(ends.say(speaker), key, 1) == [good]


def first_meter(folder: Path) -> Credentials:
    known = Provisioning.load(folder)
    return known.nodes.behind(0, 1)[0]


@pytest.mark.parametrize("name", DEVICE)
async def test_a_device_answers_what_is_wrong(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = ChannelOptions(required_security=SecurityMode.CIPHERED, reassembly_timeout_s=GIVEN_UP_S)
    monkeypatch.setattr(C12Options, "channel", short)
    prepared = small_run(tmp_path, stations=1, steps=4, protocol="c12")
    meter = first_meter(prepared.provisioning)
    good = (Security(Passwords.of(meter).full, 1), FullRead(5))
    ends = Ends(meter, HEAD_END, meter.system_title, good)
    config = prepared.fleet.model_copy(update={"head_ends": ()})
    listener = listen_on_loopback(0)
    port = listener.socket.getsockname()[1]
    async with open_site(tmp_path / "site", config, clock_at(config, 3.5)) as site:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(site.shard.servers.run, listener)
            stream = await trio.open_tcp_stream(concentrator_address(0), port)
            await served_after(stream, ends, DEVICE[name], [Code.OK] * 2)
            nursery.cancel_scope.cancel()
        counts = site.counts
    refused = {what: n for what, n in counts.items() if what.startswith("served.refused")}
    assert refused == {f"served.refused: {DEVICE[name][2]}": 1}


@pytest.mark.parametrize("name", HEAD_END_CASES)
async def test_a_head_end_answers_what_is_wrong(name: str, tmp_path: Path) -> None:
    prepared = small_run(tmp_path, stations=1, steps=4, protocol="c12")
    known = Provisioning.load(prepared.provisioning)
    meter = first_meter(prepared.provisioning)
    good = registration_of(
        meter.system_title, is_relay=False, device_class=bytes(4), period_s=3_600
    )
    ends = Ends(meter, meter.system_title, HEAD_END, (good,))
    names = prepared.truth.profile.names
    store = open_store(tmp_path / "store.duckdb", names, create=True)
    told = {"protocol": "c12", "particular": particular(prepared.fleet)}
    shard = shard_of(store, known, realtime_offset_s=time.time() - time.monotonic(), **told)
    is_known = name != "unregistered node"
    async with listening(shard) as listener:
        stream = await trio.open_tcp_stream("127.0.0.1", listener.port)
        await served_after(stream, ends, HEAD_END_CASES[name], [Code.OK], known=is_known)
        # What the end of a stream cuts off is counted once it has come.
        await wait_all_tasks_blocked(0.1)
    store.close()
    refused = {w: n for w, n in shard.totals.counts.items() if w.startswith("refused") and n}
    assert refused == {f"refused: {HEAD_END_CASES[name][2]}": 1}
