"""The application: its routes, who may use them, and what becomes of errors."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, FastAPI, Request, Security
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.security import HTTPBearer

from harness.billing.api import bills, exporting, operation, statistics
from harness.billing.errors import BillingError, MonthNotOverError, UnknownBillError
from harness.billing.service import BillingService
from harness.facts import version
from harness.headend.api.access import TokenGate
from harness.headend.api.app import PROBLEMS
from harness.headend.api.documentation import page
from harness.headend.api.models import Health
from harness.headend.api.problems import RETRY_AFTER, problem, tell_problems
from harness.store.errors import StoreError

_STATUSES: Final = {
    UnknownBillError: HTTPStatus.NOT_FOUND,
    MonthNotOverError: HTTPStatus.CONFLICT,
}
# The gate in front of everything looks at the token; this says so in the documentation.
_DOCUMENTED: Final = Security(HTTPBearer(auto_error=False, description="the run's token"))
_open: Final = APIRouter(tags=["operation"])


@_open.get("/health")
async def health() -> Health:
    """Whether the API itself is up. Asks for no token."""
    return Health()


def application(service: BillingService, token: str) -> FastAPI:
    """Return the API in front of ``service`` for whoever has ``token``."""
    app = FastAPI(
        title="Meterstorm billing",
        version=version(),
        description="Bills, statistics and exports of the reference billing back end.",
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = service
    app.include_router(_open)
    for part in (bills, statistics, exporting, operation):
        app.include_router(part.router, dependencies=[_DOCUMENTED], responses=PROBLEMS)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(page(app.openapi()))

    tell_problems(app)
    app.exception_handler(BillingError)(_refused)
    app.exception_handler(StoreError)(_store_away)
    app.add_middleware(TokenGate, token=token)
    return app


async def _refused(request: Request, error: BillingError) -> JSONResponse:
    return problem(_STATUSES.get(type(error), HTTPStatus.UNPROCESSABLE_ENTITY), str(error))


async def _store_away(request: Request, error: StoreError) -> JSONResponse:
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error), headers=RETRY_AFTER)
