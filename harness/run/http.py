"""What a run asks systems over HTTP: billing and battery layers, ours or somebody's own."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final

import trio

ANSWER_S: Final = 1_800.0
"""Real seconds that billing a month may take."""


async def asked(
    url: str,
    token_file: Path | None,
    method: str = "GET",
    body: Mapping[str, Any] | None = None,
    *,
    timeout_s: float = ANSWER_S,
) -> bytes:
    """Return the answer to a request, in real seconds at most. Raises `OSError`."""
    return await trio.to_thread.run_sync(partial(_asked, url, token_file, method, body, timeout_s))


def _asked(
    url: str,
    token_file: Path | None,
    method: str,
    body: Mapping[str, Any] | None,
    timeout_s: float,
) -> bytes:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    if token_file is not None:
        token = token_file.read_text().partition("\n")[0].strip()
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:
            told: bytes = answer.read()
            return told
    except urllib.error.HTTPError as error:
        said = error.read(2_000).decode(errors="replace")
        raise OSError(f"{method} {url}: {error.code}: {said}") from error
    except (HTTPException, ValueError) as error:
        raise OSError(f"{method} {url}: {error!r}") from error
