"""Files that are made for one client and gone once it has them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from fastapi.responses import FileResponse
from starlette.types import Receive, Scope, Send

from harness.api.problems import RETRY_AFTER, ProblemError

MEDIA_TYPES: Final = {
    ".csv": "text/csv; charset=utf-8",
    ".parquet": "application/vnd.apache.parquet",
    ".zip": "application/zip",
}
"""By suffix of the file."""
RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {media: {} for media in MEDIA_TYPES.values()}}
}
"""What the documentation of a route that exports says of its answer."""
_MARK: Final = "export-"


def make_room(folder: Path) -> None:
    """Make ``folder`` if it is missing, and remove what an earlier life left. Raises `OSError`."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in folder.glob(f"{_MARK}*"):
        left.unlink()


@asynccontextmanager
async def one_at_a_time(exporting: asyncio.Semaphore, folder: Path) -> AsyncIterator[Path]:
    """Lend a name in ``folder``, without suffix, that no other file begins with.

    Raises:
        ProblemError: another export is being made; nobody waits for that.
    """
    if exporting.locked():
        raise ProblemError(
            HTTPStatus.SERVICE_UNAVAILABLE, "another export is being made", headers=RETRY_AFTER
        )
    async with exporting:
        yield folder / f"{_MARK}{secrets.token_hex(8)}"


class PassingFile(FileResponse):
    """A file that is gone once it was sent, or could not be.

    Args:
        path: the file; its suffix says what it is.
        name: what the client is told it is called, without suffix.
    """

    def __init__(self, path: Path, name: str) -> None:
        super().__init__(path, media_type=MEDIA_TYPES[path.suffix], filename=f"{name}{path.suffix}")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send and remove the file."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            _forget(Path(self.path))


def _forget(path: Path) -> None:
    path.unlink(missing_ok=True)
