"""The application: its routes, and what becomes of refusals."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from harness.api.application import guarded
from harness.api.problems import RETRY_AFTER, problem
from harness.billing.api import bills, exporting, operation, statistics
from harness.billing.errors import (
    BillingError,
    EarlierMonthError,
    MonthNotOverError,
    RecoveringError,
    UnknownBillError,
)
from harness.billing.service import BillingService
from harness.store.errors import StoreError

PARTS: Final = (bills, statistics, exporting, operation)
_STATUSES: Final = {
    UnknownBillError: HTTPStatus.NOT_FOUND,
    MonthNotOverError: HTTPStatus.CONFLICT,
    EarlierMonthError: HTTPStatus.CONFLICT,
    RecoveringError: HTTPStatus.CONFLICT,
}


def application(service: BillingService, token: str) -> FastAPI:
    """Return the API in front of ``service`` for whoever has ``token``."""
    app = guarded(
        "Meterstorm billing",
        "Bills, statistics and exports of the reference billing back end.",
        [part.router for part in PARTS],
        token,
    )
    app.state.service = service
    app.exception_handler(BillingError)(_refused)
    app.exception_handler(StoreError)(_store_away)
    return app


async def _refused(request: Request, error: BillingError) -> JSONResponse:
    return problem(_STATUSES.get(type(error), HTTPStatus.UNPROCESSABLE_ENTITY), str(error))


async def _store_away(request: Request, error: StoreError) -> JSONResponse:
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error), headers=RETRY_AFTER)
