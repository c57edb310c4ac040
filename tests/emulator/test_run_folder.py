"""Where things lie in a run directory, and that nobody reads half a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from emulator.atomic import write_json
from emulator.run_folder import RunFolder
from tests.support.fleets import fleet_config


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    write_json(path, {"a": 1})
    with path.open() as reader:  # opened before the next version, it still reads this one
        write_json(path, {"a": 2})
        assert json.load(reader) == {"a": 1}
    assert json.loads(path.read_text()) == {"a": 2}
    assert [item.name for item in tmp_path.iterdir()] == ["summary.json"]


def test_the_fleet_is_read_as_it_was_written(tmp_path: Path) -> None:
    folder, config = RunFolder(tmp_path), fleet_config()
    folder.fleet_file.write_text(config.model_dump_json())
    assert folder.fleet() == config


def test_no_fleet_or_a_broken_one(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with pytest.raises(FileNotFoundError):
        folder.fleet()
    folder.fleet_file.write_text("{}")
    with pytest.raises(ValidationError):
        folder.fleet()
