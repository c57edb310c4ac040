"""Exports: the readings or alarms of a span of time; of several stores as one ZIP of files."""

from __future__ import annotations

import asyncio
import secrets
import zipfile
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse
from starlette.types import Receive, Scope, Send

from harness.api.problems import RETRY_AFTER, ProblemError
from harness.headend.api.queries import Asked, From, To, span
from harness.headend.api.shards import HeadEnd
from harness.store.interface import ExportedTable, ExportFormat

EXPORT_S: Final = 900.0
MEDIA_TYPES: Final = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
ZIP: Final = "application/zip"

MARK: Final = "export-"

router: Final = APIRouter(tags=["head-end"])


def make_room(folder: Path) -> None:
    """Make ``folder`` if it is missing, and remove what an earlier life left. Raises `OSError`."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in folder.glob(f"{MARK}*"):
        left.unlink()


class PassingFile(FileResponse):
    """A file that is gone once it was sent, or could not be."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send and remove the file."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            _forget(Path(self.path))


@router.get(
    "/export",
    response_class=FileResponse,
    responses={200: {"content": {media: {} for media in (*MEDIA_TYPES.values(), ZIP)}}},
)
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
    if head_end.exporting.locked():
        raise ProblemError(
            HTTPStatus.SERVICE_UNAVAILABLE, "another export is being made", headers=RETRY_AFTER
        )
    async with head_end.exporting:
        asked = {"format": file_format, "from_s": begin, "to_s": end, "what": what}
        path = await _made(head_end, asked)
    name = f"{what}-{begin}-{end}{path.suffix}"
    return PassingFile(path, media_type=MEDIA_TYPES.get(path.suffix[1:], ZIP), filename=name)


async def _made(head_end: HeadEnd, wanted: dict[str, Any]) -> Path:
    """Return the file that holds what every store exported."""
    stem = head_end.config.exports / f"{MARK}{secrets.token_hex(8)}"
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
            _forget(part)


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


def _forget(path: Path) -> None:
    path.unlink(missing_ok=True)
