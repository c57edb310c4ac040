from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from harness.load.clients.seen import Seen
from harness.load.clients.summary import LOAD_FOLDER, CommandNotes, read_seen, seen_path

SEEN = Seen(
    subject="home",
    asked_us=1,
    answered_us=2,
    charge_ma_ms=3,
    oldest_ms=None,
    newest_ms=5,
    sources=1,
    sources_online=1,
)


def test_snapshots_are_read_as_they_were_noted_up_to_the_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.load.clients.summary.SEEN_MAX", 3)
    (tmp_path / LOAD_FOLDER).mkdir()
    for client in range(2):
        with closing(CommandNotes(tmp_path, client)) as notes:
            for number in range(5):
                notes.seen(replace(SEEN, asked_us=10 * client + number))
    assert read_seen(tmp_path) == [replace(SEEN, asked_us=at) for at in (0, 1, 2, 10, 11, 12)]


def test_a_snapshot_that_was_cut_short_is_left_out(tmp_path: Path) -> None:
    (tmp_path / LOAD_FOLDER).mkdir()
    with closing(CommandNotes(tmp_path, 0)) as notes:
        notes.seen(SEEN)
    with seen_path(tmp_path, 0).open("a") as file:
        file.write('{"subject": "ho')
    assert read_seen(tmp_path) == [SEEN]
