"""The interface as a vendor meets it: the toy protocol of the how-to page, installed and used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import CodecError, LocalProtocolError, ProtocolError
from protocols.plugin import (
    Command,
    CommandKind,
    Credentials,
    Declined,
    Executed,
    Execution,
    LogRead,
    Opened,
    Outcome,
    PollSession,
    ProtocolPlugin,
    ReadDone,
    Received,
    Refused,
    ServedSession,
    SessionOptions,
    load_protocol,
)
from tests.support.concentrator_model import (
    CREDENTIALS,
    FIRST_S,
    HEAD_END,
    NO_NODES,
    STEP_S,
    TITLE,
    MemoryConcentrator,
    MemoryCounters,
    same,
)
from tests.support.pushing import confirmed, pushed

PAGE: Final = Path(__file__).parents[2] / "docs" / "howto" / "add-a-protocol.md"
MODEL: Final = MemoryConcentrator()
READINGS: Final = MODEL.readings([(0, 3), (1, 3), (2, 3)])


def block(language: str) -> str:
    """Return the one code block of the page in that language."""
    (found,) = re.findall(
        rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE
    )
    return str(found)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The page's package, installed: module, metadata and entry point on the path."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "toy_protocol_of_the_page.py").write_text(block("python"))
    metadata = folder / "toy_protocol_of_the_page-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1\n")
    points = re.sub(r"project\.entry-points\.|\"", "", block("toml"))
    points = points.replace("= toy:", "= toy_protocol_of_the_page:")
    (metadata / "entry_points.txt").write_text(points)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield import_module("toy_protocol_of_the_page")


@dataclass
class Ends:
    """Both sides of the toy."""

    plugin: ProtocolPlugin
    model: MemoryConcentrator = field(default_factory=MemoryConcentrator)
    device: MemoryCounters = field(default_factory=MemoryCounters)
    head_end: MemoryCounters = field(default_factory=MemoryCounters)
    options: SessionOptions = field(default_factory=SessionOptions)

    def served(self) -> ServedSession:
        return self.plugin.served_session(self.model, CREDENTIALS, self.device, self.options, bytes)

    def poll(self) -> PollSession:
        return self.plugin.poll_session(CREDENTIALS, HEAD_END, self.head_end, self.options, bytes)


def known(title: bytes) -> Credentials | None:
    return CREDENTIALS if title == TITLE else None


@pytest.fixture
def ends(toy: Any) -> Ends:
    return Ends(load_protocol("toy"))


def outcome(poll: PollSession, served: ServedSession) -> Outcome | None:
    for octet in poll.data_to_send():
        served.receive_data(bytes((octet,)), now=1.0)
    for octet in served.data_to_send():
        poll.receive_data(bytes((octet,)), now=2.0)
    return poll.outcome()


def test_an_installed_package_is_found_by_its_name(ends: Ends, toy: Any) -> None:
    assert type(ends.plugin) is toy.ToyPlugin
    assert isinstance(ends.plugin, ProtocolPlugin)


def test_dlms_implements_the_interface() -> None:
    assert isinstance(load_protocol("dlms"), ProtocolPlugin)


def test_an_unknown_protocol_is_answered_with_those_there_are() -> None:
    with pytest.raises(LookupError, match=r'no protocol "dlsm"; installed: .*dlms'):
        load_protocol("dlsm")


def test_a_push_arrives_and_is_confirmed_once(ends: Ends) -> None:
    pusher = ends.plugin.push_session(CREDENTIALS, ends.device, ends.options)
    receiver = ends.plugin.receive_session(known, HEAD_END, ends.head_end, ends.options, NO_NODES)
    octets = pushed(pusher, READINGS, 7)
    (received,) = [item for octet in octets for item in receiver.receive_data(bytes((octet,)))]
    assert isinstance(received, Received)
    assert same(received.readings, READINGS)
    assert confirmed(pusher, receiver.confirm(received)) == [7]
    (refused,) = receiver.receive_data(octets)
    assert isinstance(refused, Refused)
    assert refused.cause == "replayed"


def test_a_push_of_a_stranger_is_refused(ends: Ends) -> None:
    pusher = ends.plugin.push_session(CREDENTIALS, ends.device, ends.options)
    receiver = ends.plugin.receive_session(
        lambda _title: None, HEAD_END, ends.head_end, ends.options, NO_NODES
    )
    (refused,) = receiver.receive_data(pushed(pusher, READINGS, 7))
    assert isinstance(refused, Refused)
    assert refused.cause == "unknown system title"


def test_the_buffer_is_read_by_range(ends: Ends) -> None:
    poll, served = ends.poll(), ends.served()
    poll.open(now=0.0)
    assert poll.outcome() == Opened()
    poll.read(FIRST_S, FIRST_S + STEP_S, now=0.0)
    assert poll.deadline == ends.options.timeout_s
    done = outcome(poll, served)
    assert isinstance(done, ReadDone)
    assert same(done.readings, ends.model.buffer(FIRST_S, FIRST_S + STEP_S))
    assert sum(map(len, ends.model.handed)) == 6
    assert poll.deadline is None


def test_a_command_is_executed_under_the_counter_that_was_promised(ends: Ends) -> None:
    poll, served = ends.poll(), ends.served()
    command = Command(CommandKind.SEGMENT, 3)
    counter = poll.execute(2, command, now=0.0)
    with pytest.raises(LocalProtocolError):
        poll.read_log(2, now=0.0)
    assert outcome(poll, served) == Executed(True, "done")
    poll.read_log(2, now=0.0)
    expected = Execution(command, int(ends.model.now_s), counter)
    assert outcome(poll, served) == LogRead((expected,))
    poll.execute(3, command, now=0.0)
    assert outcome(poll, served) == Declined("no such meter")


@given(octets=st.binary(max_size=60) | st.sampled_from([b"1\n", b"{}\n", b'{"readings": 1}\n']))
def test_garbage_raises_only_protocol_errors(toy: Any, octets: bytes) -> None:
    ends = Ends(toy.ToyPlugin())
    receiver = ends.plugin.receive_session(known, HEAD_END, ends.head_end, ends.options, NO_NODES)
    with suppress(ProtocolError):
        receiver.receive_data(octets + b"\n")
    with suppress(ProtocolError):
        ends.served().receive_data(octets + b"\n", now=0.0)
    with suppress(ProtocolError):
        ends.poll().receive_data(octets + b"\n", now=0.0)


def test_a_line_without_an_end_is_not_buffered_for_ever(ends: Ends, toy: Any) -> None:
    with pytest.raises(CodecError, match="a line of more than"):
        ends.served().receive_data(bytes(toy.LINE_MAX + 1), now=0.0)


def test_credentials_show_no_secret() -> None:
    shown = repr(CREDENTIALS)
    for secret in (CREDENTIALS.encryption_key, CREDENTIALS.authentication_key, CREDENTIALS.secret):
        assert secret.hex() not in shown
        assert repr(secret) not in shown
