"""A client beside a layer that speaks dialects of networked batteries, both on gevent."""

from __future__ import annotations

import socket as stdlib_socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import gevent
import pytest
from gevent import socket
from gevent.server import StreamServer

from harness.bal.tls import TlsFiles, server_context
from harness.load.clients.config import System
from harness.load.clients.dialect import LINES_MAX, DialectCaller
from harness.load.clients.operations import Request
from protocols.batteries import (
    DIALECTS,
    BatteryServer,
    Connect,
    Done,
    GetStatus,
    Refusal,
    Reply,
    SetCurrent,
    Status,
)
from protocols.batteries import Request as Asked
from tests.harness.load.clients.test_client import config, lived
from tests.support.faces import Authority

NOW_MS = 1_774_994_400_123
STATUS = Status(51_200, 700, 50_000, 100_000, 40_000, 30_000, NOW_MS)
READ = Request("GET", "/batteries/home", "home")
COMMAND = Request("POST", "/batteries/home/current", "home", {"id": "c", "current_ma": -70}, "c")
Answers = Callable[[Asked], Reply | None]


class Layer:
    """A layer in one dialect. What ``answers`` says nothing to is let wait for ever."""

    def __init__(self, dialect: str, answers: Answers) -> None:
        self._dialect = dialect
        self._answers = answers
        self.asked: list[Asked] = []
        self.connections = 0
        self.hangs_up_after_each = False

    def serve(self, connection: socket.socket, _: object) -> None:
        self.connections += 1
        server = BatteryServer(DIALECTS[self._dialect])
        while octets := connection.recv(7):
            server.receive_data(octets)
            while (request := server.next_request()) is not None:
                self.asked.append(request)
                reply = self._answers(request)
                if reply is None:
                    gevent.sleep(5)
                    return
                server.answer(reply)
                connection.sendall(server.data_to_send())
                if self.hangs_up_after_each:
                    return


@contextmanager
def serving(dialect: str, answers: Answers) -> Iterator[tuple[Layer, str]]:
    layer = Layer(dialect, answers)
    server = StreamServer(("127.0.0.1", 0), layer.serve)
    server.start()
    try:
        yield layer, f"{dialect}://127.0.0.1:{server.server_port}"
    finally:
        server.stop(timeout=0)


def obliging(asked: Asked) -> Reply:
    return STATUS if isinstance(asked, GetStatus) else Done()


def caller_of(url: str, timeout_s: float = 5.0) -> DialectCaller:
    return DialectCaller(System(url=url, timeout_s=timeout_s), lambda: NOW_MS)


@pytest.mark.parametrize("dialect", ["v1", "v2"])
def test_a_battery_is_read_and_commanded_on_one_connection(dialect: str) -> None:
    with serving(dialect, obliging) as (layer, url):
        caller = caller_of(url)
        status, answer, cause = caller.call(READ)
        assert (status, cause) == (200, None)
        assert b'"current_ma": 700' in answer
        assert caller.call(COMMAND) == (200, b"{}", None)
        caller.close()
    window = (None, None) if dialect == "v1" else (NOW_MS, NOW_MS + 3_650 * 86_400_000)
    assert layer.asked == [GetStatus("home"), SetCurrent("home", -70, *window)]
    assert layer.connections == 1
    assert caller.speaks == dialect
    assert not caller.repeats


def test_a_refusal_says_why_and_keeps_the_connection() -> None:
    with serving("v1", lambda _: Refusal("out of range")) as (layer, url):
        caller = caller_of(url)
        status, answer, cause = caller.call(COMMAND)
        caller.call(COMMAND)
        caller.close()
    assert (status, cause) == (422, "answered 422")
    assert b"out of range" in answer
    assert layer.connections == 1


def test_an_answer_that_does_not_come_in_time_ends_the_connection() -> None:
    with serving("v1", lambda _: None) as (layer, url):
        caller = caller_of(url, timeout_s=0.05)
        assert caller.call(COMMAND) == (0, b"", "timeout")
        assert caller.call(READ)[0] == 0
        caller.close()
    assert layer.connections == 2


def test_a_connection_that_was_closed_meanwhile_is_not_used_again() -> None:
    with serving("v2", obliging) as (layer, url):
        layer.hangs_up_after_each = True
        caller = caller_of(url)
        for _ in range(3):
            assert caller.call(COMMAND)[0] == 200
            gevent.sleep(0.02)
        caller.close()
    assert layer.connections == 3


def test_nobody_there_and_what_does_not_fit_have_a_cause() -> None:
    assert caller_of("v1://127.0.0.1:1").call(READ) == (0, b"", "connection refused")
    with serving("v1", obliging) as (layer, url):
        long = Request("GET", "", "x" * 300)
        assert caller_of(url).call(long) == (0, b"", "does not fit")
    assert layer.asked == []


def test_there_are_no_more_connections_than_such_layers_take() -> None:
    def slowly(asked: Asked) -> Reply:
        gevent.sleep(0.01)
        return obliging(asked)

    with serving("v1", slowly) as (layer, url):
        caller = caller_of(url)
        calls = [gevent.spawn(caller.call, READ) for _ in range(3 * LINES_MAX)]
        gevent.joinall(calls, raise_error=True)
        caller.close()
    assert len(layer.asked) == 3 * LINES_MAX
    assert layer.connections <= LINES_MAX


def test_clients_drive_a_layer_that_speaks_a_dialect_only() -> None:
    began_s = time.monotonic()
    with serving("v1", obliging) as (layer, url):
        tally, notes = lived(config(url, "bal-status", "bal-current"))
    assert time.monotonic() - began_s < 5
    assert len(layer.asked) == 20
    assert tally.counts["bal status.answered"] == 10
    assert [(note.status, note.attempts) for note in notes] == [(200, 1)] * 10
    # No snapshot of these dialects says of which interval it is.
    assert not notes.snapshots
    names = {(batch["method"], batch["name"]) for batch in tally.take_batches()}
    assert names == {("V1", "bal status over bal"), ("V1", "bal current over bal")}


class SecuredLayer(threading.Thread):
    """A layer that speaks v3 to whoever shows a certificate, in a thread of its own."""

    def __init__(self, files: TlsFiles) -> None:
        super().__init__(daemon=True)
        self._listener = stdlib_socket.create_server(("127.0.0.1", 0))
        self._context = server_context(files)
        self.url = f"v3://127.0.0.1:{self._listener.getsockname()[1]}"
        self.asked: list[list[Asked]] = []

    def run(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
                accepted.settimeout(5)
                with self._context.wrap_socket(accepted, server_side=True) as connection:
                    self._serve(connection)
            except OSError:
                if self._listener.fileno() < 0:
                    return

    def stop(self) -> None:
        # Closing does not wake who waits in accept; a caller does.
        with stdlib_socket.create_connection(self._listener.getsockname()):
            self._listener.close()
        self.join()

    def _serve(self, connection: ssl.SSLSocket) -> None:
        server = BatteryServer(DIALECTS["v3"])
        self.asked.append([])
        while octets := connection.recv(1_000):
            server.receive_data(octets)
            while (request := server.next_request()) is not None:
                self.asked[-1].append(request)
                unknown = request == Connect("nobody")
                server.answer(Refusal("unknown") if unknown else obliging(request))
                connection.sendall(server.data_to_send())


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def secured(authority: Authority) -> Iterator[SecuredLayer]:
    layer = SecuredLayer(authority.files("layer"))
    layer.start()
    yield layer
    layer.stop()


def test_in_v3_a_connection_is_secured_and_about_one_battery(
    secured: SecuredLayer, authority: Authority
) -> None:
    system = System(url=secured.url, tls=authority.files("user"), timeout_s=5)
    caller = DialectCaller(system, lambda: NOW_MS)
    assert caller.call(READ)[0] == 200
    assert caller.call(COMMAND) == (200, b"{}", None)
    caller.close()
    status, _, cause = caller.call(replace(READ, subject="nobody"))
    assert (status, cause) == (422, "answered 422")
    caller.close()
    assert secured.asked[0] == [
        Connect("home"),
        GetStatus("home"),
        SetCurrent("home", -70, NOW_MS, NOW_MS + 3_650 * 86_400_000),
    ]
    assert secured.asked[1:] == [[Connect("nobody")]]


def test_who_is_not_who_it_should_be_is_told_nothing(
    secured: SecuredLayer, authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "others").mkdir()
    stranger = authority.files("user", trusts=Authority(tmp_path / "others"))
    caller = DialectCaller(System(url=secured.url, tls=stranger, timeout_s=5), lambda: NOW_MS)
    status, _, cause = caller.call(READ)
    assert (status, cause) == (0, "SSLCertVerificationError")
    assert not any(secured.asked)
