"""Congestion control of real sockets: reno is in every kernel."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from emulator import congestion


@pytest.fixture
def connection() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as made:
        yield made


def test_a_socket_uses_what_it_is_told(connection: socket.socket) -> None:
    congestion.use(connection, "reno")
    assert congestion.used(connection) == "reno"


def test_without_a_word_the_choice_is_the_kernels(connection: socket.socket) -> None:
    before = congestion.used(connection)
    congestion.use(connection, None)
    assert congestion.used(connection) == before
    assert before in congestion.available()


def test_accepted_connections_inherit_it(connection: socket.socket) -> None:
    congestion.use(connection, "reno")
    connection.bind(("127.0.0.1", 0))
    connection.listen(1)
    with socket.create_connection(connection.getsockname()) as caller:
        accepted, _ = connection.accept()
        with accepted:
            assert congestion.used(accepted) == "reno"
        assert caller.fileno() > 0


def test_what_is_not_there_is_named_with_what_is(connection: socket.socket) -> None:
    with pytest.raises(congestion.CongestionError, match="'pigeon' is not there") as caught:
        congestion.use(connection, "pigeon")
    assert "reno" in str(caught.value)
    assert congestion.refusal("pigeon") == caught.value.strerror


def test_what_works_is_not_refused() -> None:
    assert congestion.refusal("reno") is None
    assert congestion.refusal(None) is None
