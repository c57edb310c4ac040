"""The application: its routes, and who notes its requests."""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI

from harness.api.application import guarded
from harness.headend.api import commanding, events, exporting, metrics, queries, recovering
from harness.headend.api.shards import HeadEnd

PARTS: Final = (queries, events, commanding, exporting, recovering, metrics)


def application(head_end: HeadEnd, token: str) -> FastAPI:
    """Return the API in front of ``head_end`` for whoever has ``token``."""
    app = guarded(
        "Meterstorm head-end",
        "Readings, alarms, devices, nodes, gaps, commands and exports of the reference head-end.",
        [part.router for part in PARTS],
        token,
    )
    noted = metrics.RequestMetrics()
    app.state.head_end = head_end
    app.state.request_metrics = noted
    app.add_middleware(metrics.Measured, noted=noted)
    return app
