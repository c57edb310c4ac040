"""What holds on every line, whatever is sent over it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.batteries.device import IDLE_S, BatterySession
from emulator.batteries.jbd import JbdSession
from emulator.batteries.record import Executed
from emulator.batteries.sunspec import SunSpecSession, battery_image
from tests.support.batteries import Bench

JBD_STARTS = st.sampled_from([b"\xdd\xa5", b"\xdd\x5a\xe1\x02", b"\xdd\x5a\xf0\x04", b"\xdd"])
MODBUS_STARTS = st.sampled_from(
    [b"\0\1\0\0\0\6\1\3", b"\0\1\0\0\0\6\1\6", b"\0\1\0\0\0\x09\1\x10", b"\0\1\0\0", b"\0"]
)
Pieces = st.lists(st.one_of(JBD_STARTS, MODBUS_STARTS, st.binary(max_size=12)), max_size=12)


def session(interface: str, bench: Bench) -> BatterySession[Any]:
    if interface == "jbd":
        return JbdSession(bench.battery, bench.now_ms, 0.0)
    return SunSpecSession(bench.battery, bench.now_ms, 0.0, battery_image(bench.battery))


@pytest.mark.parametrize("interface", ["jbd", "sunspec"])
@given(pieces=Pieces)
def test_octets_of_any_kind_raise_nothing_and_never_overdrive_a_battery(
    tmp_path_factory: pytest.TempPathFactory, interface: str, pieces: list[bytes]
) -> None:
    bench = Bench(tmp_path_factory.mktemp("line"))
    line = session(interface, bench)
    for at_s, piece in enumerate(pieces):
        line.receive_data(piece, now=float(at_s))
        line.data_to_send()
        assert all(line.refusals())
    line.receive_eof()
    assert line.deadline is not None
    line.handle_deadline(len(pieces) + IDLE_S)
    assert line.deadline is None
    bench.record.close()
    assert bench.battery.ratings.allows(bench.battery.set_ma)
    executed = [entry for entry in bench.entries if isinstance(entry, Executed)]
    assert len(executed) == bench.battery.commands


@pytest.mark.parametrize("interface", ["jbd", "sunspec"])
def test_a_line_lives_as_long_as_somebody_uses_it(tmp_path: Path, interface: str) -> None:
    bench = Bench(tmp_path)
    line = session(interface, bench)
    assert line.deadline == IDLE_S
    line.receive_data(b"", now=10.0)
    assert line.deadline == IDLE_S + 10.0
    line.handle_deadline(IDLE_S)
    assert line.deadline == IDLE_S + 10.0
    line.handle_deadline(IDLE_S + 10.0)
    assert line.deadline is None
    bench.record.close()
