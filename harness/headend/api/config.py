"""What the HTTP API is told when it starts: one JSON file, and a token in a file of its own."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

TOKEN_OCTETS_MIN: Final = 16
TOKEN_OCTETS_MAX: Final = 4096


class ApiConfig(BaseModel):
    """The HTTP API in front of all shards of one head-end."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 0
    token_file: Path
    """File with the bearer token; nobody but its owner may read it."""
    control_sockets: Annotated[tuple[Path, ...], Field(min_length=1)]
    """Control socket of every shard, in order of their numbers."""
    provisioning: Path
    """Folder with the exported devices."""
    exports: Path
    """Folder for files under way to a client; made if missing, emptied at the start."""
    shared_store: bool
    """Whether all shards write one database, rather than each a store of its own."""
    realtime_offset_s: float
    """POSIX seconds minus CLOCK_MONOTONIC, as the shards have it."""


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
