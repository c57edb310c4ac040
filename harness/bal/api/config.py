"""What the HTTP API of a battery layer is told when it starts: one JSON file."""

from __future__ import annotations

from pathlib import Path

from harness.api.config import ListeningConfig


class BalApiConfig(ListeningConfig):
    """The HTTP API in front of one battery layer."""

    control_socket: Path
    """Of the layer."""
