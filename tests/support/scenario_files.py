"""Scenario files of a few lines, and what is said about wrong ones."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from harness.errors import ScenarioError
from harness.scenario import Scenario

SMALL: Final = """\
name = "small"
[grid]
transformer_stations = 10
"""


def write(folder: Path, text: str, name: str = "x.toml") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def load(folder: Path, text: str, *overrides: str) -> Scenario:
    return Scenario.load(write(folder, text), overrides)


def problems(folder: Path, text: str, *overrides: str) -> list[str]:
    """Return the lines that name what is wrong with ``text``, without the folder."""
    with pytest.raises(ScenarioError) as caught:
        load(folder, text, *overrides)
    return str(caught.value).replace(f"{folder}/", "").splitlines()
