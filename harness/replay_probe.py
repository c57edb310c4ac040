"""An active probe: record pushes that a head-end confirmed, send them again, expect no answer.

``python -m harness.replay_probe RUN CONCENTRATORS`` follows a run while it goes on, in a process
and over connections of its own. It prints ``ready`` once it looks, and ends when as many
concentrators as asked for were tried; on SIGTERM, and with standard input, whose other end the run
holds, after a last look. It needs the run's capture. What became of the replays is in
``replays.json`` in the folder of the run; that nothing was stored twice the run judges itself.

A replay is *accepted* when the head-end confirms it as if it were new: an answer that opens with
the concentrator's keys. Silence, hanging up and any other answer refuse it. Only DLMS pushes that
ask to be confirmed tell so much.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.captured import captured
from harness.provisioning import ConcentratorRecord, Provisioning
from protocols.dlms.plugin import DlmsPlugin
from protocols.dlms.plugin.protection import keys, push_protection
from protocols.dlms.push import PushConfirmed, PushPeer, PushRefused, PushSender, RefusalKind
from protocols.dlms.security import ReceiveCounter, SecurityControl, SendCounter
from protocols.errors import ProtocolError
from protocols.pcapng import Packet
from protocols.plugin import SessionOptions
from reports.recording import write_atomically

RESULT: Final = "replays.json"
UNREACHABLE: Final = "unreachable"
POLL_S: Final = 0.2
CONNECT_S: Final = 5.0
ANSWER_S: Final = 3.0
"""Wall seconds for an answer: a head-end commits in groups, and stores before it confirms."""
RECEIVE_SIZE: Final = 4_096


@dataclass(frozen=True, slots=True)
class Account:
    """What became of one replay: ``accepted``, ``refused`` or ``unreachable``, and how."""

    concentrator: str
    outcome: str
    detail: str

    def __str__(self) -> str:
        """Return it in a line."""
        return f"{self.concentrator}: {self.outcome}: {self.detail}"


class ReplayProbe:
    """Replays one confirmed push of each of the first concentrators captured.

    Args:
        run: folder of the run.
        wanted: how many concentrators.
    """

    def __init__(self, run: Path, wanted: int) -> None:
        self._run = run
        self._wanted = wanted
        self._provisioning = Provisioning.load(run / "provisioning")
        self._by_address = {item.address: item for item in self._provisioning.concentrators}
        options = SessionOptions(protection=self._provisioning.shared.protection)
        self._protection = push_protection(options)
        self._tried: dict[str, Account] = {}

    @property
    def done(self) -> bool:
        """Whether as many were tried as are wanted."""
        settled = [item for item in self._tried.values() if item.outcome != UNREACHABLE]
        return len(settled) >= self._wanted

    def look(self) -> None:
        """Replay what was confirmed since the last look, and write down what became of it."""
        for record, push in self._confirmed():
            account = self._replay(record, push)
            if account.outcome != UNREACHABLE or record.name not in self._tried:
                self._tried[record.name] = account
            self.write()

    def _confirmed(self) -> Iterator[tuple[ConcentratorRecord, Packet]]:
        """Yield the first confirmed push of each concentrator that was not yet replayed."""
        for _, packets in captured(self._run):
            pushes: dict[tuple[str, int], Packet] = {}
            for packet in packets:
                if packet.dissector_port != DlmsPlugin.captured_port:
                    continue
                if packet.source[0] in self._by_address:
                    pushes[packet.source] = packet
                    continue
                push = pushes.pop(packet.destination, None)
                record = self._by_address.get(packet.destination[0])
                if push is not None and record is not None and self._wants(record, packet):
                    yield record, push

    def _wants(self, record: ConcentratorRecord, answer: Packet) -> bool:
        if self.done or self._is_settled(record):
            return False
        return self._confirms(record, answer.octets)

    def _is_settled(self, record: ConcentratorRecord) -> bool:
        account = self._tried.get(record.name)
        return account is not None and account.outcome != UNREACHABLE

    def _replay(self, record: ConcentratorRecord, push: Packet) -> Account:
        try:
            with socket.create_connection(push.destination, CONNECT_S) as connection:
                connection.sendall(push.octets)
                answer = _answer(connection)
        except OSError as error:
            return Account(record.name, UNREACHABLE, str(error))
        if not answer:
            return Account(record.name, "refused", "no answer")
        if self._confirms(record, answer):
            return Account(record.name, "accepted", f"confirmed again: {answer.hex(' ')}")
        return Account(record.name, "refused", f"answered {answer.hex(' ')}")

    def _confirms(self, record: ConcentratorRecord, octets: bytes) -> bool:
        return confirms(record, octets, self._protection)

    def write(self) -> None:
        """Write down what became of everything so far; at first, that it was asked for."""
        outcomes = [account.outcome for account in self._tried.values()]
        found = {
            "tried": len(outcomes) - outcomes.count(UNREACHABLE),
            "accepted": outcomes.count("accepted"),
            "unreachable": outcomes.count(UNREACHABLE),
            "accounts": [str(account) for account in self._tried.values()],
        }
        write_atomically(self._run / RESULT, json.dumps(found, indent=1).encode() + b"\n")


def confirms(record: ConcentratorRecord, octets: bytes, protection: SecurityControl | None) -> bool:
    """Tell whether ``octets`` hold a genuine confirmation of some push of a concentrator."""
    credentials = record.credentials
    shared = keys(credentials)
    sender = PushSender(
        system_title=credentials.system_title,
        keys=shared,
        counter=SendCounter(),
        # Whoever seals with the keys under another title may confirm.
        head_end=lambda title: (
            None
            if title == credentials.system_title
            else PushPeer(shared, ReceiveCounter(zero_acceptable=True))
        ),
        protection=protection,
    )
    try:
        events = sender.receive_data(octets)
    except ProtocolError:
        return False
    # No push of this session is in flight: what is genuine confirms one that it did not make.
    return any(
        isinstance(event, PushConfirmed)
        or (isinstance(event, PushRefused) and event.kind is RefusalKind.UNASKED)
        for event in events
    )


def _answer(connection: socket.socket) -> bytes:
    """Return what comes back at once, empty for silence and for hanging up."""
    connection.settimeout(ANSWER_S)
    try:
        return connection.recv(RECEIVE_SIZE)
    except (TimeoutError, ConnectionError):
        return b""


class _Run:
    """Whether the run goes on: until it says SIGTERM, or the other end of our input is closed."""

    def __init__(self) -> None:
        self._told = False
        signal.signal(signal.SIGTERM, self._tell)

    def is_over(self, within_s: float) -> bool:
        """Return that after at most so many seconds."""
        standard_input = sys.stdin.fileno()
        ready, _, _ = select.select([standard_input], [], [], 0.0 if self._told else within_s)
        return self._told or (bool(ready) and not os.read(standard_input, RECEIVE_SIZE))

    def _tell(self, number: int, frame: object) -> None:
        self._told = True


def main() -> None:
    """Probe until enough was tried; what was confirmed last is tried once the run is over."""
    folder, wanted = sys.argv[1:]
    run, probe = _Run(), ReplayProbe(Path(folder), int(wanted))
    probe.write()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    is_over = False
    while not probe.done and not is_over:
        is_over = run.is_over(POLL_S)
        probe.look()


if __name__ == "__main__":
    main()
