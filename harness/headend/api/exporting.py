"""Exports: the readings or alarms of a span of time; of several stores as one ZIP of files."""

from __future__ import annotations

import asyncio
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse

from harness.api.exports import RESPONSES, PassingFile, one_at_a_time
from harness.headend.api.queries import Asked, From, To, span
from harness.headend.api.shards import HeadEnd
from harness.store.interface import ExportedTable, ExportFormat

EXPORT_S: Final = 900.0
router: Final = APIRouter(tags=["head-end"])


@router.get("/export", response_class=FileResponse, responses=RESPONSES)
async def export(
    head_end: Asked,
    file_format: Annotated[ExportFormat, Query(alias="format")] = "parquet",
    what: ExportedTable = "readings",
    from_s: From = None,
    to_s: To = None,
) -> FileResponse:
    """All readings captured, or alarms raised, in [from, to) as a file of each shard's store.

    Of several stores the files come as a ZIP.

    One export is made at a time; others are told 503 meanwhile.
    """
    begin, end = span(head_end, from_s, to_s)
    async with one_at_a_time(head_end.exporting, head_end.config.exports) as stem:
        asked = {"format": file_format, "from_s": begin, "to_s": end, "what": what}
        path = await _made(head_end, stem, asked)
    return PassingFile(path, f"{what}-{begin}-{end}")


async def _made(head_end: HeadEnd, stem: Path, wanted: dict[str, Any]) -> Path:
    """Return the file that holds what every store exported."""
    suffix = f".{wanted['format']}"
    parts = [
        stem.with_name(f"{stem.name}-shard-{client.shard}{suffix}") for client in head_end.clients
    ]
    try:
        if head_end.config.shared_store:
            details = wanted | {"path": str(parts[0])}
            await head_end.ask_stores("export", timeout_s=EXPORT_S, **details)
            return parts[0].replace(stem.with_suffix(suffix))
        await _export_all(head_end, parts, wanted)
        if len(parts) == 1:
            return parts[0].replace(stem.with_suffix(suffix))
        return await asyncio.to_thread(_packed, stem.with_suffix(".zip"), parts)
    finally:
        for part in parts:
            part.unlink(missing_ok=True)


async def _export_all(head_end: HeadEnd, parts: Sequence[Path], wanted: dict[str, Any]) -> None:
    """Let every shard write its part. All have ended when this ends, so none leaves a file."""
    asked = (
        client.ask("export", timeout_s=EXPORT_S, path=str(part), **wanted)
        for client, part in zip(head_end.clients, parts, strict=True)
    )
    for answer in await asyncio.gather(*asked, return_exceptions=True):
        if isinstance(answer, BaseException):
            raise answer


def _packed(path: Path, parts: Sequence[Path]) -> Path:
    """Return a ZIP of ``parts``, each called after its shard."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as packed:
        for shard, part in enumerate(parts):
            packed.write(part, f"shard-{shard}{part.suffix}")
    return path
