"""A client beside a server in the same process, both on gevent."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from gevent.pywsgi import WSGIServer

from emulator.tally import Tally
from harness.load.clients.client import Client
from harness.load.clients.commanded import Commanded
from harness.load.clients.config import ClientsConfig, Operation, System
from harness.load.clients.seen import Seen

Answer = tuple[str, bytes]
Handler = Callable[[str, str, dict[str, str], bytes], Answer]


class Notes(list[Commanded]):
    def __init__(self) -> None:
        super().__init__()
        self.snapshots: list[Seen] = []

    def command(self, commanded: Commanded) -> None:
        self.append(commanded)

    def seen(self, seen: Seen) -> None:
        self.snapshots.append(seen)


@contextmanager
def served(handler: Handler) -> Iterator[str]:
    """Serve ``handler`` and return the URL."""

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        headers = {
            name[5:].lower(): value for name, value in environ.items() if name.startswith("HTTP_")
        }
        status, body = handler(
            environ["REQUEST_METHOD"], environ["PATH_INFO"], headers, environ["wsgi.input"].read()
        )
        start_response(status, [("Content-Type", "application/json")])
        return [body]

    server = WSGIServer(("127.0.0.1", 0), application, log=None)
    server.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.stop()


def config(url: str, *kinds: str, timeout_s: float = 5, token: Path | None = None) -> ClientsConfig:
    return ClientsConfig(
        seed=7,
        clients=1,
        span_s=0.1,
        systems={"bal": System(url=url, timeout_s=timeout_s, token_file=token)},
        operations=tuple(
            Operation(
                name=kind.replace("-", " "),
                kind=kind,
                system="bal",
                rate_per_s=100,
                subjects=("home",),
                details={"current_ma": 1000},
            )
            for kind in kinds
        ),
    )


def lived(wanted: ClientsConfig) -> tuple[Tally, Notes]:
    tally, notes = Tally(), Notes()
    Client(wanted, 0, tally, notes).run(time.monotonic())
    return tally, notes


def test_every_request_is_made_once_and_its_answer_counted(tmp_path: Path) -> None:
    asked: list[tuple[str, str, str]] = []

    def answer(method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        asked.append((method, path, headers["authorization"]))
        return "200 OK", b'{"voltage_mv": 1}'

    token = tmp_path / "token"
    token.write_text("secret\n")
    with served(answer) as url:
        tally, notes = lived(config(url, "bal-status", token=token))
    assert asked == [("GET", "/batteries/home", "Bearer secret")] * 10
    assert tally.counts["bal status.answered"] == 10
    assert not notes
    (batch,) = tally.take_batches()
    assert (batch["method"], batch["name"]) == ("HTTP", "bal status over bal")
    assert batch["octets"] == 10 * len(b'{"voltage_mv": 1}')


def test_snapshots_are_noted_with_their_times_and_other_answers_are_not() -> None:
    snapshot = {
        "current": {"charge_ma_ms": 12},
        "oldest_ms": 5,
        "newest_ms": None,
        "sources": 3,
        "sources_online": 2,
    }
    answers = iter([snapshot, {"current": 7}, ["no snapshot"], *[snapshot] * 7])

    def answer(method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        return "200 OK", json.dumps(next(answers)).encode()

    with served(answer) as url:
        _, notes = lived(config(url, "bal-status"))
    assert len(notes.snapshots) == 8
    for seen in notes.snapshots:
        assert 0 <= seen.asked_us <= seen.answered_us
        assert (seen.subject, seen.charge_ma_ms, seen.oldest_ms, seen.newest_ms) == (
            "home",
            12,
            5,
            None,
        )
        assert (seen.sources, seen.sources_online) == (3, 2)


def test_what_is_refused_is_no_snapshot() -> None:
    with served(lambda *_: ("404 Not Found", b'{"current": {"charge_ma_ms": 1}}')) as url:
        _, notes = lived(config(url, "bal-status"))
    assert not notes.snapshots


def test_commands_are_noted_with_what_the_system_said() -> None:
    def answer(method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        said = json.loads(body)
        if said["current_ma"] > 0:
            return "422 Unprocessable", b'{"title": "over the limit"}'
        return "202 Accepted", json.dumps({"id": said["id"]}).encode()

    with served(answer) as url:
        tally, notes = lived(config(url, "bal-current"))
    assert len({note.command for note in notes}) == len(notes) == 10
    for note in notes:
        assert note.accepted is (note.body["current_ma"] <= 0)
        assert note.attempts == 1
        assert note.answered_us >= note.due_us
    accepted = sum(note.accepted for note in notes)
    assert 0 < accepted < 10
    assert tally.counts["bal current.answered"] == accepted
    assert tally.counts["bal current.failed: answered 422"] == 10 - accepted


def test_a_command_without_an_answer_is_sent_again_under_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("harness.load.clients.client.RETRY_S", 0.001)
    seen: list[str] = []

    def answer(method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        seen.append(json.loads(body)["id"])
        return ("503 Away", b"") if seen.count(seen[-1]) < 3 else ("200 OK", b"{}")

    with served(answer) as url:
        tally, notes = lived(config(url, "bal-current"))
    assert {note.attempts for note in notes} == {3}
    assert all(note.accepted for note in notes)
    assert len(seen) == 30
    assert tally.counts["bal current.answered"] == 10


def test_a_read_is_not_repeated() -> None:
    with served(lambda *_: ("503 Away", b"")) as url:
        tally, _ = lived(config(url, "bal-status"))
    assert tally.counts["bal status.failed: answered 503"] == 10


def test_nobody_there_is_a_cause_of_failure() -> None:
    with served(lambda *_: ("200 OK", b"")) as url:
        pass
    tally, notes = lived(config(url, "bal-status", "bal-current", timeout_s=0.2))
    assert tally.counts["bal status.failed: connection refused"] == 10
    assert {note.status for note in notes} == {0}
    assert not any(note.accepted for note in notes)


def test_latency_counts_from_when_a_request_was_due() -> None:
    with served(lambda *_: ("200 OK", b"{}")) as url:
        tally, notes = Tally(), Notes()
        Client(config(url, "bal-status"), 0, tally, notes).run(time.monotonic() - 3)
    assert tally.lag_s_max >= 2.9
    (batch,) = tally.take_batches()
    assert min(batch["milliseconds"]) >= 2_900


def test_what_was_not_sent_is_counted() -> None:
    tally = Tally()
    client = Client(config("http://127.0.0.1:1", "bal-status"), 0, tally, Notes())
    client.stop()
    client.run(time.monotonic())
    assert tally.counts["unsent requests"] == 10


def test_everything_lies_below_the_path_of_a_url() -> None:
    asked: list[str] = []

    def answer(method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        asked.append(path)
        return "200 OK", b"{}"

    with served(answer) as url:
        lived(config(url + "/api/v2", "bal-status"))
    assert set(asked) == {"/api/v2/batteries/home"}
