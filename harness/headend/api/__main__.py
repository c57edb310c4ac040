"""The process of the HTTP API: ``python -m harness.headend.api CONFIG`` (`harness.api.process`)."""

from __future__ import annotations

import socket

from harness.api import process, serving
from harness.api.exports import make_room
from harness.headend.api.app import application
from harness.headend.api.config import ApiConfig
from harness.headend.api.directory import Directory
from harness.headend.api.shards import HeadEnd


async def serve(config: ApiConfig, token: str, listener: socket.socket) -> None:
    """Serve the API on ``listener`` until a signal comes or standard input ends.

    Raises `OSError`, `KeyError`, `TypeError` or `ValueError` when provisioning cannot be read.
    """
    make_room(config.exports)
    directory = Directory.load(config.provisioning, len(config.control_sockets))
    await serving.serve(application(HeadEnd(config, directory), token), listener)


if __name__ == "__main__":
    process.run("API", ApiConfig, serve, KeyError, TypeError)
