"""What the routes share: whom they ask, and the parameters they take."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import Depends, Query, Request

from harness.api.problems import ProblemError
from harness.billing.calendar import Month
from harness.billing.service import BillingService

PAGE: Final = 100
PAGE_MAX: Final = 1000
NUMBER_MAX: Final = 2**32


def _service_of(request: Request) -> BillingService:
    service: BillingService = request.app.state.service
    return service


def month_of(text: str, field: str = "month") -> Month:
    """Return the month of a text. Raises `ProblemError`."""
    try:
        return Month.parse(text)
    except ValueError as error:
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), field=field) from error


Asked = Annotated[BillingService, Depends(_service_of)]
MonthName = Annotated[str, Query(description="a month such as 2026-03", max_length=10)]
After = Annotated[int, Query(ge=-1, le=NUMBER_MAX, description="number of a meter, without it")]
Count = Annotated[int, Query(ge=1, le=PAGE_MAX, description="how many at most")]
