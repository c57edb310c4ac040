"""The replay probe: what it takes for a confirmation, and what it makes of head-ends' answers."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from harness.captured import captured, whole_blocks
from harness.provisioning import Provisioning
from harness.replay_probe import ReplayProbe, confirms
from protocols import pcapng
from protocols.dlms.plugin import DlmsPlugin
from protocols.dlms.security import AUTHENTICATED_AND_ENCRYPTED
from protocols.plugin import Received, SessionOptions
from tests.support.concentrator_model import HEAD_END, NO_NODES, MemoryCounters
from tests.support.headend import Pusher
from tests.support.recorded_run import RecordedFolder

PORT: Final = DlmsPlugin.captured_port
NEAR: Final = 50_000


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder with devices; what was captured is for the test to write."""
    path = RecordedFolder(tmp_path).path
    (path / "captures").mkdir()
    return path


class Talk:
    """A push of a provisioned concentrator, and what a head-end with its keys confirms it with."""

    def __init__(self, run: Path, number: int = 0) -> None:
        self.record = Provisioning.load(run / "provisioning").concentrators[number]
        credentials = self.record.credentials
        self.push = Pusher(number, credentials).octets(number=1)
        receiver = DlmsPlugin().receive_session(
            {credentials.system_title: credentials}.get,
            HEAD_END,
            MemoryCounters(),
            SessionOptions(),
            NO_NODES,
        )
        (received,) = receiver.receive_data(self.push)
        assert isinstance(received, Received)
        self.confirmation = receiver.confirm(received)

    def packets(self, port: int, answer: bytes | None = None) -> bytes:
        """Return the talk as it was captured, with a head-end at ``port``."""
        near, far = (self.record.address, NEAR), ("127.0.0.1", port)
        told = self.confirmation if answer is None else answer
        return pcapng.packet(pcapng.Packet(1, near, far, PORT, self.push)) + pcapng.packet(
            pcapng.Packet(2, far, near, PORT, told)
        )


def write(run: Path, *packets: bytes) -> None:
    (run / "captures" / "fleet-0.pcapng").write_bytes(pcapng.section() + b"".join(packets))


@contextmanager
def head_end(answer: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """Listen on a port; whoever dials is answered so and hung up on. Yields port and what came."""
    heard: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                heard.append(connection.recv(65_536))
                connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1], heard
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def result(run: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((run / "replays.json").read_text())
    return found


def test_a_confirmation_is_one_by_the_keys_of_its_concentrator(run: Path) -> None:
    mine, other = Talk(run, 0), Talk(run, 1)
    tampered = mine.confirmation[:-1] + bytes((mine.confirmation[-1] ^ 1,))
    assert confirms(mine.record, mine.confirmation, AUTHENTICATED_AND_ENCRYPTED)
    for octets in (other.confirmation, tampered, mine.push, b"", b"\xff" * 16):
        assert not confirms(mine.record, octets, AUTHENTICATED_AND_ENCRYPTED)


def test_a_replay_that_is_confirmed_is_accepted(run: Path) -> None:
    talk = Talk(run)
    with head_end(talk.confirmation) as (port, heard):
        write(run, talk.packets(port))
        probe = ReplayProbe(run, 1)
        probe.look()
        probe.look()
    assert probe.done
    assert heard == [talk.push], "once, and the very octets"
    assert (result(run)["tried"], result(run)["accepted"]) == (1, 1)


@pytest.mark.parametrize("answer", [b"", b"\x00\x01\x00\x01\x00\x01\x00\x02\x0e\x01"])
def test_a_replay_that_is_answered_otherwise_is_refused(answer: bytes, run: Path) -> None:
    talk = Talk(run)
    with head_end(answer) as (port, _):
        write(run, talk.packets(port))
        ReplayProbe(run, 1).look()
    assert (result(run)["tried"], result(run)["accepted"]) == (1, 0)


def test_what_was_never_confirmed_is_not_replayed(run: Path) -> None:
    talk, other = Talk(run, 0), Talk(run, 1)
    with head_end(b"") as (port, heard):
        write(run, talk.packets(port, answer=other.confirmation), other.packets(port))
        ReplayProbe(run, 2).look()
    assert heard == [other.push]


def test_a_head_end_that_is_away_is_tried_again(run: Path) -> None:
    talk = Talk(run)
    with head_end(b"") as (port, _):
        pass
    write(run, talk.packets(port))
    probe = ReplayProbe(run, 1)
    probe.look()
    assert (result(run)["tried"], result(run)["unreachable"]) == (0, 1)
    assert not probe.done
    with head_end(b"") as (port, _):
        write(run, talk.packets(port))
        probe.look()
    assert probe.done
    assert (result(run)["tried"], result(run)["unreachable"]) == (1, 0)


def test_a_capture_is_read_up_to_what_is_still_being_written(run: Path) -> None:
    whole = pcapng.section() + Talk(run).packets(1)
    for cut in range(len(whole) + 1):
        assert whole.startswith(whole_blocks(whole[:cut]))
        pcapng.read(whole_blocks(whole[:cut]))
    (run / "captures" / "fleet-0.pcapng").write_bytes(whole[:-1])
    ((_, packets),) = captured(run)
    assert [packet.at_ns for packet in packets] == [1]


@contextmanager
def probing(run: Path, wanted: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run the probe as a run does, until it looks."""
    command = [sys.executable, "-m", "harness.replay_probe", str(run), str(wanted)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        try:
            yield process
        finally:
            process.kill()


def test_its_process_ends_once_enough_was_tried(run: Path) -> None:
    talk = Talk(run)
    with head_end(b"") as (port, heard), probing(run, 1) as process:
        assert result(run)["tried"] == 0, "that it was asked for is written down at once"
        write(run, talk.packets(port))
        assert process.wait(30) == 0
    assert heard == [talk.push]
    assert (result(run)["tried"], result(run)["accepted"]) == (1, 0)


def test_what_is_confirmed_last_is_tried_when_the_run_is_over(run: Path) -> None:
    talk = Talk(run)
    with head_end(b"") as (port, heard), probing(run, 2) as process:
        write(run, talk.packets(port))
        process.terminate()
        assert process.wait(30) == 0
    assert heard == [talk.push]
    assert result(run)["tried"] == 1


def test_its_process_ends_with_the_run(run: Path) -> None:
    with probing(run, 1) as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30) == 0
