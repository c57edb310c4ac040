"""After the verdict: which rings become a capture, and that the others go."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from emulator.capture_rings import Note
from harness.check.command import judge_run
from harness.explain.keeping import SAMPLE, keep_captures
from protocols import pcapng
from protocols.framing import encode_message
from tests.support.captured import at_ns, exchange, readings_of
from tests.support.recorded_run import RecordedFolder


@pytest.fixture
def run(tmp_path: Path) -> RecordedFolder:
    """A run with a ring of every concentrator, the push of interval 0 in each."""
    made = RecordedFolder(tmp_path)
    (made.path / "captures").mkdir()
    for number in range(made.prepared.grid.concentrators):
        notes = exchange(made, readings_of(made, number, 0), number, when_ns=at_ns(made, 0))
        leave(made, number, notes)
    return made


def leave(run: RecordedFolder, number: int, notes: Sequence[Note], *, broken: bool = False) -> None:
    with (run.path / "captures" / "rings-0.bin").open("ab") as file:
        file.write(encode_message({"concentrator": number, "broken": broken, "notes": notes}))


def kept(run: RecordedFolder) -> list[pcapng.Packet]:
    file = keep_captures(run.path, judge_run(run.path).verdict)
    assert not list((run.path / "captures").glob("rings-*"))
    return [] if file is None else pcapng.read(file.read_bytes())


def names(packets: Sequence[pcapng.Packet]) -> set[str]:
    return {packet.comment.partition(",")[0] for packet in packets}


def test_of_a_run_that_passed_nothing_is_kept(run: RecordedFolder) -> None:
    verdict = judge_run(run.path).verdict
    assert verdict.verdict == "passed"
    assert keep_captures(run.path, verdict) is None
    assert not (run.path / "captures").exists()


def test_connections_that_broke_are_kept_whatever_the_verdict(run: RecordedFolder) -> None:
    notes = exchange(run, readings_of(run, 2, 1), 2, when_ns=at_ns(run, 1), answered=False)
    leave(run, 2, notes, broken=True)
    (packet,) = kept(run)
    assert packet.comment == "MSC0000000000003, before its connection broke"
    assert packet.source[0] == "127.1.0.3"
    assert packet.dissector_port == 4_059


def test_those_of_failed_readings_are_kept_and_a_few_others(run: RecordedFolder) -> None:
    run.tamper("DELETE FROM readings WHERE meter = 0")
    packets = kept(run)
    assert "MSC0000000000001" in names(packets)
    assert SAMPLE <= len(names(packets)) <= SAMPLE + 1
    assert [packet.at_ns for packet in packets] == sorted(packet.at_ns for packet in packets)


def test_of_a_head_end_that_loses_everything_all_is_kept(run: RecordedFolder) -> None:
    run.tamper("UPDATE readings SET meter = meter + 1000000")
    assert len(names(kept(run))) == run.prepared.grid.concentrators


def test_a_run_whose_store_is_gone_keeps_a_sample(run: RecordedFolder) -> None:
    run.store.unlink()
    assert len(names(kept(run))) == SAMPLE


def test_a_ring_that_was_cut_short_costs_only_itself(run: RecordedFolder) -> None:
    file = run.path / "captures" / "rings-0.bin"
    notes = exchange(run, readings_of(run, 2, 1), 2, when_ns=at_ns(run, 1), answered=False)
    leave(run, 2, notes, broken=True)
    leave(run, 3, notes, broken=True)
    file.write_bytes(file.read_bytes()[:-9])
    assert names(kept(run)) == {"MSC0000000000003"}


def test_a_run_without_rings_is_left_alone(tmp_path: Path) -> None:
    run = RecordedFolder(tmp_path)
    assert keep_captures(run.path, judge_run(run.path).verdict) is None
