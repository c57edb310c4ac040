"""What every process of an HTTP API is told: where it listens, and in which file its token is."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

TOKEN_OCTETS_MIN: Final = 16
TOKEN_OCTETS_MAX: Final = 4096


class ListeningConfig(BaseModel):
    """Where an API listens, and for whom."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 0
    token_file: Path
    """File with the bearer token; nobody but its owner may read it."""


def read_token(file: Path) -> str:
    """Return the token in ``file``.

    Raises:
        OSError: it cannot be read.
        ValueError: others than its owner may read it, or it holds no usable token.
    """
    with file.open("rb") as opened:
        if stat.S_IMODE(file.stat().st_mode) & 0o077:
            raise ValueError(f"{file}: a token is its owner's alone; chmod 600 it")
        token = opened.read(TOKEN_OCTETS_MAX + 1).strip()
    if not TOKEN_OCTETS_MIN <= len(token) <= TOKEN_OCTETS_MAX:
        raise ValueError(f"{file}: a token has {TOKEN_OCTETS_MIN} to {TOKEN_OCTETS_MAX} octets")
    if not all(0x21 <= octet <= 0x7E for octet in token):
        raise ValueError(f"{file}: a token is printable ASCII without spaces")
    return token.decode("ascii")
