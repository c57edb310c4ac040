"""Exports: statistics of a period, one table of the book, or everything as a ZIP of files."""

from __future__ import annotations

import asyncio
import zipfile
from datetime import date
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse

from harness.api.exports import RESPONSES, PassingFile, one_at_a_time
from harness.api.problems import ProblemError
from harness.billing.api.asked import Asked
from harness.billing.api.statistics import FIRST_DAY, LAST_DAY
from harness.billing.book import Book
from harness.billing.calendar import Period, past
from harness.billing.tables import EXPORTED
from harness.store.interface import ExportFormat

What = Literal["statistics", "bills", "withheld", "rates", "daily", "virtual_meters", "everything"]

router: Final = APIRouter(tags=["exports"])


@router.get("/export", response_class=FileResponse, responses=RESPONSES)
async def export(
    service: Asked,
    what: What,
    file_format: Annotated[ExportFormat, Query(alias="format")] = "parquet",
    day: Annotated[date | None, Query(ge=FIRST_DAY, le=LAST_DAY)] = None,
    period: Period = "month",
) -> FileResponse:
    """A table of the book, or statistics by meter over the period that ends before ``day``.

    Left out, ``day`` is today by the scenario clock. One export is made at a time; others are told
    503 meanwhile.
    """
    day = day or service.today()
    if what == "statistics" and day is None:
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY, "say before which day the period ends", field="day"
        )
    async with one_at_a_time(service.exporting, service.config.folder) as stem:
        made = asyncio.to_thread(_made, service.book, stem, what, file_format, day, period)
        path = await made
    return PassingFile(path, what)


def _made(
    book: Book, stem: Path, what: What, file_format: ExportFormat, day: date | None, period: Period
) -> Path:
    """Return the file; nothing else is left behind."""
    path = stem.with_suffix(f".{file_format}")
    if what == "everything":
        return _everything(book, stem, file_format)
    if what == "statistics":
        assert day is not None  # asked for above
        book.export_energy(past(day, period), day, path, file_format)
    else:
        book.export(what, path, file_format)
    return path


def _everything(book: Book, stem: Path, file_format: ExportFormat) -> Path:
    path = stem.with_suffix(".zip")
    parts = {name: stem.with_name(f"{stem.name}-{name}") for name in EXPORTED}
    try:
        book.export_all(parts, file_format)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as packed:
            for name, part in parts.items():
                packed.write(part, f"{name}.{file_format}")
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)
    return path
