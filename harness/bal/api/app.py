"""The application: its routes, who may use them, and what becomes of refusals."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, FastAPI, Request, Security
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.security import HTTPBearer

from harness.api.asking import ControlClient, RefusedError
from harness.bal.api import routes
from harness.facts import version
from harness.headend.api.access import TokenGate
from harness.headend.api.app import PROBLEMS
from harness.headend.api.documentation import page
from harness.headend.api.models import Health
from harness.headend.api.problems import problem, tell_problems

STATUSES: Final = {
    "UnknownBatteryError": HTTPStatus.NOT_FOUND,
    "NameTakenError": HTTPStatus.CONFLICT,
    "BatteryInUseError": HTTPStatus.CONFLICT,
    "CommandConflictError": HTTPStatus.CONFLICT,
}
"""By kind of refusal; others are bad input."""
# The gate in front of everything looks at the token; this says so in the documentation.
_DOCUMENTED: Final = Security(HTTPBearer(auto_error=False, description="the run's token"))
_open: Final = APIRouter(tags=["operation"])


@_open.get("/health")
async def health() -> Health:
    """Whether the API itself is up. Asks for no token."""
    return Health()


def application(layer: ControlClient, token: str) -> FastAPI:
    """Return the API in front of ``layer`` for whoever has ``token``."""
    app = FastAPI(
        title="Meterstorm battery abstraction layer",
        version=version(),
        description="Batteries, aggregates and partitions: snapshots, commands, virtual meters.",
        docs_url=None,
        redoc_url=None,
    )
    app.state.layer = layer
    app.include_router(_open)
    app.include_router(routes.router, dependencies=[_DOCUMENTED], responses=PROBLEMS)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(page(app.openapi()))

    tell_problems(app)
    app.exception_handler(RefusedError)(_refused)
    app.add_middleware(TokenGate, token=token)
    return app


async def _refused(request: Request, error: RefusedError) -> JSONResponse:
    status = STATUSES.get(error.kind, HTTPStatus.UNPROCESSABLE_ENTITY)
    return problem(status, str(error), extra={"kind": error.kind})
