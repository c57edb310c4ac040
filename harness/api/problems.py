"""What a client is told when something is wrong: problem details (RFC 9457), always."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from structlog import get_logger

from harness.api.asking import AwayError, RefusedError

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER: Final = {"Retry-After": "2"}
log = get_logger(__name__)


class FieldProblem(BaseModel):
    """One thing wrong with what was asked."""

    field: str
    message: str


class Problem(BaseModel):
    """Problem details (RFC 9457); ``errors`` names every field that is wrong."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] = []


class NotThereError(LookupError):
    """What was named is not there; ``field`` is the part of the question that names it."""

    field: ClassVar[str]


class ProblemError(Exception):
    """Ends a request with a problem; ``extra`` are members of its own."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        field: str = "",
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = [FieldProblem(field=field, message=detail)] if field else []
        self.headers = headers
        self.extra = dict(extra or {})


def problem(
    status: int,
    detail: str,
    *,
    errors: list[FieldProblem] | None = None,
    headers: Mapping[str, str] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> JSONResponse:
    """Return the response that tells a problem."""
    told = Problem(
        title=HTTPStatus(status).phrase, status=status, detail=detail, errors=errors or []
    )
    content = told.model_dump(exclude_defaults=True) | {"type": told.type} | dict(extra or {})
    return JSONResponse(content, status, headers, MEDIA_TYPE)


def tell_problems(app: FastAPI) -> None:
    """Let ``app`` answer everything that goes wrong with a problem."""
    app.exception_handler(ProblemError)(_told)
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(HTTPException)(_http)
    app.exception_handler(NotThereError)(_not_there)
    app.exception_handler(AwayError)(_away)
    app.exception_handler(RefusedError)(_refused)
    app.exception_handler(Exception)(_our_mistake)


def away(error: Exception, **extra: object) -> ProblemError:
    """Return the problem of a process, or its store, that is away now."""
    return ProblemError(
        HTTPStatus.SERVICE_UNAVAILABLE, str(error), headers=RETRY_AFTER, extra=extra
    )


async def _told(request: Request, error: ProblemError) -> JSONResponse:
    return problem(
        error.status,
        error.detail,
        errors=error.errors,
        headers=error.headers,
        extra=error.extra,
    )


async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
    errors = [
        FieldProblem(
            # The first part says where it stood: query, path or body.
            field=".".join(map(str, item["loc"][1:])) or str(item["loc"][0]),
            message=str(item["msg"]).removeprefix("Value error, "),
        )
        for item in error.errors()
    ]
    detail = "; ".join(f"{item.field}: {item.message}" for item in errors)
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=errors)


async def _http(request: Request, error: HTTPException) -> JSONResponse:
    return problem(error.status_code, str(error.detail), headers=error.headers)


async def _not_there(request: Request, error: NotThereError) -> JSONResponse:
    errors = [FieldProblem(field=error.field, message=str(error))]
    return problem(HTTPStatus.NOT_FOUND, str(error), errors=errors)


async def _away(request: Request, error: AwayError) -> JSONResponse:
    return await _told(request, away(error))


async def _refused(request: Request, error: RefusedError) -> JSONResponse:
    if error.kind == "store":
        return await _told(request, away(error))
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))


async def _our_mistake(request: Request, error: Exception) -> JSONResponse:
    log.error("request failed", path=request.url.path, kind=type(error).__name__, exc_info=error)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "a mistake of the API itself; see its log")
