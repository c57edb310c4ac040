"""The concentrator as a device: buffer, commands, control logs, counters."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator import device
from emulator.clock import ScenarioClock
from emulator.delivery_record import DeliveryRecord, Mark
from emulator.device import CONTROL_LOG_ROWS, Concentrator, DeviceCounters, ExecutionLog
from emulator.identity import concentrator_name, concentrator_system_title, meter_names
from emulator.plan import Plan
from emulator.readings import Truth
from emulator.world import World
from protocols.plugin import Command, CommandKind, ConcentratorModel, Execution
from tests.support.grids import FIRST_S, small_plan

STEPS = 40
NUMBER = 2


class Place:
    """One concentrator, its world and its log, at a step."""

    def __init__(self, folder: Path, step: float = 10.5, **changes: Any) -> None:
        self.plan: Plan = small_plan(steps=STEPS, **changes)
        count = self.plan.grid.concentrators
        self.record = DeliveryRecord.create(folder, self.plan.grid, 0, count, STEPS)
        self.truth = Truth(self.plan.grid, self.plan.behaviour, FIRST_S, 7)
        self.clock = ScenarioClock()
        self.file = folder / "executions.ndjson"
        self.log = ExecutionLog(self.file)
        self.world = World(self.plan, self.truth, self.clock, self.record)
        self.device = Concentrator(NUMBER, self.world, self.log)
        self.meters = self.plan.grid.meters_of(NUMBER)
        self.at(step)

    def at(self, step: float) -> None:
        self.clock.start(time.monotonic(), FIRST_S + step * self.plan.step_s, 1e-6)

    def captured_s(self, interval: int) -> int:
        return FIRST_S + interval * self.plan.step_s

    def close(self) -> None:
        self.log.close()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.file.read_text().splitlines()]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with closing(Place(tmp_path)) as made:
        yield made


def test_it_is_what_a_protocol_wants(place: Place) -> None:
    model: ConcentratorModel = place.device
    assert model.name == concentrator_name(NUMBER)
    assert model.system_title == concentrator_system_title(NUMBER)
    assert model.capture_period_s == 900
    assert [register.name for register in model.registers] == list(place.truth.profile.names)
    expected = meter_names(place.meters.start, place.meters.stop)
    assert model.meter_names.tolist() == expected.tolist()
    assert model.clock_s() == pytest.approx(FIRST_S + 10.5 * 900, abs=1)


def last_open_step(place: Place, step: int) -> int:
    is_open = [
        at for at in range(step + 1) if place.plan.concentrator_reachable(np.array([NUMBER]), at)[0]
    ]
    return max(is_open, default=-1)


def test_what_was_heard_after_the_window_closed_is_left_out(tmp_path: Path) -> None:
    """It is due when the next window opens, not in a conversation that outlasts this one."""
    bad = {"name": "bad", "share": "100 %", "reachable": "25 %", "windows_per_day": 24}
    with closing(Place(tmp_path, concentrators=[bad])) as place:
        opens = last_open_step(place, STEPS - 1)
        closed = last_open_step(place, opens - 2) + 1
        assert closed < opens
        place.at(closed + 0.5)
        newest_s = place.device.buffer(0, 2**40).captured_at_s.max()
        assert newest_s == place.captured_s(closed - 1)
        place.at(opens + 0.5)
        assert place.device.buffer(0, 2**40).captured_at_s.max() == place.captured_s(opens)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_the_buffer_holds_what_was_heard_in_any_range(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    step = data.draw(st.sampled_from([-3.5, 0.5, 10.5, 39.5, 55.0]))
    with closing(Place(tmp_path_factory.mktemp("device"), step)) as place:
        bounds = st.integers(place.captured_s(-3), place.captured_s(STEPS + 2))
        from_s, to_s = data.draw(bounds), data.draw(bounds)
        first = data.draw(st.integers(0, len(place.meters)))
        chosen = data.draw(st.sampled_from([None, range(first, len(place.meters)), range(first)]))
        now = last_open_step(place, min(int(step), STEPS - 1) if step > 0 else -1)
        numbers = place.meters if chosen is None else place.meters[chosen.start : chosen.stop]
        expected = [
            (meter, interval)
            for interval in range(now + 1)
            for meter in numbers
            if from_s <= place.captured_s(interval) <= to_s
            and place.plan.available_step(np.array([meter]), interval)[0] <= now
        ]
        batch = place.device.buffer(from_s, to_s, chosen)
        assert batch.concentrator == concentrator_name(NUMBER)
        meters, intervals = np.array(expected, np.int64).reshape(-1, 2).T
        assert batch.captured_at_s.tolist() == place.plan.captured_at(intervals).tolist()
        values, status = place.truth.registers(meters, intervals)
        np.testing.assert_array_equal(batch.values, values)
        np.testing.assert_array_equal(batch.status, status)
        every_name = meter_names(0, place.plan.grid.meters)
        assert batch.meter_ids.tolist() == every_name[meters].tolist()


@pytest.mark.parametrize(
    ("step", "span"), [(-2.5, (0, -1)), (0.0, (0, 0)), (10.5, (0, 10)), (60.0, (0, 39))]
)
def test_the_span_is_from_the_first_capture_to_the_last(
    place: Place, step: float, span: tuple[int, int]
) -> None:
    place.at(step)
    assert place.device.buffer_span() == tuple(map(place.captured_s, span))


def test_before_the_run_has_a_clock_there_is_nothing(place: Place) -> None:
    place.world.clock = ScenarioClock()
    assert place.world.step() == -1
    assert len(place.device.buffer(0, 2**40)) == 0


def test_what_leaves_the_buffer_is_marked_sent_and_nothing_else(place: Place) -> None:
    batch = place.device.buffer(place.captured_s(2), place.captured_s(4), range(1))
    place.device.handed_over(batch)
    sent = place.record.of_concentrator(Mark.SENT, NUMBER, 0, STEPS)
    heard = [
        at for at in (2, 3, 4) if place.plan.available_step(np.array(place.meters[:1]), at)[0] <= 10
    ]
    assert np.argwhere(sent).tolist() == [[at, 0] for at in heard]
    assert place.record.total(Mark.SENT) == len(batch) > 0
    assert place.record.total(Mark.ACKNOWLEDGED) == 0


@pytest.fixture
def aged(tmp_path: Path) -> Iterator[Place]:
    """A place with a history of fifty captures before the first step."""
    with closing(Place(tmp_path, preloaded=50)) as made:
        yield made


def test_history_is_answered_from_the_truth_whoever_could_be_heard_since(aged: Place) -> None:
    batch = aged.device.buffer(0, aged.captured_s(-1))
    expected = [(meter, at) for at in range(-50, 0) for meter in aged.meters]
    meters, intervals = np.array(expected, np.int64).T
    assert batch.captured_at_s.tolist() == aged.plan.captured_at(intervals).tolist()
    np.testing.assert_array_equal(batch.values, aged.truth.registers(meters, intervals)[0])
    assert aged.device.buffer_span() == (aged.captured_s(-50), aged.captured_s(10))
    everything = aged.device.buffer(0, 2**40)
    since = aged.device.buffer(aged.captured_s(0), 2**40)
    assert len(everything) == len(batch) + len(since)


def test_history_is_there_before_the_first_step(tmp_path: Path) -> None:
    """Of meters too that are hard to reach: it was heard long ago."""
    bad = {"name": "bad", "share": "100 %", "reachable": "5 %", "windows_per_day": 4}
    with closing(Place(tmp_path, -3.5, preloaded=50, meters=[bad])) as aged:
        assert len(aged.device.buffer(0, 2**40)) == 50 * len(aged.meters)
        assert aged.device.buffer_span() == (aged.captured_s(-50), aged.captured_s(-1))


def test_history_that_leaves_the_buffer_is_nothing_that_was_owed(aged: Place) -> None:
    batch = aged.device.buffer(aged.captured_s(-2), aged.captured_s(1))
    aged.device.handed_over(batch)
    sent = aged.record.of_concentrator(Mark.SENT, NUMBER, 0, STEPS)
    owed = int(np.count_nonzero(batch.captured_at_s >= FIRST_S))
    assert 0 < owed == len(batch) - 2 * len(aged.meters)
    assert int(sent.sum()) == owed
    assert not sent[2:].any()


def test_the_buffer_has_an_end(aged: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "BUFFER_INTERVALS", 30)
    assert aged.device.buffer_span() == (aged.captured_s(-19), aged.captured_s(10))
    assert aged.device.buffer(0, 2**40).captured_at_s.min() == aged.captured_s(-19)


def do(place: Place, kind: CommandKind, parameter: int = 0, meter: int = 0) -> bool:
    return place.device.execute(meter, Command(kind, parameter), 77)


def test_the_breaker_opens_and_closes(place: Place) -> None:
    assert place.device.is_connected(0, 0)
    assert do(place, CommandKind.DISCONNECT)
    assert not place.device.is_connected(0, 0)
    assert place.device.is_connected(1, 0)
    assert place.device.is_connected(0, 1)
    assert do(place, CommandKind.RECONNECT)
    assert place.device.is_connected(0, 0)


def test_one_segment_is_switched(place: Place) -> None:
    assert do(place, CommandKind.SEGMENT, 3 << 1)
    switched = [segment for segment in range(9) if not place.device.is_connected(0, segment)]
    assert switched == [3]
    assert do(place, CommandKind.SEGMENT, 3 << 1 | 1)
    assert place.device.is_connected(0, 3)


def test_the_rate_is_what_it_was_told(place: Place) -> None:
    assert place.device.active_rate(0) == 1
    assert do(place, CommandKind.TARIFF, 2)
    assert place.device.active_rate(0) == 2
    assert place.device.active_rate(1) == 1


def test_a_clock_that_was_set_goes_on_from_there(place: Place) -> None:
    assert do(place, CommandKind.TIME, 1_000_000)
    assert place.device.meter_clock_s(0) == pytest.approx(1_000_000, abs=1)
    assert place.device.meter_clock_s(1) == pytest.approx(place.device.clock_s(), abs=1)
    place.at(11.5)
    assert place.device.meter_clock_s(0) == pytest.approx(1_000_900, abs=1)


@pytest.mark.parametrize(
    ("kind", "parameter", "meter"),
    [
        (CommandKind.SEGMENT, 0, 0),
        (CommandKind.SEGMENT, 9 << 1, 0),
        (CommandKind.TARIFF, 0, 0),
        (CommandKind.TARIFF, 3, 0),
        (CommandKind.DISCONNECT, 0, -1),
        (CommandKind.DISCONNECT, 0, 1_000),
    ],
)
def test_what_makes_no_sense_is_neither_done_nor_logged(
    place: Place, kind: CommandKind, parameter: int, meter: int
) -> None:
    assert not do(place, kind, parameter, meter)
    assert place.device.control_log(0) == ()
    assert place.lines() == []


def test_every_execution_is_in_the_meters_log_and_in_the_file(place: Place) -> None:
    assert do(place, CommandKind.DISCONNECT)
    assert do(place, CommandKind.TIME, 5_000, meter=1)
    assert [item.command.kind for item in place.device.control_log(0)] == [CommandKind.DISCONNECT]
    assert place.device.control_log(1) == (
        Execution(Command(CommandKind.TIME, 5_000), at_s=5_000, counter=77),
    )
    first, second = place.lines()
    assert second == {
        "meter": place.meters[1],
        "kind": "time",
        "parameter": 5_000,
        "at_s": 5_000,
        "counter": 77,
    }
    assert first["at_s"] == pytest.approx(FIRST_S + 10.5 * 900, abs=1)


def test_a_meter_keeps_only_its_newest_executions(place: Place) -> None:
    for time_s in range(CONTROL_LOG_ROWS + 3):
        do(place, CommandKind.TIME, time_s)
    log = place.device.control_log(0)
    assert [item.at_s for item in log] == list(range(3, CONTROL_LOG_ROWS + 3))


@pytest.mark.parametrize("written", [None, 5])
def test_what_cannot_be_logged_is_not_done(
    place: Place, monkeypatch: pytest.MonkeyPatch, written: int | None
) -> None:
    """A full disk takes nothing of the line, or a part of it."""
    assert do(place, CommandKind.TARIFF, 2)
    before = place.file.read_bytes()
    file = place.log._log._file

    class Full:
        def write(self, octets: bytes) -> int:
            if written is None:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return file.write(octets[:written])

        def __getattr__(self, name: str) -> Any:
            return getattr(file, name)

    monkeypatch.setattr(place.log._log, "_file", Full())
    assert not do(place, CommandKind.DISCONNECT)
    assert place.device.is_connected(0, 0)
    assert len(place.device.control_log(0)) == 1
    assert place.file.read_bytes() == before


def test_both_contexts_of_a_device_send_under_one_counter(place: Place) -> None:
    pushing, served = place.device.push_counters, place.device.served_counters
    assert [pushing.next(), served.next(), pushing.next()] == [1, 2, 3]


def test_counters_remember_each_peer_apart() -> None:
    counters = DeviceCounters([0])
    assert counters.last_accepted(b"MSH") is None
    counters.accept(b"MSH", 5)
    assert counters.last_accepted(b"MSH") == 5
    assert counters.last_accepted(b"XYZ") is None
