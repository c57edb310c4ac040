"""A store for a head-end in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.store.interface import Store
from harness.store.opening import open_store
from tests.support.headend import REGISTERS


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty embedded store."""
    opened = open_store(tmp_path / "store.duckdb", REGISTERS, create=True)
    yield opened
    opened.close()
