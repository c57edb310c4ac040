"""The application: its routes, and what becomes of refusals."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from harness.api.application import guarded
from harness.api.asking import ControlClient, RefusedError
from harness.api.problems import problem
from harness.bal.api import routes

STATUSES: Final = {
    "UnknownBatteryError": HTTPStatus.NOT_FOUND,
    "NameTakenError": HTTPStatus.CONFLICT,
    "BatteryInUseError": HTTPStatus.CONFLICT,
    "CommandConflictError": HTTPStatus.CONFLICT,
}
"""By kind of refusal; others are bad input."""


def application(layer: ControlClient, token: str) -> FastAPI:
    """Return the API in front of ``layer`` for whoever has ``token``."""
    app = guarded(
        "Meterstorm battery abstraction layer",
        "Batteries, aggregates and partitions: snapshots, commands, virtual meters.",
        [routes.router],
        token,
    )
    app.state.layer = layer
    app.exception_handler(RefusedError)(_refused)
    return app


async def _refused(request: Request, error: RefusedError) -> JSONResponse:
    status = STATUSES.get(error.kind, HTTPStatus.UNPROCESSABLE_ENTITY)
    return problem(status, str(error), extra={"kind": error.kind})
