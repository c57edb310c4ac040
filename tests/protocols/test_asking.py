"""The asking end, with a protocol of one octet a message."""

from __future__ import annotations

from enum import Enum, auto

import pytest

from protocols.asking import Asker, Failed
from protocols.errors import LocalProtocolError


class Fault(Enum):
    LATE = auto()
    GONE = auto()


class Octets(Asker[int, bytes, Fault]):
    """Asks for an octet and is told octets; ``mends``: an answer too late ends nothing."""

    def __init__(self, *, mends: bool = False) -> None:
        super().__init__(2.0)
        self._mends = mends

    def ask(self, number: int, *, now: float) -> None:
        self._check_idle()
        self._send(number, bytes([number]), now)

    def receive_data(self, data: bytes) -> None:
        self._settle(data)

    def receive_eof(self) -> None:
        self._close(Fault.GONE, "gone")

    def handle_deadline(self, now: float) -> None:
        if self._overdue(now):
            (self._fail if self._mends else self._close)(Fault.LATE, "late")


def test_octets_go_out_once_and_an_answer_ends_the_wait() -> None:
    line = Octets()
    line.ask(7, now=10.0)
    assert (line.data_to_send(), line.data_to_send()) == (b"\x07", b"")
    assert line.deadline == 12.0
    line.receive_data(b"x")
    assert line.deadline is None
    assert (line.next_event(), line.next_event()) == (b"x", None)
    line.ask(8, now=11.0)


def test_one_request_at_a_time() -> None:
    line = Octets()
    line.ask(7, now=0.0)
    with pytest.raises(LocalProtocolError, match="7 is not answered"):
        line.ask(8, now=0.0)
    assert line.data_to_send() == b"\x07"


@pytest.mark.parametrize("mends", [False, True])
def test_the_deadline_fails_what_is_owed_and_not_before(mends: bool) -> None:
    line = Octets(mends=mends)
    line.ask(7, now=0.0)
    line.handle_deadline(1.999)
    assert line.next_event() is None
    line.handle_deadline(2.0)
    line.handle_deadline(2.0)
    assert line.next_event() == Failed(7, Fault.LATE, "late")
    assert line.next_event() is None
    assert line.faults == {Fault.LATE: 1}
    assert line.closed is not mends
    if mends:
        line.ask(8, now=3.0)
    else:
        with pytest.raises(LocalProtocolError, match="over"):
            line.ask(8, now=3.0)


def test_the_end_comes_once_and_owes_nothing_where_nothing_was_asked() -> None:
    line = Octets()
    line.receive_eof()
    line.receive_eof()
    assert line.next_event() is None
    assert line.faults == {Fault.GONE: 1}


def test_faults_cannot_be_changed_from_outside() -> None:
    with pytest.raises(TypeError):
        Octets().faults[Fault.LATE] = 1  # type: ignore[index]
