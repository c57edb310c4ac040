from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.responses import FileResponse
from starlette.testclient import TestClient

from harness.api.exports import MEDIA_TYPES, PassingFile, make_room, one_at_a_time
from harness.api.problems import ProblemError


def test_what_an_earlier_life_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    make_room(folder)
    (folder / "export-1.csv").touch()
    (folder / "mine.csv").touch()
    make_room(folder)
    assert [path.name for path in folder.iterdir()] == ["mine.csv"]
    assert folder.stat().st_mode & 0o077 == 0


def test_what_is_lent_is_what_a_next_life_removes(tmp_path: Path) -> None:
    async def left() -> None:
        for _ in range(2):
            async with one_at_a_time(asyncio.Semaphore(1), tmp_path) as stem:
                stem.with_suffix(".csv").touch()

    asyncio.run(left())
    assert len(list(tmp_path.iterdir())) == 2
    make_room(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_second_export_is_refused_and_a_next_one_is_made(tmp_path: Path) -> None:
    async def ask() -> None:
        exporting = asyncio.Semaphore(1)
        async with one_at_a_time(exporting, tmp_path):
            with pytest.raises(ProblemError, match="another export") as refused:
                async with asyncio.timeout(5), one_at_a_time(exporting, tmp_path):
                    pass
            assert refused.value.status == 503
            assert refused.value.headers == {"Retry-After": "2"}
        async with one_at_a_time(exporting, tmp_path):
            pass

    asyncio.run(ask())


@pytest.mark.parametrize("suffix", MEDIA_TYPES)
def test_a_file_that_was_sent_is_gone(tmp_path: Path, suffix: str) -> None:
    app, path = FastAPI(), tmp_path / f"export-7{suffix}"
    path.write_text("content")

    @app.get("/export", response_class=FileResponse)
    async def export() -> FileResponse:
        return PassingFile(path, "march")

    answer = TestClient(app).get("/export")
    assert answer.text == "content"
    assert answer.headers["content-type"] == MEDIA_TYPES[suffix]
    assert answer.headers["content-disposition"] == f'attachment; filename="march{suffix}"'
    assert list(tmp_path.iterdir()) == []
