"""What the HTTP API of a battery layer is told when it starts: one JSON file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class BalApiConfig(BaseModel):
    """The HTTP API in front of one battery layer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 0
    token_file: Path
    """File with the bearer token; nobody but its owner may read it."""
    control_socket: Path
    """Of the layer."""
