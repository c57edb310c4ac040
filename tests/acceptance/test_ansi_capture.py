"""tshark, which shares no line with us, judges what was captured of whole runs.

Every message of the captured relay and of its meters, in both directions: registrations, pushes
with readings and events, reads of tables, commands, and the answers to all of them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from harness.provisioning import Provisioning
from protocols.c12.message import read_message
from protocols.c12.plugin.naming import key_id_of
from protocols.pcapng import read
from tests.support.ansi_runs import CAPTURE, ansi_run, commands, every_event
from tests.support.command_line import WholeRun
from tests.support.tshark import (
    Judgement,
    is_misjudged,
    judge,
    judge_capture,
    tshark_is_installed,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not tshark_is_installed(), reason="tshark is not installed"),
]

STEPS: Final = 4
COMMANDS: Final = 40
RUNS: Final = {"clear": "push", "authenticated": "pull", "ciphered": "push"}
"""Security modes, and who begins in the run that shows each."""
LOAD_PROFILE, EVENT_LOG, STATUS, INITIATE = 64, 76, 3, 7
OFFSET_READ, REGISTER, SECURITY = "0x3f", "0x27", "0x51"
TEXT_WITH_A_ZERO: Final = "Trailing stray characters"
"""What tshark says of a password that is no text: it shows it as one."""


@dataclass(frozen=True)
class Captured:
    """What the capture of a run holds, and the keys of the relay's nodes, by key id."""

    protection: str
    run: WholeRun
    file: Path
    messages: list[bytes]
    keys: dict[int, bytes]
    meters: int

    @property
    def genuine(self) -> bool | None:
        return None if self.protection == "clear" else True


@pytest.fixture(scope="module", params=RUNS)
def captured(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Captured:
    """A run that captured all that its first relay said and heard."""
    protection: str = request.param
    security = f'[security]\npush = "{protection}"\n'
    run = ansi_run(
        tmp_path_factory.mktemp(protection),
        CAPTURE,
        security,
        commands(COMMANDS),
        every_event(unanswered=False),
        mode=RUNS[protection],
        steps=STEPS,
    )
    assert run.status == 0, run.output
    known = Provisioning.load(run.path / "provisioning")
    relay = known.concentrators[0]
    nodes = known.nodes.behind(relay.first_meter, relay.meters)
    keys = {key_id_of(it.system_title): it.encryption_key for it in (relay.credentials, *nodes)}
    assert len(keys) == 1 + relay.meters
    (file,) = (run.path / "captures").iterdir()
    messages = [packet.octets for packet in read(file.read_bytes())]
    return Captured(protection, run, file, messages, keys, relay.meters)


def complaints(judgement: Judgement) -> list[str]:
    """Return what tshark has to say against a message."""
    excused = {TEXT_WITH_A_ZERO} if SECURITY in judgement.services else set()
    return [it for it in judgement.complaints if it not in excused]


def test_every_message_is_well_formed_and_genuine(captured: Captured) -> None:
    judgements = judge_capture(captured.file, captured.keys)

    kept = json.loads((captured.run.path / "ledger" / "shard-0" / "summary.json").read_text())
    assert len(judgements) == len(captured.messages) == kept["counts"]["packets captured"]
    fair = [
        (it, octets.hex())
        for it, octets in zip(judgements, captured.messages, strict=True)
        if captured.protection == "clear" or not is_misjudged(octets)
    ]
    assert len(fair) > 0.9 * len(judgements)
    assert [it for it in fair if it[0].genuine is not captured.genuine] == []
    assert [text for it, _ in fair for text in complaints(it)] == []
    assert {code for it, _ in fair for code in it.responses} == {"0x00"}


def test_it_sees_all_that_was_said(captured: Captured) -> None:
    judgements = judge_capture(captured.file, captured.keys)

    asked = [it for it in judgements if it.services]
    answers = [it for it in judgements if it.responses]
    assert len(asked) == len(answers)
    assert sum(len(it.services) for it in asked) == sum(len(it.responses) for it in answers)
    services = Counter(service for it in asked for service in it.services)
    assert services[REGISTER] == 1 + captured.meters
    written = Counter(table for it in asked for table in it.written)
    assert written[INITIATE] > 0, "a command for one of the relay's meters"
    if RUNS[captured.protection] == "push":
        assert written[LOAD_PROFILE] == STEPS * captured.meters
        assert written[STATUS] > 0
        assert written[EVENT_LOG] > 0
    else:
        assert set(written) == {INITIATE}
        assert services[OFFSET_READ] >= STEPS * captured.meters


def test_one_flipped_bit_is_found(captured: Captured, tmp_path: Path) -> None:
    if captured.protection == "clear":
        check_that_checksums_notice(captured, tmp_path)
    else:
        check_that_every_mac_notices(captured, tmp_path)


def check_that_every_mac_notices(captured: Captured, folder: Path) -> None:
    # The last octet before the MAC: of table data, of its checksum, or of a response.
    judgements = judge(folder, [flipped(it, -5) for it in captured.messages], captured.keys)
    assert [it.genuine for it in judgements] == [False] * len(captured.messages)
    # The lowest octet of the initialization vector, which only the header holds.
    places = [it.index(b"\x81\x04") + 5 for it in captured.messages]
    changed = [flipped(it, at) for it, at in zip(captured.messages, places, strict=True)]
    judgements = judge(folder, changed, captured.keys)
    assert [it.genuine for it in judgements] == [False] * len(captured.messages)


def check_that_checksums_notice(captured: Captured, folder: Path) -> None:
    changed, expected = [], []
    for octets in captured.messages:
        data = next(table_data(octets), None)
        changed.append(octets if data is None else flipped(octets, octets.index(data) + 2))
        expected.append(data is not None)
    assert 2 * captured.meters < sum(expected) < len(expected)
    found = [any("checksum" in it for it in one.complaints) for one in judge(folder, changed, {})]
    assert found == expected


def table_data(octets: bytes) -> Iterator[bytes]:
    """Yield what a message in clear writes to tables, with the checksum."""
    for service in read_message(octets).open(None).epsem.services:
        if service[:1] == b"\x40":
            yield service[5:]
        if service[:1] == b"\x4f":
            yield service[8:]


def flipped(octets: bytes, at: int) -> bytes:
    """Return ``octets`` with one bit of the octet ``at`` flipped."""
    changed = bytearray(octets)
    changed[at] ^= 1
    return bytes(changed)
