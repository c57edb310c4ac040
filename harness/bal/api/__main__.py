"""The process of a layer's API: ``python -m harness.bal.api CONFIG`` (`harness.api.process`)."""

from __future__ import annotations

import socket
from typing import Final

from emulator.descriptors import raise_descriptor_limit
from harness.api import process, serving
from harness.api.asking import ControlClient
from harness.bal.api.app import application
from harness.bal.api.config import BalApiConfig

QUESTIONS_MAX: Final = 8_000
"""Questions that wait for batteries do not keep the layer from others."""


async def serve(config: BalApiConfig, token: str, listener: socket.socket) -> None:
    """Serve the API on ``listener`` until a signal comes or standard input ends."""
    raise_descriptor_limit()
    layer = ControlClient("battery layer", config.control_socket, QUESTIONS_MAX)
    await serving.serve(application(layer, token), listener, QUESTIONS_MAX)


if __name__ == "__main__":
    process.run("API", BalApiConfig, serve)
